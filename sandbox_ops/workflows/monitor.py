"""monitor: everything that goes on there, in one look.

(Over 250 lines: a third of it are the values that every face lays out.)
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from sandbox_ops.errors import ConnectError, NextStep
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import (
    Disk,
    ForeignProcess,
    Gpu,
    Job,
    JobState,
    JobUse,
    LogDigest,
    MachineStatus,
    Project,
)
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.groups import GroupSummary
from sandbox_ops.text import best_metric, paging
from sandbox_ops.text.progress import Progress
from sandbox_ops.workflows import (
    group_summary,
    idle,
    job_progress,
    monitored,
    preflight,
    waiting_times,
)

_ENDED_SHOWN = 10
_QUEUED_SHOWN = 10
_WARM_UP_S = 60
_IDLE_PERCENT = 5
_LAST_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job, and what its log says of it; `last_lines` are the log's.

    Attributes:
        use: How busy it keeps the machine; None of one that has ended.
        cost: What it has cost so far, where an hour of the machine has a price.
    """

    job: Job
    progress: Progress
    last_lines: tuple[str, ...] = ()
    use: JobUse | None = None
    cost: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The job as `monitor --json` shows it."""
        return {
            **self.job.as_json(),
            **self.progress.as_json(),
            "warnings": list(self.progress.warnings),
            "last_lines": list(self.last_lines),
            "cpu_percent": self.use.cpu_percent if self.use else None,
            "gpu_percent": self.use.gpu_percent if self.use else None,
            "cost": self.cost,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReport:
    """What one look at the machine found.

    Attributes:
        reachable: False: nothing below is known, whatever runs there runs on.
        jobs: Those that live, and the newest ten that ended: what a table shows. Of the
            queue the first ten.
        older: Those among the newest fifty that ended before these, and the queue's rest.
        gpus: Empty where there are none, or none can be seen.
        foreign: Training-like processes that are not ours.
        warnings: What looks wrong, of `jobs` and of the machine.
        next_steps: What can be done about it.
        groups: The sweeps whose jobs are among these, each in a row.
        waiting: Jobs of these groups that wait: they are in the rows of the groups alone.
        cost_per_hour: What an hour of the machine costs; None where that is not configured.
    """

    sandbox: str
    reachable: bool
    jobs: tuple[JobView, ...] = ()
    older: tuple[JobView, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    disk: Disk | None = None
    load_1min: float | None = None
    cpus: int | None = None
    foreign: tuple[ForeignProcess, ...] = ()
    warnings: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    groups: tuple[GroupSummary, ...] = ()
    waiting: tuple[Job, ...] = ()
    cost_per_hour: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the machine answered."""
        return self.reachable

    def as_json(self) -> dict[str, Any]:
        """The report as `monitor --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "reachable": self.reachable,
            "jobs": [view.as_json() for view in (*self.jobs, *self.older)],
            "gpus": [asdict(gpu) for gpu in self.gpus],
            "disk": asdict(self.disk) if self.disk else None,
            "load": {"load_1min": self.load_1min, "cpus": self.cpus},
            "foreign": [asdict(process) for process in self.foreign],
            "warnings": list(self.warnings),
            "next_steps": [str(step) for step in self.next_steps],
            "groups": [group.as_json() for group in self.groups],
            "cost_per_hour": self.cost_per_hour,
        }


def monitor(
    sandbox: Sandbox,
    project: Project | None = None,
    *,
    job: str = "",
    metric: str = "",
    cancel: CancelToken | None = None,
) -> MonitorReport:
    """Look at the machine once; one that cannot be reached is a report too.

    Args:
        sandbox: The machine.
        project: Whose disk is looked at; without one it is the workspace's.
        job: Only this job, or the jobs of this group.
        metric: What makes a run the best of its group: `loss`, `max:accuracy`; "" for
            what the project says, else the lowest loss.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        CancelledError: It was cancelled.
        NotFoundError: There is no such job or group.
        UsageError: The metric cannot be read.
    """
    sandbox = sandbox.cancelled_by(cancel)
    by = best_metric.read(metric) if metric else None
    named = project is not None and project.name
    path = sandbox.project_path(project) if project and named else ""
    try:
        status = jobs.status(sandbox, path=path or sandbox.config.workspace)
        status, members = monitored.narrow(sandbox, status, job)
    except ConnectError as error:
        hints = (hint for hint in error.hints if isinstance(hint, str))
        why = f"{sandbox.config.label} cannot be reached: {error.message}"
        return MonitorReport(
            sandbox=sandbox.config.name,
            reachable=False,
            warnings=(". ".join((why.rstrip("."), *hints)),),
            next_steps=error.next_steps,
            cost_per_hour=sandbox.config.cost_per_hour,
        )
    rows = tuple(group_summary.summary(group, project, by) for group in members)
    return report(
        sandbox.config.name,
        status,
        project,
        rows,
        cost_per_hour=sandbox.config.cost_per_hour,
    )


def report(
    machine: str,
    status: MachineStatus,
    project: Project | None = None,
    groups: tuple[GroupSummary, ...] = (),
    cost_per_hour: float | None = None,
) -> MonitorReport:
    """Return what a look means; of a group's jobs those that wait are in its row. Pure."""
    in_rows = {group.name for group in groups}
    waiting = tuple(
        job
        for job in status.jobs
        if job.state is JobState.QUEUED and job.group in in_rows
    )
    shown, older = _shown(job for job in status.jobs if job not in waiting)
    views = tuple(_view(job, status, project, cost_per_hour) for job in shown)
    views = tuple(
        replace(view, job=job)
        for view, job in zip(
            views,
            waiting_times.estimated(
                shown, {view.job.id: view.progress.eta_s for view in views}
            ),
            strict=True,
        )
    )
    return MonitorReport(
        sandbox=machine,
        groups=groups,
        waiting=waiting,
        reachable=True,
        jobs=views,
        older=tuple(_view(job, status, project, cost_per_hour) for job in older),
        gpus=status.gpus or (),
        disk=status.disk,
        cost_per_hour=cost_per_hour,
        load_1min=status.load_1min,
        cpus=status.cpus,
        foreign=status.foreign,
        warnings=tuple(_warnings(views, status)),
        next_steps=tuple(
            NextStep("stop", {"job": view.job.id}, "End what it left")
            for view in views
            if view.job.survivors and view.job.state.ended
        ),
    )


