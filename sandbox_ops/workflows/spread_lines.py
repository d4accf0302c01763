"""A sweep over several machines in words, for every face. Pure."""

from collections.abc import Iterable

from sandbox_ops.text import formatting
from sandbox_ops.workflows.report_lines import Lines
from sandbox_ops.workflows.spread_report import Placed, SpreadReport

_MOST_NAMES = 20


def headline(report: SpreadReport) -> str:
    """`t1: 12 jobs started; 5 on gpu1; 7 on gpu2; 3 skipped`."""
    if report.dry_run:
        count = formatting.count(len(report.planned), "cell")
        return f"{report.group}: {count} would be handed out"
    by_machine = (
        f"{len(share.jobs)} on {share.sandbox}" for share in report.shares if share.jobs
    )
    others = (
        (report.skipped, "skipped"),
        (report.unknown, "not known"),
        (report.not_started, "not started"),
    )
    parts = [
        f"{formatting.count(len(report.jobs), 'job')} started",
        *by_machine,
        *(f"{len(cells)} {what}" for cells, what in others if cells),
    ]
    return f"{report.group}: {'; '.join(parts)}"


def lines(report: SpreadReport) -> Lines:
    """Say what was started on which machine, what was not, and what can be done then."""
    yield headline(report)
    for share in report.shares:
        if share.jobs:
            jobs = (f'{job.id} "{job.name}"' for job in share.jobs)
            yield f"{share.sandbox}: {_few(jobs)}"
        if share.error:
            yield f"{share.sandbox}: {share.error.message}"
        yield from (f"warning: {share.sandbox}: {line}" for line in share.warnings)
    yield from (f"warning: {line}" for line in report.warnings)
    if report.planned:
        yield f"would be handed out: {_few(each.name for each in report.planned)}"
    for placed, what in ((report.skipped, "skipped"), (report.unknown, "not known")):
        if placed:
            yield f"{what}: {_few(map(_placed, placed))}"
    if report.not_started:
        yield f"not started: {_few(each.name for each in report.not_started)}"
    yield from report.next_steps


def _placed(placed: Placed) -> str:
    cell, standing = placed
    where = f" {standing.job} on {standing.machine}" if standing.machine else ""
    return f'"{cell.name}"{where} {standing.why}'


def _few(texts: Iterable[str]) -> str:
    every = list(texts)
    more = len(every) - _MOST_NAMES
    return ", ".join(every[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
