"""How long yet until a waiting job may begin: from the progress of those it waits for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sandbox_ops.machine import changes
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState, LogDigest, job_ids
from sandbox_ops.text import formatting
from sandbox_ops.workflows import job_progress

_MOST_ASKED = 64


def estimated(
    jobs: Iterable[Job], remaining_s: Mapping[str, float | None]
) -> list[Job]:
    """Return the jobs; the first of the queue, and who waits for a job, with about how long.

    Pure.

    Args:
        jobs: Some or all.
        remaining_s: How long yet the others take, by id; None where a log does not say.
    """
    return [_estimated(job, remaining_s) for job in jobs]


def _estimated(job: Job, remaining_s: Mapping[str, float | None]) -> Job:
    if job.state is not JobState.QUEUED or job.place > 1:
        return job
    times = [s for each in job.waits_on if (s := remaining_s.get(each)) is not None]
    if not times:
        return job
    about = formatting.duration(min(times))
    return replace(job, waits_for=f"{job.waits_for}, about {about}")


def look(sandbox: Sandbox, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs with about how long they wait; asks the machine if any does.

    Raises:
        SandboxError: The machine cannot be asked.
    """
    waiting = (job for job in jobs if job.state is JobState.QUEUED and job.place <= 1)
    asked = {job_ids.number(each): None for job in waiting for each in job.waits_on}
    if not asked:
        return list(jobs)
    known = dict(list(asked.items())[:_MOST_ASKED])
    newest = max((job_ids.number(job.id) for job in jobs), default=0)
    answer = changes.look(sandbox, newest + 1_000_000, known)
    return estimated(
        jobs,
        {
            change.job.id: job_progress.read(
                change.job, change.digest or LogDigest()
            ).eta_s
            for change in answer.jobs.values()
        },
    )
