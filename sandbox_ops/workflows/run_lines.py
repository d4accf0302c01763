"""Runs as lines of plain text, for a face without tables: the list, one, or two compared."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.text import formatting
from sandbox_ops.workflows import run_query
from sandbox_ops.workflows.report_lines import Lines
from sandbox_ops.workflows.run_diff import DiffReport, diff
from sandbox_ops.workflows.run_rows import run_row
from sandbox_ops.workflows.runs import RunReport, runs, show

_MOST_CHARACTERS = 400
_LIMIT = 20


def answer(
    sandboxes: Sequence[Sandbox],
    project: Project,
    *,
    run: Sequence[str] = (),
    where: Sequence[str] = (),
    group: str = "",
    sort: str = "",
    limit: int | None = None,
) -> Lines:
    """Say what is known of the runs on some machines.

    Args:
        sandboxes: The machines; an id without a machine's name is the first one's.
        project: Whose runs.
        run: One to show with its record, or two to compare; none: the list.
        where: Conditions, see `run_query`.
        group: Only those of this group.
        sort: See `RunQuery`.
        limit: At most so many; 0: all.

    Raises:
        UsageError: More than two runs, or a condition that cannot be read.
        NotFoundError: There is no such run.
    """
    name = sandboxes[0].config.name
    if len(run) == 1:
        return _one(show(sandboxes, project, run[0], default=name))
    if len(run) > 2:  # noqa: PLR2004 - two are compared
        raise UsageError(f"two runs are compared, not {len(run)}")
    if run:
        return _two(diff(sandboxes, project, run[0], run[1], default=name))
    wanted = run_query.query(
        where=where,
        groups=(group,) if group else (),
        sort=sort,
        limit=_LIMIT if limit is None else limit,
    )
    default = "" if len(sandboxes) > 1 else name
    return _list(sandboxes, project, wanted, default)


def _list(
    sandboxes: Sequence[Sandbox],
    project: Project,
    wanted: run_query.RunQuery,
    default: str,
) -> Lines:
    """Say which runs there are; each with its machine, where that may not be meant alone."""
    report = runs(sandboxes, project, wanted)
    for name, reason in report.unreachable.items():
        yield f"{name} cannot be reached; this is what was seen last: {reason}"
    yield f"{len(report.runs)} of {report.total} runs"
    several = bool({run.sandbox for run in report.runs} - {default})
    for row in (run_row(run, several=several) for run in report.runs):
        facts = (
            row.id, row.name, row.state, formatting.duration(row.elapsed_s),
            row.settings, ", ".join(row.metrics), "best " * bool(row.best) + ", ".join(row.best),
            row.commit, row.tags, row.note,
        )  # fmt: skip
        yield formatting.one_line("; ".join(filter(None, facts)), _MOST_CHARACTERS)


def _one(report: RunReport) -> Lines:
    value = report.as_json()
    record = value.pop("record")
    yield from _facts(value)
    yield "record:"
    yield from _facts({k: v for k, v in record.items() if k not in value})
    yield NextStep("rerun", {"run": report.run.job.id}, "Run it again")


def _two(report: DiffReport) -> Lines:
    value = report.as_json()
    yield f"{' against '.join(value['runs'])}: what differs"
    yield from _facts(value)


def _facts(values: Mapping[str, Any]) -> Lines:
    for name, value in values.items():
        if value not in (None, "", [], {}):
            shown = value if isinstance(value, str) else json.dumps(value)
            yield formatting.one_line(f"{name}: {shown}", _MOST_CHARACTERS)
