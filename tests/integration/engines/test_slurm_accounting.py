"""What accounting says of jobs that the controller has forgotten: a real slurmdbd, over MariaDB.

The controller forgets a job two seconds after its end, and gives its few numbers again. No one looks
at a job before it is forgotten; what its files say of its end is taken away, as where a file
server lost the last that was written.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import carrying
from slurm import OpenSandbox, SlurmCluster, slurm_cluster
from slurm_jobs import SOON_S, fake, number_of, started, supervisors, wait_for
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job
from sandbox_ops.models.queue import QueueRequest, RetryPolicy

_MORE = """\
FirstJobId=1
MaxJobId={numbers}
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
"""
_NUMBERS = 12
_LAG_S = 15.0
"""So long after an end that Slurm tells a job's files may lag behind, and a little more."""

_FORGET_S = 60.0
"""The controller ends what is over its time every 30 s, and forgets every 10 s."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A cluster with accounting, whose controller forgets soon."""
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster(
        folder / "cluster",
        min_job_age=2,
        accounting=True,
        more=_MORE.format(numbers=_NUMBERS),
    ) as running:
        yield running


@dataclass(frozen=True)
class Unfinished:
    """A job that runs, and what its files say of it now."""

    job: Job
    state: bytes

    @classmethod
    def of(cls, job: Job) -> "Unfinished":
        return cls(job, (Path(job.log_path).parent / "state").read_bytes())

    def lose_end(self) -> None:
        """Put the files back to where it ran."""
        (Path(self.job.log_path).parent / "state").write_bytes(self.state)


def wait_until_forgotten(cluster: SlurmCluster) -> None:
    wait_until(
        lambda: not cluster.ask("squeue", "-h", "-t", "all"),
        _FORGET_S,
        what="a controller without jobs",
    )


def kill_with_its_script(job: Job) -> None:
    """As the kernel does where a node has no memory left."""
    folder = Path(job.log_path).parent
    for pid in (*supervisors(folder), *carrying(f"SANDBOX_JOB={folder}")):
        os.kill(pid, signal.SIGKILL)


def state_of(cluster: SlurmCluster, number: str) -> str:
    return cluster.ask("squeue", "-h", "-t", "all", "-j", number, "-o", "%T").strip()


