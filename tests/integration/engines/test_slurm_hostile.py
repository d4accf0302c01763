"""What stands in Slurm's answers, and in paths, is data: names, reasons, a home with odd characters."""

from pathlib import Path

import pytest
from slurm import OpenSandbox, SlurmCluster
from slurm_jobs import SOON_S, log_of, number_of, wait_for
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose path holds what shells and sbatch's patterns take for their own."""
    folder = tmp_path / "it's $HOME of %j"
    (folder / "bin").mkdir(parents=True)
    (folder / ".profile").write_text(f'PATH="{tmp_path}/bin:$PATH"\n')
    return folder


def test_a_home_with_odd_characters_holds_jobs_as_any_other(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    job = login.start("echo begun; sleep 7993", name="odd")
    wait_for(login, job, JobState.RUNNING)
    cluster.ask("scancel", number_of(job))
    ended = wait_for(login, job, JobState.STOPPED)
    assert ended.words == "stopped (cancelled in Slurm)"
    assert "CANCELLED AT" in log_of(login, job)


def test_another_job_whose_name_holds_that_of_ours_is_not_taken_for_it(
    log_in: OpenSandbox, cluster: SlurmCluster
) -> None:
    """A name may hold bars and line ends, a forged row of squeue too."""
    later = log_in(slurm_extra=("--hold",))
    job = later.start("true", name="ours")
    folder, number = Path(job.log_path).parent, number_of(job)
    name = f"so-{(folder / 'token').read_text().strip()}"
    for forged in (
        f"x|{name}|y",
        f"x\n9{number}|COMPLETED|{name}|n|N/A|None",
        "so-../../x",
    ):
        cluster.ask(
            "sbatch",
            "--begin=now+600",  # before the one that is held
            f"--job-name={forged}",
            "-o",
            "/dev/null",
            "--wrap",
            "true",
        )
    (Path(later.base) / "squeue").unlink(missing_ok=True)  # what was asked before
    (folder / "slurm.id").unlink()  # as where sbatch's answer was lost
    wait_until(lambda: "held" in jobs.get(log_in(), job.id).words, SOON_S)
    assert number_of(job) == number
    assert [each.id for each in jobs.recent(log_in(), 10)] == [job.id]
