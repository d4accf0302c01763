"""The facts of a report as a face lays them out: chosen, ordered and worded once.

A table, an agent's text and a web page show the same rows; what differs is the layout.
Pure. The words of a machine come out as they are: the exit of each face makes them safe.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandbox_ops.machine.job_list import is_own_step
from sandbox_ops.models import JobState
from sandbox_ops.text import formatting
from sandbox_ops.workflows import group_rows, wait_reasons
from sandbox_ops.workflows.group_rows import GroupRow

if TYPE_CHECKING:
    from sandbox_ops.errors import NextStep
    from sandbox_ops.models import Job
    from sandbox_ops.text.progress import Progress
    from sandbox_ops.workflows.monitor import JobView, MonitorReport
    from sandbox_ops.workflows.setup import SetupReport, Step

METRICS = 4
"""So many metrics of a job are shown, those that matter most first."""

_TALKING = 3  # so many live jobs show the end of their log
_LAST_LINES = 3
_FAILED_SHOWN = 3  # so many that failed show how their log ends
_FAILED = frozenset({JobState.FAILED, JobState.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job.

    Attributes:
        state: In words: `failed (exit code 3)`, `lost (reboot)`.
        short_state: For a narrow column: `failed (3)`.
        has_ended: Whether that is final.
        elapsed_s: Until its end, or until now; None where that is not known.
        has_begun: Whether there is any such time.
        step: How far it is; None where its log does not say. `total`: of how many.
        remaining_s: How long yet; None where it ended, or does not say.
        metrics: Each with its value: `loss 0.123`.
        course: The last values of the first of the metrics, in their order.
        activity: What it does: its command, or the description of a step of ours.
        cost: What it has cost so far; None where that is not known.
    """

    id: str
    name: str
    state: str
    short_state: str
    has_ended: bool
    elapsed_s: float | None
    activity: str
    has_begun: bool = True
    step: int | None = None
    total: int | None = None
    remaining_s: float | None = None
    metrics: tuple[str, ...] = ()
    cost: float | None = None
    course: tuple[float, ...] = ()

    @property
    def percent(self) -> int | None:
        """How much of it is done; None where its log does not say of how much."""
        if self.step is None or not self.total:
            return None
        return 100 * self.step // self.total

    @property
    def progress(self) -> str:
        """How far it is: `1200/5000 24 %`, `step 1200`, or "" where it does not say."""
        if self.step is None:
            return ""
        if self.percent is None:
            return f"step {self.step}"
        return f"{self.step}/{self.total} {self.percent} %"


def job_row(
    job: "Job", progress: "Progress | None" = None, cost: float | None = None
) -> JobRow:
    """Return the facts of a job, with what its log says where that was read."""
    row = JobRow(
        id=job.id,
        name=job.name,
        state=job.words,
        short_state=short_state(job),
        has_ended=job.state.ended,
        elapsed_s=job.elapsed_s,
        has_begun=job.started_at is not None,
        cost=cost,
        activity=_activity(job),
    )
    if progress is None:
        return row
    return replace(
        row,
        step=progress.step,
        total=progress.total,
        remaining_s=None if row.has_ended else progress.eta_s,
        metrics=tuple(
            f"{name} {formatting.figure(value)}"
            for name, value in list(progress.metrics.items())[:METRICS]
        ),
        course=progress.course,
    )


def _activity(job: "Job") -> str:
    summary = formatting.job_summary(job)
    return f"(step of sandbox-ops) {summary}" if is_own_step(job) else summary


