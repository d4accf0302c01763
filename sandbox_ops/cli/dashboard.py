"""What `monitor` draws: jobs, GPUs, the machine, and what looks wrong."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sandbox_ops.cli import next_steps
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import cell, draw, table
from sandbox_ops.models import JobState
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sandbox_ops.models import Job
    from sandbox_ops.text.progress import Progress
    from sandbox_ops.workflows.monitor import JobView, MonitorReport

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
_METRICS = 3
_TALKING = 3  # so many live jobs show the end of their log
_LAST_LINES = 3


def monitor(report: "MonitorReport", machine: str) -> None:
    """The whole machine at one look, printed; what is wrong stands at the end."""
    from rich.console import Group

    draw(Group(cell(headline(report, machine)), *_machine(report), *_warnings(report)))


def view(report: "MonitorReport", machine: str) -> "RenderableType":
    """The same for a screen, which is cut at its end: what is wrong stands first."""
    from rich.console import Group

    return Group(cell(headline(report, machine)), *_warnings(report), *_machine(report))


def _machine(report: "MonitorReport") -> "Iterator[RenderableType]":
    for gpu in report.gpus:
        yield cell(formatting.gpu_line(gpu))
    if report.jobs:
        yield table(COLUMNS, map(row, report.jobs))
    elif report.reachable:
        yield cell(f"no jobs; start one: {next_steps.command('train')}")
    live = [each for each in report.jobs if not each.job.state.ended]
    for each in live[:_TALKING]:
        for line in each.last_lines[-_LAST_LINES:]:
            yield cell(f"{each.job.id} | {line}")
    for process in report.foreign:
        yield cell(f"not ours: {formatting.foreign_line(process)}")


def _warnings(report: "MonitorReport") -> "Iterator[RenderableType]":
    for warning in report.warnings:
        yield cell(f"warning: {warning}")


def headline(report: "MonitorReport", machine: str) -> str:
    """The machine in one line: `gpu1: 3.2 GiB free of 9.8 GiB at /, load 0.5 of 8`."""
    if not report.reachable:
        return f"{machine}: not reachable; what runs there is unknown"
    facts = [formatting.disk_line(report.disk)] if report.disk else []
    if report.load_1min is not None:
        of = f" of {report.cpus}" if report.cpus else ""
        facts.append(f"load {report.load_1min:.1f}{of}")
    return f"{machine}: {', '.join(facts) or 'reachable'}"


def row(each: "JobView") -> tuple[str, ...]:
    """The cells of a job, under `COLUMNS`."""
    job, progress = each.job, each.progress
    remaining_s = None if job.state.ended else progress.eta_s
    return (
        job.id,
        job.name,
        short_state(job),
        done(progress),
        "" if remaining_s is None else short_duration(remaining_s),
        metrics(progress),
        f"{progress.step}/{progress.total}" if progress.total else "",
        short_duration(job.elapsed_s),
        formatting.one_line(formatting.what(job), 200),
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


def done(progress: "Progress") -> str:
    """How far it is: `24%`, or the step, or nothing where it does not say."""
    if progress.step is None:
        return ""
    if not progress.total:
        return str(progress.step)
    return f"{100 * progress.step // progress.total}%"


def metrics(progress: "Progress") -> str:
    """The first few metrics: `loss 0.123, lr 0.0003`."""
    shown = list(progress.metrics.items())[:_METRICS]
    return ", ".join(f"{name} {formatting.figure(value)}" for name, value in shown)
