"""What `monitor` draws: jobs, GPUs, the machine, and what looks wrong."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox_ops.cli import next_steps
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import cell, draw, table
from sandbox_ops.models import JobState
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sandbox_ops.models import Job
    from sandbox_ops.workflows.monitor import MonitorReport
    from sandbox_ops.workflows.rows import JobRow, MonitorRows

COLUMNS = (
    Column(name="JOB"),
    Column(name="NAME", least=16, most=24, wraps=True),
    Column(name="STATE", least=12, most=24, wraps=True),
    Column(name="DONE"),
    Column(name="ETA", optional=True),
    Column(name="METRICS", least=12, optional=True),
    Column(name="STEP", optional=True),
    Column(name="TIME", optional=True),
    Column(name="COMMAND", least=10, optional=True),
)


def monitor(report: "MonitorReport", machine: str) -> None:
    """The whole machine at one look, printed; what is wrong stands at the end."""
    from rich.console import Group

    facts = _facts(report, machine)
    draw(Group(cell(facts.headline), *_machine(report, facts), *_warnings(report)))


def view(report: "MonitorReport", machine: str) -> "RenderableType":
    """The same for a screen, which is cut at its end: what is wrong stands first."""
    from rich.console import Group

    facts = _facts(report, machine)
    return Group(cell(facts.headline), *_warnings(report), *_machine(report, facts))


def _facts(report: "MonitorReport", machine: str) -> "MonitorRows":
    from sandbox_ops.workflows import rows

    return rows.monitor_rows(replace(report, sandbox=machine))


def _machine(
    report: "MonitorReport", facts: "MonitorRows"
) -> "Iterator[RenderableType]":
    yield from map(cell, facts.gpus)
    if facts.jobs:
        jobs = (view.job for view in report.jobs)
        yield table(COLUMNS, map(row, jobs, facts.jobs))
    elif facts.reachable:
        yield cell(f"no jobs; start one: {next_steps.command('train')}")
    yield from map(cell, facts.last_lines)
    for line in facts.foreign:
        yield cell(f"not ours: {line}")


def _warnings(report: "MonitorReport") -> "Iterator[RenderableType]":
    for warning in report.warnings:
        yield cell(f"warning: {warning}")
    for step in report.next_steps:
        yield cell(next_steps.on_chosen_sandbox(step))


def row(job: "Job", facts: "JobRow") -> tuple[str, ...]:
    """The cells of a job, under `COLUMNS`."""
    done = "" if facts.step is None else str(facts.step)
    left_s = facts.remaining_s
    return (
        facts.id,
        facts.name,
        short_state(job),
        done if facts.percent is None else f"{facts.percent}%",
        "" if left_s is None else short_duration(left_s),
        ", ".join(facts.metrics),
        "" if facts.percent is None else f"{facts.step}/{facts.total}",
        short_duration(facts.elapsed_s),
        formatting.one_line(facts.activity, 200),
    )


def short_state(job: "Job") -> str:
    """A state in a column: `running`, `failed (127)`, `lost (reboot)`."""
    why = job.reason or job.signal
    if job.state is JobState.FAILED and not why:
        why = str(job.exit_code)
    return f"{job.state} ({why})" if why else str(job.state)


def short_duration(seconds: float | None) -> str:
    """A span of time in a column: `0.4s`, `3m05s`, `2d03h`."""
    return formatting.duration(seconds).replace("min", "m").replace(" ", "")
