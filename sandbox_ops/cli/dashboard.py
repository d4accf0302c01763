"""What `monitor` draws: jobs, GPUs, the machine, and what looks wrong."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sandbox_ops.cli import chart, next_steps
from sandbox_ops.cli.face import Rows
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import cell, draw, table
from sandbox_ops.text import formatting
from sandbox_ops.workflows.group_rows import GroupRow
from sandbox_ops.workflows.rows import JobRow, MonitorRows, monitor_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sandbox_ops.workflows.monitor import MonitorReport

COLUMNS = (
    Column(name="JOB"),
    Column(name="NAME", least=16, most=24, wraps=True),
    Column(name="STATE", least=12, most=24, wraps=True),
    Column(name="DONE"),
    Column(name="TREND", optional=True),
    Column(name="ETA", optional=True),
    Column(name="METRICS", least=12, optional=True),
    Column(name="STEP", optional=True),
    Column(name="TIME", optional=True),
    Column(name="COMMAND", least=10, optional=True),
)

GROUP_COLUMNS = (
    Column(name="GROUP", least=8, most=24, wraps=True),
    Column(name="CELLS"),
    Column(name="STATES", least=16, wraps=True),
    Column(name="ETA"),
    Column(name="BEST", least=12, wraps=True),
)


def monitor(report: "MonitorReport", machine: str) -> None:
    """The whole machine at one look, printed; what is wrong stands at the end."""
    from rich.console import Group

    facts = monitor_rows(report, machine)
    draw(Group(cell(facts.headline), *_machine(facts), *_warnings(facts)))


def rows(report: "MonitorReport", machine: str) -> Rows:
    """The jobs of a machine, to stand beside those of others, and what else to know."""
    facts = monitor_rows(report, machine)
    notes = (
        facts.headline.removeprefix(f"{machine}: "),
        *facts.gpus,
        *facts.waits,
        *facts.last_lines,
        *(f"not ours: {line}" for line in facts.foreign),
        *(f"warning: {line}" for line in facts.warnings),
        *(str(next_steps.on_chosen_sandbox(step)) for step in facts.next_steps),
    )
    return Rows(
        columns=COLUMNS,
        rows=tuple(map(row, facts.jobs)),
        none="no jobs" if not facts.groups else "all of its jobs wait",
        notes=notes,
        are_jobs=True,
    )


def view(report: "MonitorReport", machine: str) -> "RenderableType":
    """The same for a screen, which is cut at its end: what is wrong stands first."""
    from rich.console import Group

    facts = monitor_rows(report, machine)
    return Group(cell(facts.headline), *_warnings(facts), *_machine(facts))


def _machine(facts: MonitorRows) -> "Iterator[RenderableType]":
    for line in facts.gpus:
        yield cell(line)
    if facts.groups:
        yield table(GROUP_COLUMNS, map(group_row, facts.groups))
    if facts.jobs:
        yield table(COLUMNS, map(row, facts.jobs))
    elif facts.reachable and not facts.groups:
        yield cell(f"no jobs; start one: {next_steps.command('train')}")
    for line in (*facts.waits, *facts.last_lines):
        yield cell(line)
    for line in facts.foreign:
        yield cell(f"not ours: {line}")


def _warnings(facts: MonitorRows) -> "Iterator[RenderableType]":
    for warning in facts.warnings:
        yield cell(f"warning: {warning}")
    for step in facts.next_steps:
        yield cell(next_steps.on_chosen_sandbox(step))


def row(job: JobRow) -> tuple[str, ...]:
    """The cells of a job, under `COLUMNS`."""
    return (
        job.id,
        job.name,
        job.short_state,
        done(job),
        chart.sparkline(job.course),
        "" if job.remaining_s is None else short_duration(job.remaining_s),
        ", ".join(job.metrics),
        f"{job.step}/{job.total}" if job.percent is not None else "",
        time_and_cost(job.elapsed_s, job.cost) if job.has_begun else "",
        formatting.one_line(job.activity, 200),
    )


def time_and_cost(seconds: float | None, cost: float | None) -> str:
    """A span of time in a column, and what it cost where that is known: `2h05m (5.21)`."""
    price = "" if cost is None else f" ({cost:.2f})"
    return f"{short_duration(seconds)}{price}"


def short_duration(seconds: float | None) -> str:
    """A span of time in a column: `0.4s`, `3m05s`, `2d03h`."""
    return formatting.duration(seconds).replace("min", "m").replace(" ", "")


def done(job: JobRow) -> str:
    """How far it is: `24%`, or the step, or nothing where it does not say."""
    if job.percent is not None:
        return f"{job.percent}%"
    return "" if job.step is None else str(job.step)


def group_row(facts: GroupRow) -> tuple[str, ...]:
    """The cells of a group, under `GROUP_COLUMNS`."""
    remaining = "" if not facts.remaining_s else short_duration(facts.remaining_s)
    return facts.name, facts.cells, facts.states, remaining, facts.best
