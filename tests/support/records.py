"""Records of jobs: read, and written by the hundred thousand without running any."""

import json
import os
from pathlib import Path

from waiting import wait_until

from sandbox_ops.models import Job

_STATE = (
    "ended code={code} reason=exited sure=1 up1=200 survivors=0 pid=1 ticks=1 "
    "machine=old.1.1 t0={t0} leader=2 lticks=1 up0=100 ended"
)


def folder_of(home: Path) -> Path:
    """Return the folder that holds the jobs of a home; it must have been used."""
    return next(home.glob(".sandbox-ops/v1/*"))


def pids(job: Job) -> tuple[int, int]:
    """Return the supervisor's pid and the leader's, once it has one."""
    return pids_in(Path(job.log_path).with_name("state"))


def pids_in(state: Path) -> tuple[int, int]:
    """Return the same, as a job's state file says."""
    wait_until(lambda: "leader=" in state.read_text())
    fields = dict(w.split("=", 1) for w in state.read_text().split() if "=" in w)
    return int(fields["pid"]), int(fields["leader"])


def write(
    base: Path,
    number: int,
    *,
    age_days: float,
    now: float,
    code: int = 0,
    foreground: bool = False,
    size: int = 0,
) -> Path:
    """Write the record of a job that ended `age_days` ago; return its folder."""
    job = base / "jobs" / f"{'cmd' if foreground else 'remote'}-{number}"
    job.mkdir(parents=True)
    t0 = round((now - age_days * 86400) * 100)
    line = _STATE.format(code=code, t0=t0)
    (job / "state").write_text(f"{line:<510}.\n")
    spec = {"format": 1, "command": f"echo {number}", "foreground": foreground}
    (job / "spec.json").write_text(json.dumps(spec) + "\n")
    (job / "log").write_bytes(b"x" * size)
    if foreground:
        (job / "stderr").touch()
    return job


def copies(base: Path, first: int, last: int, of: Path) -> None:
    """Fill in the records from `first` to `last` as hard links to another's files."""
    files = [(file, file.name) for file in of.iterdir()]
    for number in range(first, last + 1):
        job = f"{base}/jobs/remote-{number}"
        os.mkdir(job)  # noqa: PTH102  # 200,000 times: pathlib takes twice as long
        for file, name in files:
            os.link(file, f"{job}/{name}")
    (base / "last").write_text(f"{last}\n")
