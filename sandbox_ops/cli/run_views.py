"""What people read of runs: the list, one of them, two side by side.

(Over 250 lines: one short function a report, and the words for a run's values in one place.)
"""

import datetime as dt
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import chart, dashboard, next_steps, output
from sandbox_ops.cli.face import Rows, say
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import draw, table, tell
from sandbox_ops.text import formatting
from sandbox_ops.workflows import wait_reasons
from sandbox_ops.workflows.run_rows import run_row

if TYPE_CHECKING:
    from sandbox_ops.machine.attempts import Attempt
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
    Column(name="SETTINGS", least=12, most=40, wraps=True, optional=True),
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
_ATTEMPT_COLUMNS = (
    Column(name="ATTEMPT"),
    Column(name="STATE", least=16, wraps=True),
    Column(name="STARTED"),
    Column(name="TIME"),
    Column(name="LOG"),
)
_OUTPUT_COLUMNS = (
    Column(name="OUTPUT", least=20, wraps=True),
    Column(name="SIZE"),
    Column(name="SHA256", least=12),
)
_LEAST_ROOM = 20  # columns for a value, however narrow the terminal
_WIDTH, _MOST_WIDTH = 80, 160  # columns of a chart: in a pipe, and at most
_HEIGHT, _LEAST_HEIGHT = 20, 10
_SHOWN_OUTPUTS = 20
_SHOWN_COMMITS = 20


def runs(report: "RunsReport", query: "RunQuery") -> None:
    """The runs, and which machines did not answer."""
    if report.runs:
        draw(table(_COLUMNS, _rows(report)))
        tell(*wait_reasons.lines(run.job for run in report.runs if run.is_current))
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
            dashboard.time_and_cost(row.elapsed_s, row.cost) if row.has_begun else "",
            row.commit,
            dashboard.short_duration(_age_s(row.begun_at)),
            row.tags,
            formatting.one_line(row.note, 200),
        )
        for row in (run_row(run, several=several) for run in report.runs)
    ]


def _age_s(begun_at: float | None) -> float | None:
    return None if begun_at is None else max(0.0, time.time() - begun_at)


def run_rows(report: "RunsReport") -> Rows:
    """The same, to stand beside those of other machines."""
    reasons = (f"cannot be reached: {why}" for why in report.unreachable.values())
    waits = wait_reasons.lines(run.job for run in report.runs if run.is_current)
    return Rows(
        columns=_COLUMNS, rows=_rows(report), none="no runs", notes=(*reasons, *waits)
    )


def _unreachable(reasons: Mapping[str, str], runs: "Iterable[Run]") -> None:
    for name, reason in reasons.items():
        seen = [run.seen_at for run in runs if run.sandbox == name]
        when = f"; its runs as they were {_time(max(seen))}" if seen else ""
        tell(f"warning: {name} cannot be reached: {reason}{when}")


def show(report: "RunReport") -> None:
    """A run, a fact a line, under each other; then its attempts and what it wrote."""
    run = report.run
    facts = [pair for pair in (*_facts(run), *_record(run.record)) if pair[1]]
    width = max(len(name) for name, _ in facts)
    columns, _ = output.terminal_size()
    for name, value in facts:
        room = max(columns - width - 2, _LEAST_ROOM) if columns else 0
        first, *more = formatting.wrapped(value, room) if room else [value]
        tell(f"{name:<{width}}  {first}", *(f"{'':<{width}}  {line}" for line in more))
    if len(report.attempts) > 1:
        draw(table(_ATTEMPT_COLUMNS, map(_attempt, report.attempts)))
    shown = run.outputs[:_SHOWN_OUTPUTS]
    if shown:
        draw(table(_OUTPUT_COLUMNS, map(_output, shown)))
    if len(run.outputs) > len(shown):
        tell(f"... and {len(run.outputs) - len(shown)} more")


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
    yield "queued", _time(job.queued_at)
    yield "started", _time(job.started_at)
    yield "ended", _time(job.ended_at)
    yield "time", "" if job.elapsed_s is None else formatting.duration(job.elapsed_s)
    yield "commit", run.commit
    yield "command", job.command
    yield "settings", ", ".join(f"{k}={v}" for k, v in run.settings.items())
    yield "metrics", _figures(run.metrics or {})
    sampled = " (of a part of a long log)" if run.is_sampled else ""
    yield "best", _figures(run.best) + sampled
    yield "tags", ", ".join(run.tags)
    yield "note", run.note
    yield "log", job.log_path


_IN_FACTS = frozenset(
    {
        *("commit", "settings", "group", "cell", "command", "format", "sandbox"),
        "gpus_wanted",
    }
)
_FACT_NAMES = {
    "cost_per_hour": "cost per hour",
    "cwd": "folder",
    "dirty": "edits",
    "env_names": "variables",
    "environment_is_current": "installed",
    "outputs": "declared",
    "untracked": "not tracked",
}
_WORDS = {
    ("dirty", False): "",
    ("dirty", True): "there were some: dirty.patch in its folder",
    ("environment_is_current", True): "",
    ("environment_is_current", False): "not what the project asked for",
}


def _record(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what else the run record says, in words."""
    for name, value in record.items():
        if name not in _IN_FACTS and value not in (None, [], {}, ""):
            known = isinstance(value, bool) and (name, value) in _WORDS
            shown = _WORDS[name, bool(value)] if known else _value(value)
            yield _FACT_NAMES.get(name, name), formatting.one_line(shown, 400)


def _attempt(attempt: "Attempt") -> tuple[str, ...]:
    job = attempt.job
    end = "" if attempt.log_to is None else attempt.log_to
    return (
        str(job.attempt),
        job.words,
        _time(job.started_at),
        "" if job.elapsed_s is None else dashboard.short_duration(job.elapsed_s),
        f"bytes {attempt.log_from} to {end}".rstrip(),
    )


def _output(file: Mapping[str, Any]) -> tuple[str, ...]:
    size, sha256 = formatting.size(file.get("size_bytes")), file.get("sha256")
    return str(file.get("path")), size, str(sha256 or "")


def diff(report: "DiffReport") -> None:
    """Two runs, where they differ."""
    pairs: list[tuple[str, ...]] = []
    if report.commit:
        pairs.append(("commit", *map(formatting.short, report.commit)))
    if report.command:
        pairs.append(("command", *report.command))
    for prefix, group in (
        ("settings.", report.settings),
        ("", report.environment),
        ("metrics.", report.metrics),
    ):
        pairs += [(f"{prefix}{k}", *map(_value, pair)) for k, pair in group.items()]
    names = [
        f"{run.sandbox}:{run.job.id} {run.job.name}".rstrip() for run in report.runs
    ]
    tell(f"first: {names[0]}", f"second: {names[1]}")
    if pairs:
        draw(table(_PAIR_COLUMNS, pairs))
    else:
        tell("no differences found")
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
    """A value of a record or a metric in words."""
    if isinstance(value, float):
        return formatting.figure(value)
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    if isinstance(value, dict):
        known = (value.get("index"), value.get("name"))
        return " ".join(str(each) for each in known if each is not None) or _dumped(
            value
        )
    return value if isinstance(value, str) else _dumped(value)


def _dumped(value: object) -> str:
    return json.dumps(value)


def _figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{k} {formatting.figure(v)}" for k, v in metrics.items())


def _time(at: float | None) -> str:
    if at is None:
        return ""
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
