"""stop: end a job, or the jobs of a group; what another session started only when confirmed."""

import contextvars
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import SandboxError
from sandbox_ops.guard import acts
from sandbox_ops.machine import groups, jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState, StopReport
from sandbox_ops.models.groups import Group

_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldStop:
    """What another session started, which lives, and its processes: nothing was done.

    Attributes:
        group: The group that was asked for; "" where it was one job.
        processes: Of a group none are listed.
    """

    job: Job
    processes: tuple[str, ...]
    group: str = ""

    @property
    def asked(self) -> str:
        """What was to be stopped."""
        return self.group or self.job.id


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStopReport:
    """What the stop of a group did.

    Attributes:
        stopped: A report for each job that lived.
        ended: Those that had ended before.
        failed: What could not be stopped, each with the reason.
    """

    group: str
    stopped: tuple[StopReport, ...]
    ended: tuple[Job, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """What lives on, a line each: jobs, and processes of jobs."""
        lines = (
            f"{report.job.id}: {line}"
            for report in self.stopped
            for line in report.left
        )
        return (*lines, *self.failed)

    @property
    def job(self) -> Job:
        """One of its jobs: the first that was stopped, else any."""
        return self.stopped[0].job if self.stopped else self.ended[0]

    @property
    def ok(self) -> bool:
        """Whether nothing of it lives on, so far as can be seen."""
        return not self.left

    def as_json(self) -> dict[str, Any]:
        """The report as `stop GROUP --json` shows it."""
        return {
            "group": self.group,
            "jobs": [report.as_json() for report in self.stopped],
            "ended": [job.id for job in self.ended],
            "left": list(self.left),
        }


def stop(
    sandbox: Sandbox, job: str, *, confirm: bool = False
) -> StopReport | GroupStopReport | WouldStop:
    """End a job with every process of it, or all jobs of a group.

    Args:
        sandbox: Where it is.
        job: Which one; see `jobs.get`; or a group.
        confirm: Also where another session started it.

    Raises:
        DeniedError: The machine's mode does not allow it.
        NotFoundError: There is no such job.
        SandboxError: As `jobs.stop` has it.
    """
    acts.check(sandbox.config, "stop")
    group = groups.named(sandbox, job)
    if group is not None:
        others = [each for each in group.jobs if not _may_stop(sandbox, each)]
        if others and not confirm:
            return WouldStop(job=others[0], processes=(), group=group.name)
        return stop_group(sandbox, group)
    first, *same_name = jobs.to_stop(sandbox, job)
    meant = jobs.get(sandbox, first)
    if not confirm and not _may_stop(sandbox, meant):
        return WouldStop(job=meant, processes=jobs.processes(sandbox, meant))
    return replace(jobs.stop(sandbox, meant.id), same_name=tuple(same_name))


def _may_stop(sandbox: Sandbox, job: Job) -> bool:
    return not _lives(job) or job.started_by == sandbox.started_by


def _lives(job: Job) -> bool:
    return not job.state.ended or job.survivors > 0


def stop_group(
    sandbox: Sandbox, group: Group, *, grace_s: float = 10
) -> GroupStopReport:
    """End all jobs of a group: those that wait first, so that none of them begins.

    Args:
        sandbox: Where they are.
        group: As it was just now.
        grace_s: Between TERM and KILL.
    """
    living = [job for job in group.jobs if _lives(job)]
    waiting = [job for job in living if job.state is JobState.QUEUED]
    then = [job for job in waiting if not job.cell]
    running = [job for job in living if job not in waiting]
    last_first = [job for job in reversed(waiting) if job not in then]
    stopped: list[StopReport] = []
    failed: list[str] = []
    for part in (then, last_first, running):
        for outcome in _stop_each(sandbox, part, grace_s):
            if isinstance(outcome, StopReport):
                stopped.append(outcome)
            else:
                failed.append(outcome)
    return GroupStopReport(
        group=group.name,
        stopped=tuple(stopped),
        ended=tuple(job for job in group.jobs if job not in living),
        failed=tuple(failed),
    )


def _stop_each(
    sandbox: Sandbox, wanted: Sequence[Job], grace_s: float
) -> list[StopReport | str]:
    """Stop jobs side by side: each takes up to its grace."""

    def one(job: Job) -> StopReport | str:
        try:
            return jobs.stop(sandbox, job.id, grace_s=grace_s)
        except SandboxError as error:
            return f"{job.id}: {error.message}"

    if not wanted:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
        stops = [
            pool.submit(contextvars.copy_context().run, one, job) for job in wanted
        ]
        return [each.result() for each in stops]
