"""What people read about sweeps: what was started and skipped, and a group in one row."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sandbox_ops.cli import dashboard, next_steps
from sandbox_ops.cli.face import Answer
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import draw, table, tell
from sandbox_ops.text import formatting
from sandbox_ops.workflows import group_rows, rows, wait_reasons

if TYPE_CHECKING:
    from sandbox_ops.workflows.group_jobs import GroupJobs
    from sandbox_ops.workflows.stop import GroupStopReport
    from sandbox_ops.workflows.sweep_plan import Cell
    from sandbox_ops.workflows.sweep_report import SweepReport

_CELL_COLUMNS = (
    Column(name="CELL"),
    Column(name="NAME", least=16, most=64, wraps=True),
    Column(name="WHAT", least=8, wraps=True),
    Column(name="COMMAND", least=20, wraps=True),
)


def answer(report: "SweepReport") -> Answer:
    """What a sweep answers; where a cell was not started, it ends as that error does."""
    code = report.error.exit_code if report.error else 0
    return Answer(value=report.as_json(), show=lambda: started(report), exit_code=code)


def started(report: "SweepReport") -> None:
    """The cells of a sweep: started or planned, skipped, and not started."""
    tell(*(f"warning: {warning}" for warning in report.warnings))
    jobs = {job.cell: job.id for job in report.jobs}
    cells: list[tuple[str, str, str, str]] = [
        *_rows(report.planned, "would start"),
        *((str(job.cell), job.name, job.id, job.command) for job in report.jobs),
        *_rows(report.skipped, "skipped"),
        *_rows(report.not_started, "not started"),
    ]
    if cells:
        cells.sort(key=lambda row: int(row[0]))
        draw(table(_CELL_COLUMNS, cells))
    tell(_headline(report, len(jobs)))
    if report.then_command:
        tell(f"when all have ended: {report.then_command}")
    if report.then:
        tell(f"when all have ended, {report.then.id} runs: {report.then.command}")
    if report.error is not None:
        tell(report.error.message, *map(str, report.error.hints))
    tell(*(str(next_steps.on_chosen_sandbox(step)) for step in report.next_steps))
    if report.jobs:
        group = report.group
        tell(
            f"see them: {next_steps.command('monitor', job=group, watch=True)}",
            f"wait for all: {next_steps.command('wait', job=group)}",
            f"end them: {next_steps.command('stop', job=group)}",
        )


def _headline(report: "SweepReport", n_started: int) -> str:
    n_skipped = len(report.skipped)
    skipped = f"; {formatting.count(n_skipped, 'cell')} skipped" if n_skipped else ""
    if report.dry_run:
        count = formatting.count(len(report.planned), "job")
        return f"{report.group}: {count} would be started, in this order{skipped}"
    left = len(report.not_started)
    not_started = f"; {left} not started" if left else ""
    count = formatting.count(n_started, "job")
    return f"{report.group}: {count} started{skipped}{not_started}"


def _rows(cells: "Iterable[Cell]", what: str) -> Iterable[tuple[str, str, str, str]]:
    for cell in cells:
        job = f" ({cell.job.id})" if cell.job else ""
        why = f"{what}: {cell.skipped}{job}" if cell.skipped else what
        command = formatting.one_line(cell.command, 1000)
        yield str(cell.key.number), cell.name, why, command


def group_jobs(listed: "GroupJobs") -> None:
    """The jobs of a group, then the group in one row."""
    cells = [
        dashboard.row(rows.job_row(job, progress)) for job, progress in listed.jobs
    ]
    draw(table(dashboard.COLUMNS, cells))
    tell(*wait_reasons.lines(job for job, _ in listed.jobs))
    row = dashboard.group_row(group_rows.group_row(listed.summary))
    draw(table(dashboard.GROUP_COLUMNS, [row]))


def stop(report: "GroupStopReport") -> None:
    """What was ended of a group, and what could not be."""
    for each in report.stopped:
        tell(formatting.job_line(each.job))
    if not report.stopped:
        tell(f"{report.group}: none of its jobs runs")
    tell(*(f"not ended: {line}" for line in report.left))
