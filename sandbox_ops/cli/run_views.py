"""What people read of runs: the list, one of them, two side by side."""

import datetime as dt
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from sandbox_ops.cli import chart, dashboard, next_steps, output
from sandbox_ops.cli.face import Rows, say
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import draw, table, tell
from sandbox_ops.text import formatting
from sandbox_ops.workflows.run_rows import run_row

if TYPE_CHECKING:
    from sandbox_ops.models.runs import Run
    from sandbox_ops.workflows.export import ExportReport
    from sandbox_ops.workflows.label_run import LabelReport
    from sandbox_ops.workflows.plot import PlotReport
    from sandbox_ops.workflows.rerun import RerunReport
    from sandbox_ops.workflows.run_diff import DiffReport
    from sandbox_ops.workflows.run_query import RunQuery
    from sandbox_ops.workflows.runs import RunReport, RunsReport

_COLUMNS = (
    Column(name="RUN"),
    Column(name="NAME", least=12, most=28, wraps=True),
    Column(name="STATE", least=9, most=16, wraps=True),
    Column(name="METRICS", least=12, most=40, wraps=True),
    Column(name="BEST", least=12, most=24, wraps=True, optional=True),
    Column(name="SETTINGS", least=8, most=40, wraps=True, optional=True),
    Column(name="TIME", optional=True),
    Column(name="COMMIT", optional=True),
    Column(name="AGE", optional=True),
    Column(name="TAGS", least=6, optional=True),
    Column(name="NOTE", least=10, optional=True),
)
_PAIR_COLUMNS = (
    Column(name="WHAT"),
    Column(name="FIRST", least=12, wraps=True),
    Column(name="SECOND", least=12, wraps=True),
)
_WIDTH, _MOST_WIDTH = 80, 160  # columns of a chart: in a pipe, and at most
_HEIGHT, _LEAST_HEIGHT = 20, 10
_SHOWN_OUTPUTS = 20
_SHOWN_COMMITS = 20


def runs(report: "RunsReport", query: "RunQuery") -> None:
    """The runs, and which machines did not answer."""
    if report.runs:
        draw(table(_COLUMNS, _rows(report)))
    elif query.where or query.sandboxes or query.states or query.groups or query.tags:
        tell("no runs fit; all of them: " + next_steps.command("runs"))
    else:
        tell(f"no runs yet; start one: {next_steps.command('train')}")
    if report.total > len(report.runs):
        more = next_steps.command("runs", limit=0)
        tell(f"{len(report.runs)} of {report.total} runs; all of them: {more}")
    _unreachable(report.unreachable, report.runs)


def _rows(report: "RunsReport") -> list[tuple[str, ...]]:
    several = len({run.sandbox for run in report.runs}) > 1
    return [
        (
            row.id,
            row.name,
            row.state,
            ", ".join(row.metrics),
            ", ".join(row.best),
            row.settings,
            dashboard.time_and_cost(row.elapsed_s, row.cost),
            row.commit,
            dashboard.short_duration(row.age_s),
            row.tags,
            formatting.one_line(row.note, 200),
        )
        for row in (run_row(run, several=several) for run in report.runs)
    ]


def run_rows(report: "RunsReport") -> Rows:
    """The same, to stand beside those of other machines."""
    reasons = (f"cannot be reached: {why}" for why in report.unreachable.values())
    return Rows(
        columns=_COLUMNS, rows=_rows(report), none="no runs", notes=tuple(reasons)
    )


def _unreachable(reasons: Mapping[str, str], runs: "Iterable[Run]") -> None:
    for name, reason in reasons.items():
        seen = [run.seen_at for run in runs if run.sandbox == name]
        when = f"; its runs as they were {_time(max(seen))}" if seen else ""
        tell(f"warning: {name} cannot be reached: {reason}{when}")


def show(report: "RunReport") -> None:
    """A run, a fact a line."""
    run = report.run
    tell(*(f"{name:<12} {value}" for name, value in _facts(run) if value))
    for name, value in run.record.items():
        if name not in _SAID and value not in (None, [], {}, ""):
            shown = value if isinstance(value, str) else json.dumps(value)
            tell(f"{name:<12} {formatting.one_line(shown, 400)}")
    for file in run.outputs[:_SHOWN_OUTPUTS]:
        size = formatting.size(file.get("size_bytes"))
        tell(f"output       {file.get('path')}  {size}  {file.get('sha256')}")
    if len(run.outputs) > _SHOWN_OUTPUTS:
        tell(f"             ... and {len(run.outputs) - _SHOWN_OUTPUTS} more")


_SAID = frozenset(
    {"commit", "settings", "group", "cell", "command", "format", "sandbox"}
)


