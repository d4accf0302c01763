"""What people read about a sweep over several machines."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sandbox_ops.cli import next_steps
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import draw, table, tell
from sandbox_ops.text import formatting
from sandbox_ops.workflows import spread_lines

if TYPE_CHECKING:
    from sandbox_ops.workflows.listed_cells import ListedCell
    from sandbox_ops.workflows.spread_plan import Standing
    from sandbox_ops.workflows.spread_report import SpreadReport

_COLUMNS = (
    Column(name="CELL"),
    Column(name="SANDBOX"),
    Column(name="NAME", least=16, most=64, wraps=True),
    Column(name="WHAT", least=8, wraps=True),
    Column(name="COMMAND", least=20, wraps=True),
)
_Row = tuple[int, str, str, str, str]


def started(report: "SpreadReport") -> None:
    """The cells: started, planned, skipped, and not started."""
    for share in report.shares:
        tell(*(f"warning: {share.sandbox}: {line}" for line in share.warnings))
    tell(*(f"warning: {warning}" for warning in report.warnings))
    cells: list[_Row] = [
        *(
            (
                job.cell or 0,
                name,
                job.name,
                job.id,
                formatting.one_line(job.command, 1000),
            )
            for name, job in report.jobs
        ),
        *(_row(each, "", "would be handed out") for each in report.planned),
        *_placed(report.skipped, "skipped: "),
        *_placed(report.unknown, "not known whether it runs"),
        *(_row(each, "", "not started") for each in report.not_started),
    ]
    if cells:
        cells.sort(key=lambda row: row[0])
        rows = [(str(number), *rest) for number, *rest in cells]
        draw(table(_COLUMNS, rows))
    tell(spread_lines.headline(report))
    for share in report.shares:
        if share.error:
            tell(f"{share.sandbox}: {share.error.message}")
    tell(*map(str, report.next_steps))
    if report.jobs:
        of = {"job": report.group, "on": report.on}
        tell(
            f"see them: {next_steps.command('monitor', **of)}",
            f"wait for all: {next_steps.command('wait', **of)}",
            f"end them: {next_steps.command('stop', **of)}",
        )


def _row(cell: "ListedCell", machine: str, what: str) -> _Row:
    command = formatting.one_line(cell.command, 1000)
    return cell.number, machine, cell.name, what, command


def _placed(
    placed: "Iterable[tuple[ListedCell, Standing]]", what: str
) -> "Iterable[_Row]":
    for cell, standing in placed:
        why = standing.why if what.endswith(" ") else ""
        job = f" ({standing.job})" if standing.job else ""
        yield _row(cell, standing.machine, f"{what}{why}{job}")