@pytest.mark.timeout(150)
@pytest.mark.slow
def test_accounting_tells_the_end_of_what_the_controller_forgot(
    login: Sandbox, log_in: OpenSandbox, cluster: SlurmCluster, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    until_open = f"echo begun; until [ -e {gate} ]; do sleep 0.2; done"
    retried = QueueRequest(retry=RetryPolicy(retries=2))
    running = {
        name: Unfinished.of(started(login, command, name=name, queue=queue))
        for name, command, queue in (
            ("done", until_open, None),
            ("failed", f"{until_open}; exit 7", None),
            ("killed", "echo begun; sleep 7981", None),
            ("cancelled", "echo begun; sleep 7982", None),
            ("over time", "echo begun; sleep 7983", None),
            (
                "too large",
                f"{until_open}; python3 -c 'import time; x = bytearray(400 << 20); time.sleep(60)'",
                None,
            ),
            ("requeued", "echo begun; sleep 7984", retried),
        )
    }
    held = log_in(slurm_extra=("--hold",)).start("true", name="held")
    ids = {name: each.job.id for name, each in running.items()} | {"held": held.id}
    numbers = {name: number_of(each.job) for name, each in running.items()}

    gate.touch()
    kill_with_its_script(running["killed"].job)
    cluster.ask("scontrol", "requeue", numbers["requeued"])
    cluster.ask("scontrol", "update", f"JobId={numbers['over time']}", "EndTime=now+1")
    wait_until(lambda: state_of(cluster, numbers["requeued"]) == "PENDING", SOON_S)
    cluster.ask("scancel", numbers["cancelled"], numbers["requeued"], number_of(held))
    wait_until_forgotten(cluster)
    for name in ("done", "failed", "cancelled", "over time"):
        running[name].lose_end()

    expected = {
        "done": "succeeded",
        "failed": "failed (exit code 7)",
        "killed": "lost (its batch script was killed on the node)",
        "cancelled": "stopped (cancelled in Slurm)",
        "over time": "timed-out",
        "too large": "failed (out of memory)",
        "requeued": "stopped (cancelled in Slurm)",
        "held": "stopped (cancelled in Slurm)",
    }

    def ends() -> dict[str, str]:
        return {name: jobs.get(login, job).words for name, job in ids.items()}

    with contextlib.suppress(AssertionError):
        wait_until(lambda: ends() == expected, SOON_S)
    assert ends() == expected


@pytest.mark.slow
def test_a_number_that_slurm_gave_again_is_told_apart_by_its_name(
    log_in: OpenSandbox, cluster: SlurmCluster
) -> None:
    """All numbers are given again here: another's job of that number succeeds."""
    job = log_in(slurm_extra=("--hold",)).start("true", name="first")
    number = number_of(job)
    cluster.ask("scancel", number)
    wait_until_forgotten(cluster)
    others: list[str] = []
    while number not in others:
        others += cluster.ask(
            "sbatch",
            "--parsable",
            "--output=/dev/null",
            "--job-name=other",
            "--wrap",
            "true",
        ).split()
        assert len(others) < _NUMBERS * 2, others
    wait_until(lambda: state_of(cluster, number) == "COMPLETED", SOON_S)
    wait_for(log_in(), job, JobState.STOPPED)


@pytest.mark.timeout(150)
@pytest.mark.slow
def test_while_accounting_is_down_a_forgotten_job_is_unknown_and_then_told(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    job = started(login, "echo begun; sleep 7985", name="late")
    ran = Unfinished.of(job)
    cluster.stop("slurmdbd")
    cluster.ask("scancel", number_of(job))
    wait_until_forgotten(cluster)
    ran.lose_end()
    unknown = wait_for(login, job, JobState.UNKNOWN)
    assert unknown.reason == "Slurm knows it no more"
    cluster.start_accounting()
    wait_for(login, job, JobState.STOPPED, _FORGET_S)


def only_accounting_knows(programs: Path, job: Job, state: str) -> None:
    name = (Path(job.log_path).parent / "token").read_text().strip()
    fake(programs, "squeue", "exit 0")
    fake(programs, "sacct", f"echo '{number_of(job)}|so-{name}|{state}|0:0'")


def test_a_job_that_only_accounting_calls_running_is_unknown(
    login: Sandbox, tmp_path: Path
) -> None:
    """Slurm calls it a runaway job: its end was never told."""
    job = started(login, "echo begun; sleep 7986", name="runaway")
    ran = Unfinished.of(job)
    only_accounting_knows(tmp_path, job, "RUNNING")
    kill_with_its_script(job)
    ran.lose_end()
    unknown = wait_for(login, job, JobState.UNKNOWN)
    assert unknown.reason == "Slurm knows it no more"


@pytest.mark.timeout(150)
def test_the_end_that_accounting_has_of_jobs_whose_controller_lost_its_state_is_no_end(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    """A controller that begins anew calls every job that it does not know cancelled."""
    job = started(login, "echo begun; sleep 7988", name="orphan")
    ran = Unfinished.of(job)
    number = number_of(job)
    cluster.lose_state()
    kill_with_its_script(job)
    ran.lose_end()
    wait_until(lambda: _accounted(cluster, number) != "RUNNING", _FORGET_S)
    assert _accounted(cluster, number) == "CANCELLED"
    states = {wait_for(login, job, JobState.UNKNOWN).words}
    until = time.monotonic() + _LAG_S
    while time.monotonic() < until:
        states.add(jobs.get(login, job.id).words)
    assert states == {"unknown (Slurm knows it no more)"}


def test_an_end_that_accounting_has_by_nobody_is_not_taken_for_a_cancellation(
    login: Sandbox, tmp_path: Path
) -> None:
    """As above, where the name was kept: which it is, is a matter of luck there."""
    job = started(login, "echo begun; sleep 7989", name="by nobody")
    ran = Unfinished.of(job)
    only_accounting_knows(tmp_path, job, "CANCELLED")
    kill_with_its_script(job)
    ran.lose_end()
    assert wait_for(login, job, JobState.UNKNOWN).reason == "Slurm knows it no more"
    assert not (Path(job.log_path).parent / "slurm.over").exists()
    only_accounting_knows(tmp_path, job, "CANCELLED by 1000")
    wait_for(login, job, JobState.STOPPED)


def _accounted(cluster: SlurmCluster, number: str) -> str:
    words = ("sacct", "-nPXD", "-j", number, "-S", "now-1hours", "-o", "State")
    return cluster.ask(*words).strip()
