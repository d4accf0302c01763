"""What tests of jobs on a Slurm cluster have in common."""

import contextlib
import os
import shutil
from pathlib import Path

from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job
from sandbox_ops.models.queue import QueueRequest

SOON_S = 25.0
"""For what Slurm does by itself in a few seconds, on a machine that is busy."""


def number_of(job: Job) -> str:
    """Return a job's number in Slurm."""
    folder = Path(job.log_path).parent
    return (folder / "slurm.id").read_text().split()[0]


def wait_for(
    sandbox: Sandbox, job: Job, state: JobState, timeout_s: float = SOON_S
) -> Job:
    """Wait until a job is in that state, and return it."""

    def reached() -> Job | None:
        now = jobs.get(sandbox, job.id)
        return now if now.state is state else None

    job = wait_until(reached, timeout_s, every_s=0.1, what=f"{job.id} {state}") or job
    assert job.state is state
    return job


def log_of(sandbox: Sandbox, job: Job) -> str:
    return jobs.output(sandbox, job.id, offset=0).data.decode()


def started(
    sandbox: Sandbox, command: str, line: str = "begun", **options: object
) -> Job:
    """Start a job, and wait until it runs and has written that line."""
    job = sandbox.start(command, **options)  # type: ignore[arg-type]
    wait_until(
        lambda: f"{line}\n" in log_of(sandbox, job),
        SOON_S,
        what=f"{line!r} in the log of {job.id}",
    )
    return job


FILL = QueueRequest(gpus=2)
"""So many GPUs as a node has."""


def fake(tmp_path: Path, name: str, script: str) -> Path:
    """Put a program before Slurm's own; `real` in it is that one."""
    folder = tmp_path / "home" / "bin"
    program = folder / name
    program.write_text(
        f'#!/bin/sh\nreal() {{ {shutil.which(name)} "$@"; }}\n{script}\n'
    )
    program.chmod(0o755)
    return program


def supervisors(folder: Path) -> list[int]:
    """Return the processes that are the batch script of that job."""
    pids = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().split(b"\0")
            if words[-3:] == [b"slurm_job", os.fsencode(folder), b""]:
                pids.append(int(file.parent.name))
    return pids
