"""Whether a cluster takes a training, and when it would start: what Slurm itself says of it.

Slurm holds the queue: a cluster that is full is never refused, it only comes after machines
where the training would start at once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox_ops.machine import own_scripts
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState
from sandbox_ops.remote.script_replies import Reply

_AT_ONCE = timedelta(minutes=1)
_START = re.compile(r"to start at ([0-9]{4}-[0-9-]{5}T[0-9:]{8})")
_FEW = 4
"""So many cells of a sweep are handed to a cluster before it is known how many it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmRoom:
    """What a cluster has for a training.

    Attributes:
        against: Why it takes none like it; "": it does.
        busy: Why it would wait there; "": it would start at once.
    """

    against: str = ""
    busy: str = ""


def look(sandbox: Sandbox, gpus: int | None) -> SlurmRoom:
    """Ask Slurm whether it takes a job with so many GPUs; nothing is started.

    Raises:
        SandboxError: The login node does not answer.
    """
    gres = (f"--gres=gpu:{gpus}",) if gpus else ()
    options = (*sandbox.config.slurm.options, *gres)
    return room(own_scripts.ask(sandbox, "slurm_look", *options, doing="look at Slurm"))


def room(reply: Reply) -> SlurmRoom:
    """Return what a cluster has, from what `slurm_look.sh` said. Pure."""
    if reply.get("slurm") == "missing":
        return SlurmRoom(against="sbatch is not in PATH on the login node")
    verdict = reply.get("verdict")
    if reply.get("takes") != "yes":
        return SlurmRoom(against=f"Slurm takes no such job: {verdict}")
    start = _START.search(verdict)
    if start is None:
        return SlurmRoom(busy="Slurm does not say when it would start")
    try:
        begins = datetime.fromisoformat(start[1])
        now = datetime.fromisoformat(reply.get("now"))
    except ValueError:
        return SlurmRoom(busy="Slurm does not say when it would start")
    if begins - now <= _AT_ONCE:
        return SlurmRoom()
    return SlurmRoom(busy=f"Slurm would start it at {begins:%Y-%m-%d %H:%M}")


def cells(jobs: Sequence[Job]) -> int:
    """Return how many cells more a cluster can be given: as many may wait as run. Pure."""
    running = sum(job.state is JobState.RUNNING for job in jobs)
    waiting = sum(job.state is JobState.QUEUED for job in jobs)
    return max(0, max(_FEW, running) - waiting)
