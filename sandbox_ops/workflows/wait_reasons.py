"""Why jobs wait, said once however many wait for the same. Pure."""

from collections.abc import Iterable

from sandbox_ops.models import Job, JobState
from sandbox_ops.text import formatting

_NAMED = 3
_WAITS = "waits "


def lines(jobs: Iterable[Job]) -> tuple[str, ...]:
    """Return a line for each reason, with the jobs that have it.

    `remote-5, remote-6, remote-7 and 2 more wait for a slot: 1 of 1 are taken`.
    """
    waiting: dict[str, list[str]] = {}
    for job in jobs:
        if job.state is JobState.QUEUED and job.waits_for:
            waiting.setdefault(job.waits_for, []).append(job.id)
    return tuple(_line(reason, ids) for reason, ids in waiting.items())


def _line(reason: str, ids: list[str]) -> str:
    named = formatting.listing(ids, _NAMED)
    if not reason.startswith(_WAITS):
        return f"{named}: {reason}"
    verb = _WAITS if len(ids) == 1 else "wait "
    return f"{named} {verb}{reason.removeprefix(_WAITS)}"
