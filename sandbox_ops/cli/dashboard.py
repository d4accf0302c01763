"""What `monitor` draws: jobs, GPUs, the machine, and what looks wrong."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sandbox_ops.cli.terminal import cell, draw, table
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sandbox_ops.text.progress import Progress
    from sandbox_ops.workflows.monitor import JobView, MonitorReport

_METRICS = 3
_TALKING = 3  # so many live jobs show the end of their log
_LAST_LINES = 3


def monitor(report: "MonitorReport") -> None:
    """The whole machine at one look, printed."""
    draw(view(report))


def view(report: "MonitorReport") -> "RenderableType":
    """The whole machine at one look."""
    from rich.console import Group

    return Group(*_parts(report))


def _parts(report: "MonitorReport") -> "Iterator[RenderableType]":
    yield cell(headline(report))
    if report.jobs:
        yield table(
            ("JOB", "NAME", "STATE", "TIME", "PROGRESS", "ETA", "METRICS", "COMMAND"),
            map(_row, report.jobs),
        )
    elif report.reachable:
        yield cell("no jobs; start one: sandbox-ops train")
    live = [each for each in report.jobs if not each.job.state.ended]
    for each in live[:_TALKING]:
        for line in each.last_lines[-_LAST_LINES:]:
            yield cell(f"{each.job.id} | {line}")
    for gpu in report.gpus:
        yield cell(formatting.gpu_line(gpu))
    for process in report.foreign:
        yield cell(f"not ours: {formatting.foreign_line(process)}")
    warned = (f"warning: {warning}" for warning in report.warnings)
    yield from map(cell, (*warned, *map(str, report.next_steps)))


def headline(report: "MonitorReport") -> str:
    """The machine in one line: `gpu1: 3.2 GiB free of 9.8 GiB at /, load 0.5 of 8`."""
    if not report.reachable:
        return f"{report.sandbox}: not reachable; what runs there is unknown"
    facts = [formatting.disk_line(report.disk)] if report.disk else []
    if report.load_1min is not None:
        of = f" of {report.cpus}" if report.cpus else ""
        facts.append(f"load {report.load_1min:.1f}{of}")
    return f"{report.sandbox}: {', '.join(facts) or 'reachable'}"


def _row(each: "JobView") -> tuple[str, ...]:
    job, found = each.job, each.progress
    return (
        job.id,
        formatting.one_line(job.name, 24),
        job.words,
        formatting.duration(job.elapsed_s),
        steps(found),
        ""
        if job.state.ended or found.eta_s is None
        else formatting.duration(found.eta_s),
        metrics(found),
        formatting.one_line(formatting.what(job), 200),
    )


def steps(found: "Progress") -> str:
    """How far it is: `1200/5000 24 %`, `1200`, or nothing where it does not say."""
    if found.step is None:
        return ""
    if not found.total:
        return str(found.step)
    return f"{found.step}/{found.total} {100 * found.step // found.total} %"


def metrics(found: "Progress") -> str:
    """The first few metrics: `loss 0.123, lr 0.0003`."""
    shown = list(found.metrics.items())[:_METRICS]
    return ", ".join(f"{name} {formatting.figure(value)}" for name, value in shown)
