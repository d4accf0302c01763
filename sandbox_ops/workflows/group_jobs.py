"""The jobs of a group in its order, and the group in one row."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import NextStep, NotFoundError, SandboxError
from sandbox_ops.machine import groups
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, LogDigest, Project
from sandbox_ops.models.groups import Group, GroupSummary
from sandbox_ops.models.waiting import WaitReport
from sandbox_ops.text import best_metric
from sandbox_ops.text.best_metric import BestBy
from sandbox_ops.text.progress import Progress
from sandbox_ops.workflows import group_summary, job_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupJobs:
    """The jobs of a group, each with what its log says.

    Attributes:
        summary: The group in one row.
        jobs: The newest of each cell, then what runs after all of them.
    """

    summary: GroupSummary
    jobs: tuple[tuple[Job, Progress], ...]

    def as_json(self) -> dict[str, Any]:
        """The jobs as `jobs GROUP --json` shows them."""
        return {
            **self.summary.as_json(),
            "jobs": [
                {**job.as_json(), **progress.as_json()} for job, progress in self.jobs
            ],
        }


def group_jobs(
    sandbox: Sandbox, project: Project | None, name: str, *, metric: str = ""
) -> GroupJobs:
    """Return the jobs of a group; one round trip.

    Args:
        sandbox: Where they are.
        project: Whose patterns for metrics count.
        name: Of the group.
        metric: What makes a run the best: `loss`, `max:accuracy`; "" for what the project
            says, else the lowest loss.

    Raises:
        NotFoundError: There is no such group, or none of its jobs has that metric.
        UsageError: The metric cannot be read.
    """
    by = best_metric.read(metric) if metric else None
    group = groups.named(sandbox, name, digest_bytes=group_summary.DIGEST_BYTES)
    if group is None:
        raise NotFoundError(
            f"no group {name} on {sandbox.config.label}",
            NextStep("jobs", purpose="See the jobs there"),
        )
    read = _read(group, project, by)
    if by and by.metric and read.summary.best is None:
        _refuse_unknown(by.metric, read)
    return read


def _refuse_unknown(metric: str, read: GroupJobs) -> None:
    """Refuse a metric that none has; while none has said any it may still come."""
    known = dict.fromkeys(name for _, said in read.jobs for name in said.metrics)
    if known and metric not in known:
        raise NotFoundError(
            f"no job of {read.summary.name} has a metric `{metric}`",
            f"There is {', '.join(list(known)[:12])}.",
        )


def with_warnings(
    sandbox: Sandbox, names: Sequence[str], report: WaitReport
) -> WaitReport:
    """Return the report of a wait for all of a group with what its jobs warned of.

    One more round trip: such a wait reads no logs. Where the machine does not answer any
    more, and for any other wait, the report is as it was.
    """
    if not report.jobs:
        return report
    with contextlib.suppress(SandboxError):
        if group := named(sandbox, names):
            warnings = tuple(
                f"{job.id} {job.name}: {warning}"
                for job, progress in group.jobs
                for warning in progress.warnings
            )
            return replace(report, warnings=warnings)
    return report


def named(sandbox: Sandbox, names: Sequence[str]) -> GroupJobs | None:
    """Return the jobs of the group that is named; None where one job or several are."""
    if len(names) != 1:
        return None
    group = groups.named(sandbox, names[0], digest_bytes=group_summary.DIGEST_BYTES)
    return _read(group, None, None) if group else None


def _read(group: Group, project: Project | None, by: BestBy | None) -> GroupJobs:
    members = (*group.members, *([group.then] if group.then else []))
    return GroupJobs(
        summary=group_summary.summary(group, project, by),
        jobs=tuple(
            (each.job, job_progress.read(each.job, each.digest or LogDigest(), project))
            for each in members
        ),
    )