def short_state(job: "Job") -> str:
    """The state of a job for a narrow column: `failed (3)`, `queued 2`.

    Why it waits is said once for all that wait for the same: `wait_reasons`.
    """
    if job.state is JobState.QUEUED:
        return f"{job.state} {job.place}" if job.place else str(job.state)
    why = job.reason or job.signal
    if job.state is JobState.FAILED and not why:
        why = str(job.exit_code)
    return f"{job.state} ({why})" if why else str(job.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorRows:
    """One look at a machine.

    Attributes:
        headline: The machine in one line.
        last_lines: What live jobs wrote last, and those that failed; each with the job's id in front.
        gpus: A line each.
        foreign: What runs there and is not ours, a line each.
        next_steps: What can be done about the warnings.
        groups: The sweeps.
        waits: Why jobs wait, a line a reason.
    """

    headline: str
    reachable: bool
    jobs: tuple[JobRow, ...]
    last_lines: tuple[str, ...]
    gpus: tuple[str, ...]
    foreign: tuple[str, ...]
    warnings: tuple[str, ...]
    next_steps: tuple["NextStep", ...]
    groups: tuple[GroupRow, ...] = ()
    waits: tuple[str, ...] = ()


def monitor_rows(report: "MonitorReport", machine: str = "") -> MonitorRows:
    """Return what one look at a machine found.

    Args:
        report: The look.
        machine: What the machine is called; without it as the report calls it.
    """
    return MonitorRows(
        headline=_headline(report, machine or report.sandbox),
        reachable=report.reachable,
        jobs=tuple(job_row(view.job, view.progress, view.cost) for view in report.jobs),
        last_lines=tuple(_last_lines(report.jobs)),
        gpus=tuple(map(formatting.gpu_line, report.gpus)),
        foreign=tuple(map(formatting.foreign_line, report.foreign)),
        warnings=report.warnings,
        next_steps=report.next_steps,
        groups=tuple(map(group_rows.group_row, report.groups)),
        waits=wait_reasons.lines(
            (*(view.job for view in report.jobs), *report.waiting)
        ),
    )


def _headline(report: "MonitorReport", machine: str) -> str:
    """`gpu1: 3.2 GiB free of 9.8 GiB at /, load 0.5 of 8`."""
    if not report.reachable:
        return f"{machine}: not reachable; what runs there is unknown"
    facts = [formatting.disk_line(report.disk)] if report.disk else []
    if report.load_1min is not None:
        of = f" of {report.cpus}" if report.cpus else ""
        facts.append(f"load {report.load_1min:.1f}{of}")
    return f"{machine}: {', '.join(facts) or 'reachable'}"


def _last_lines(views: tuple["JobView", ...]) -> Iterator[str]:
    live = [view for view in views if not view.job.state.ended]
    for view in live[:_TALKING]:
        for line in view.last_lines[-_LAST_LINES:]:
            yield _line_of(view, line)
    failed = [view for view in views if view.job.state in _FAILED]
    for view in failed[:_FAILED_SHOWN]:
        for line in view.last_lines[-1:]:
            yield _line_of(view, line)


def _line_of(view: "JobView", line: str) -> str:
    return f"{view.job.id} | {formatting.one_line(line, 300)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step of a setup: `changed`, `environment`, how long it took, what it did."""

    result: str
    name: str
    seconds: float
    detail: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupRows:
    """How a setup went: its steps, what was not checked, and in one line how it ended."""

    headline: str
    ok: bool
    steps: tuple[StepRow, ...]
    not_checked: tuple[str, ...] = ()


def step_row(step: "Step") -> StepRow:
    """Return the facts of a step."""
    return StepRow(
        result=step.result,
        name=step.name,
        seconds=step.seconds,
        detail=tuple(step.detail.splitlines()),
    )


def setup_rows(report: "SetupReport") -> SetupRows:
    """Return how a setup went."""
    failed = [step.name for step in report.steps if step.result == "failed"]
    changed = sum(step.result == "changed" for step in report.steps)
    changes = f"{formatting.count(changed, 'step')} changed" if changed else ""
    if failed:
        headline = f"not ready: {', '.join(failed)} failed"
    else:
        headline = f"ready ({changes or 'nothing to do'})"
    steps = tuple(map(step_row, report.steps))
    return SetupRows(
        headline=headline, ok=report.ok, steps=steps, not_checked=report.not_checked
    )