def _facts(run: "Run") -> Iterator[tuple[str, str]]:
    job = run.job
    yield "run", f"{job.id} on {run.sandbox}"
    yield "name", job.name
    yield "group", f"{run.group}/{run.cell}" if run.group and run.cell else run.group
    state = job.words if run.is_current or job.state.ended else str(run.state)
    seen = (
        "" if run.is_current or job.state.ended else f", last seen {_time(run.seen_at)}"
    )
    yield "state", f"{state}{seen}"
    yield "started", _time(job.started_at)
    yield "time", formatting.duration(job.elapsed_s)
    yield "commit", run.commit
    yield "command", job.command
    yield "settings", ", ".join(f"{k}={v}" for k, v in run.settings.items())
    yield "metrics", _figures(run.metrics or {})
    yield (
        "best",
        _figures(run.best) + (" (of a part of a long log)" if run.is_sampled else ""),
    )
    yield "tags", ", ".join(run.tags)
    yield "note", run.note
    yield "log", job.log_path


def diff(report: "DiffReport") -> None:
    """Two runs, where they differ."""
    pairs: list[tuple[str, ...]] = []
    if report.commit:
        pairs.append(("commit", *map(formatting.short, report.commit)))
    if report.command:
        pairs.append(("command", *report.command))
    for group in (report.settings, report.environment, report.metrics):
        pairs += [(name, *map(_value, pair)) for name, pair in group.items()]
    names = [
        f"{run.sandbox}:{run.job.id} {run.job.name}".rstrip() for run in report.runs
    ]
    tell(f"first: {names[0]}", f"second: {names[1]}")
    if pairs:
        draw(table(_PAIR_COLUMNS, pairs))
    else:
        tell("no difference is known")
    for sign, commits in (("+", report.only_second), ("-", report.only_first)):
        shown = (commits or ())[:_SHOWN_COMMITS]
        tell(*(f"{sign} {commit}" for commit in shown))
        if commits and len(commits) > len(shown):
            tell(f"{sign} ... and {len(commits) - len(shown)} more")
    tell(*(f"warning: {warning}" for warning in report.warnings))


def labels(report: "LabelReport") -> None:
    """A run with its tags and its note."""
    run = report.run
    tags = f" [{', '.join(run.tags)}]" if run.tags else ""
    note = f": {formatting.one_line(run.note, 400)}" if run.note else ""
    tell(f"{run.job.id} {run.job.name}".rstrip() + f"{tags}{note}")
    tell(*(f"warning: {warning}" for warning in report.warnings))


def rerun(report: "RerunReport") -> None:
    """The job that was started, and what is not as it was."""
    tell(
        *(f"warning: {warning}" for warning in report.warnings),
        f"started {formatting.job_line(report.job)}",
        f"as {report.of.job.id} at {formatting.short(report.of.commit)}"
        + ("" if report.differs else ": nothing is known to differ"),
        *(f"differs: {line}" for line in report.differs),
        f"follow it: {next_steps.command('logs', job=report.job.id, follow=True)}",
    )


def export(report: "ExportReport") -> None:
    """The text, or where it is."""
    output.write(report.text)
    for name, reason in report.unreachable.items():
        say(f"warning: {name} cannot be reached: {reason}")
    if report.into:
        tell(f"{formatting.count(report.runs, 'run')} written to {report.into}")


def plot(report: "PlotReport", *, log: bool) -> None:
    """The curves, or where they are; which runs have none."""
    if report.out:
        runs_drawn = formatting.count(len(report.series), "run")
        tell(f"{report.metric} of {runs_drawn} drawn into {report.out}")
    else:
        columns, lines = output.terminal_size()
        drawn = chart.chart(
            report,
            width=min(columns or _WIDTH, _MOST_WIDTH),
            height=max(_LEAST_HEIGHT, min(_HEIGHT, lines - len(report.series) - 4)),
            log=log,
            colours=bool(columns) and not os.environ.get("NO_COLOR"),
        )
        output.write_drawn(f"{drawn}\n")
    if report.without:
        ids = ", ".join(run.job.id for run in report.without)
        say(f"without {report.metric}: {ids}")
    others = [name for name in report.metrics if name != report.metric]
    if others and not report.out:
        say(f"other metrics: {', '.join(others[:12])}")


def _value(value: object) -> str:
    if isinstance(value, float):
        return formatting.figure(value)
    if value is None:
        return "-"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ", ".join(str(each.get("name")) for each in value)
    return value if isinstance(value, str) else json.dumps(value)


def _figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{k} {formatting.figure(v)}" for k, v in metrics.items())


def _time(at: float | None) -> str:
    if at is None:
        return "?"
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
