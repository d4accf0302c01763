"""The machine's queue: the order in which its jobs wait."""

from sandbox_ops.errors import NotFoundError, UsageError
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, job_ids

FIRST, LAST = "first", "last"


def move(sandbox: Sandbox, job: str, place: str) -> Job:
    """Give a waiting job another place; return it as it is then.

    It takes the priority of its new neighbours.

    Args:
        sandbox: Where it is.
        job: Which one; see `jobs.get`.
        place: `first`, `last`, or a number from 1.

    Raises:
        UsageError: There is no such place, or Slurm keeps the queue.
        NotFoundError: There is no such job.
        RefusedError: It does not wait in the queue.
        DeniedError: The machine's mode does not allow it.
    """
    if place not in (FIRST, LAST) and not _is_place(place):
        raise UsageError(
            f"a job cannot be moved to {place!r}",
            "Places are `first`, `last` and numbers from 1.",
        )
    if sandbox.config.by_slurm:
        raise UsageError(
            "the order of Slurm's queue is not ours to change",
            "Start a job with --priority; or lower one there: scontrol update "
            "JobId=NUMBER Nice=VALUE",
        )
    wire = job_ids.reference(job).wire
    with sandbox.acting("move", f"{job} {place}") as view:
        try:
            view.request("queue", "move", wire, place)
        except NotFoundError:
            jobs.get(sandbox, job)  # whose words name the jobs that there are
            raise
    return jobs.get(sandbox, job)


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text[:9]) > 0 and len(text) <= 9  # noqa: PLR2004