def _shown(jobs: Iterable[Job]) -> tuple[tuple[Job, ...], tuple[Job, ...]]:
    """Return what lives with the newest that ended, and those that ended before; newest first."""
    shown: list[Job] = []
    older: list[Job] = []
    ended = 0
    for job in sorted(jobs, key=_number, reverse=True):
        if job.place > _QUEUED_SHOWN:
            older.append(job)
        elif not job.state.ended:
            shown.append(job)
        elif not job.foreground:
            (shown if ended < _ENDED_SHOWN else older).append(job)
            ended += 1
    return tuple(shown), tuple(older)


def _number(job: Job) -> int:
    number = job.id.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _view(
    job: Job,
    status: MachineStatus,
    project: Project | None,
    cost_per_hour: float | None,
) -> JobView:
    digest = status.digests.get(job.id, LogDigest())
    return JobView(
        job=job,
        progress=job_progress.read(job, digest, project),
        last_lines=paging.last_written(digest.tail, _LAST_LINES),
        use=status.use.get(job.id),
        cost=preflight.cost(job, cost_per_hour),
    )


def _warnings(views: tuple[JobView, ...], status: MachineStatus) -> Iterable[str]:
    for view in views:
        for warning in view.progress.warnings:
            yield f"{view.job.id} {view.job.name}".rstrip() + f": {warning}"
        if idles := idle.warning(view.job, view.use):
            yield f"{view.job.id} {view.job.name}".rstrip() + f": {idles}"
        if view.job.state is JobState.LOST:
            yield f"{view.job.id} is {view.job.words}"
        if view.job.survivors and view.job.state.ended:
            yield (f"{view.job.id} ended and left {view.job.survivors} processes")
    if short := preflight.disk_low(status.disk):
        yield short
    yield from _gpu_warnings(status)


def _gpu_warnings(status: MachineStatus) -> Iterable[str]:
    """Say which GPUs idle while a job has them, and which others hold."""
    running = [job for job in preflight.live(status.jobs) if not job.foreground]
    strangers = {process.pid: process for process in status.foreign}
    for gpu in status.gpus or ():
        users = [job for job in running if gpu.index in job.gpus]
        for job in users:
            seen = idle.warning(job, status.use.get(job.id))
            if _is_idle(gpu) and not seen and (job.elapsed_s or 0) > _WARM_UP_S:
                percent = f"{gpu.utilization_percent} %"
                yield f"GPU {gpu.index} is idle ({percent}) while {job.id} has it"
        for process in gpu.processes:
            known = strangers.get(process.pid)
            if known or not running:
                whose = f" of {known.user}" if known else ""
                yield (
                    f"GPU {gpu.index}: {process.memory_used_mib or '?'} MiB are held by "
                    f"pid {process.pid}{whose} ({process.name}), which is not ours"
                )
        if (
            not running
            and not gpu.processes
            and ((gpu.memory_used_mib or 0) > preflight.BUSY_MIB)
        ):
            yield (
                f"GPU {gpu.index}: {gpu.memory_used_mib} MiB are held, and no job of "
                "ours runs"
            )


def _is_idle(gpu: Gpu) -> bool:
    return gpu.utilization_percent is not None and (
        gpu.utilization_percent < _IDLE_PERCENT
    )
