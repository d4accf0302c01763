"""What stands in Slurm's answers, and in paths, is data: names, reasons, a home with odd characters."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm import OpenSandbox, SlurmCluster
from slurm_jobs import SOON_S, log_of, number_of, wait_for
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import SandboxError
from sandbox_ops.machine import jobs

_AT_ONCE_S = 5.0
PLANTS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda file: file.symlink_to("/dev/zero"),
    "a link to nothing": lambda file: file.symlink_to("/nonexistent/file"),
    "a folder": lambda file: file.mkdir(),
}


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


@pytest.mark.parametrize("runs", [False, True], ids=["waits", "runs"])
@pytest.mark.slow
def test_a_pipe_a_device_or_a_link_in_the_place_of_a_file_holds_nobody_up(
    log_in: OpenSandbox, runs: bool, tmp_path: Path
) -> None:
    """A job may put anything into its own folder; who asks for it gets an answer at once."""
    login = log_in(slurm_extra=() if runs else ("--hold",))
    job = login.start("echo begun; sleep 7994", name="odd")
    other = login.start("echo begun; sleep 7995", name="other")
    if runs:
        wait_for(login, job, JobState.RUNNING)
    folder, base = Path(job.log_path).parent, Path(login.base)
    slow = []
    for file in sorted((*folder.iterdir(), base / "squeue", base / "places")):
        kept = tmp_path / "kept"
        if not file.is_file():
            continue
        for plant, put in PLANTS.items():
            file.rename(kept)
            put(file)
            began = time.monotonic()
            with contextlib.suppress(SandboxError):
                jobs.get(log_in(), job.id)
            ids = {each.id for each in jobs.recent(log_in(), 5)}
            if time.monotonic() - began > _AT_ONCE_S or other.id not in ids:
                slow.append((file.name, plant, time.monotonic() - began))
            shutil.rmtree(file) if plant == "a folder" else file.unlink(missing_ok=True)
            kept.rename(file)
    assert slow == []
    assert jobs.get(login, job.id).state is (
        JobState.RUNNING if runs else JobState.QUEUED
    )
