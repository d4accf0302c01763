"""A group in one row: its states, how long yet, and the best value of a metric. Pure."""

import math
from collections.abc import Iterable, Sequence

from sandbox_ops.models import Job, JobState, LogDigest, Project
from sandbox_ops.models.groups import Best, Group, GroupSummary, Member
from sandbox_ops.text import best_metric
from sandbox_ops.text.best_metric import BestBy
from sandbox_ops.text.progress import Progress
from sandbox_ops.workflows import job_progress

DIGEST_BYTES = 2048
"""So much of the end of each log is read for a group: its metrics and its progress."""

_LOSS = "loss"


def summary(
    group: Group, project: Project | None = None, by: BestBy | None = None
) -> GroupSummary:
    """Return the row of a group.

    Args:
        group: With the digests of its jobs, where the rest is to be known.
        project: Whose patterns for metrics and progress count, and its choice of metric.
        by: Which metric; without it the project's, else the lowest loss.
    """
    read = [
        (member, job_progress.read(member.job, member.digest or LogDigest(), project))
        for member in group.members
    ]
    by = by or best_metric.read(project.train_best if project else "")
    return GroupSummary(
        name=group.name,
        counts=group.counts(),
        eta_s=eta_s(read),
        best=_best(read, by),
        then=group.then.job if group.then else None,
    )


def _best(read: Iterable[tuple[Member, Progress]], by: BestBy) -> Best | None:
    """Return the best of the last values that the runs said; NaN is none."""
    values = [
        Best(
            metric=name,
            value=value,
            job=member.job.id,
            name=member.job.name,
            way=by.way,
        )
        for member, progress in read
        for name, value in _values(progress, by.metric)
        if math.isfinite(value)
    ]
    if not values:
        return None
    return best_of(values)


def best_of(values: Sequence[Best]) -> Best:
    """Return the best of several values of one metric."""
    choose = min if values[0].way == "min" else max
    return choose(values, key=lambda each: each.value)


def _values(progress: Progress, metric: str) -> Iterable[tuple[str, float]]:
    if metric:
        return [(k, v) for k, v in progress.metrics.items() if k == metric]
    losses = [(k, v) for k, v in progress.metrics.items() if k.lower().endswith(_LOSS)]
    exact = [(k, v) for k, v in losses if k == _LOSS]
    return (exact or losses)[:1]


def eta_s(read: Iterable[tuple[Member, Progress]]) -> float | None:
    """Return how long until all have ended, in seconds; None where that is not known.

    What runs says so itself; what waits takes as long as the others of the group, and as
    many at once as run now.
    """
    left: list[float | None] = []
    lasted: list[float] = []
    n_waiting = 0
    for member, progress in read:
        job = member.job
        if job.state is JobState.SUCCEEDED and job.elapsed_s is not None:
            lasted.append(job.elapsed_s)
        elif _runs(job):
            left.append(progress.eta_s)
            if progress.eta_s is not None:
                lasted.append((job.elapsed_s or 0) + progress.eta_s)
        elif not job.state.ended:
            n_waiting += 1
    known = [each for each in left if each is not None]
    if not left and not n_waiting:
        return None
    if len(known) < len(left) or (n_waiting and not lasted):
        return None
    rest = n_waiting * sum(lasted) / len(lasted) if n_waiting else 0.0
    return max([*known, (sum(known) + rest) / max(1, len(left))])


def _runs(job: Job) -> bool:
    return job.state in (JobState.RUNNING, JobState.STARTING, JobState.STOPPING)
