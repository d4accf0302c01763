"""The verbs about runs, as Invoke tasks: what was trained, with what result."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import time as _now
from typing import TYPE_CHECKING, Any

from invoke import Context

from sandbox_ops.cli import option_values
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.fleet import on_several
from sandbox_ops.cli.session import opened, opened_all, settings_here
from sandbox_ops.errors import NextStep, UsageError

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Project
    from sandbox_ops.workflows.run_query import RunQuery

_RUN = "A run: its id, number or name, last, t1/3, or gpu1:remote-3."
_QUERY = {
    "where": "Only runs for which it holds: 'lr<1e-3', 'loss<=0.5'; may be repeated.",
    "since": "Started since 90m, 8h, 2d, or a date: 2026-11-24.",
    "state": "Only those in this state; may be repeated.",
    "group": "Only those of this group; may be repeated.",
    "tag": "Only those with this tag; may be repeated.",
    "sort": "By a setting, a metric or a field, the best first; -NAME: the other way.",
    "limit": "At most so many; 0: all.",
    "local": "What this clone remembers; no machine is asked.",
}


@verb("reads", repeated=("where", "state", "group", "tag"), **_QUERY)  # type: ignore[arg-type]  # all of it is help
@on_several
def runs(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    where: Sequence[str] | None = None,
    since: str = "",
    state: Sequence[str] | None = None,
    group: Sequence[str] | None = None,
    tag: Sequence[str] | None = None,
    sort: str = "",
    limit: int = 50,
    local: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """List the project's runs on all machines: settings, commit, state, metrics."""
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.runs import runs as work

    wanted = _query(where, since, state, group, tag, sort, limit)
    with (
        _machines(context, sandbox, local=local) as machines,
        terminal.busy("asking", quiet=json),
    ):
        report = work(machines.sandboxes, machines.project, wanted)
    return Answer.of(
        report,
        lambda: run_views.runs(report, wanted),
        rows=run_views.run_rows(report),
    )


@verb("reads", operand="RUN", run=_RUN, local=_QUERY["local"])
def show(
    context: Context,
    *,
    run: str = "",
    local: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Show a run: its record, how it ended, its metrics and what it wrote."""
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.runs import show as work

    wanted = _needed([run] if run else [], 1, "show")[0]
    with (
        _machines_of(context, [wanted], sandbox, local=local) as machines,
        terminal.busy("asking", quiet=json),
    ):
        report = work(
            machines.sandboxes, machines.project, wanted, default=machines.default
        )
    return Answer.of(report, lambda: run_views.show(report))


@verb("reads", operand="RUN...", repeated=("run",), run=_RUN, local=_QUERY["local"])
def diff(
    context: Context,
    *,
    run: Sequence[str] | None = None,
    local: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Compare two runs: commit, settings, environment and metrics that differ."""
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.run_diff import diff as work

    first, second = _needed(run or (), 2, "diff")
    with (
        _machines_of(context, [first, second], sandbox, local=local) as machines,
        terminal.busy("asking", quiet=json),
    ):
        report = work(
            machines.sandboxes,
            machines.project,
            first,
            second,
            default=machines.default,
        )
    return Answer.of(report, lambda: run_views.diff(report))


@verb(
    "changes",
    operand="RUN TEXT...",
    repeated=("run",),
    run=f"{_RUN} Then the note, in quotes.",
    text="The note; an empty one takes it away.",
)
def note(
    context: Context,
    *,
    run: Sequence[str] | None = None,
    text: str | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Write a note about a run; it takes the place of the one before."""
    named, *words = run or [""]
    if text is None and not words:
        raise UsageError(
            "`note` needs a run and a text", 'sandbox-ops note remote-3 "diverged"'
        )
    said = " ".join(words) if text is None else text
    return _labelled(context, named, "note", sandbox, quiet=json, note=said)


@verb(
    "changes",
    operand="RUN TAG...",
    repeated=("run", "tag"),
    run=f"{_RUN} Then the tags.",
    tag="A tag; may be repeated.",
)
def tag(
    context: Context,
    *,
    run: Sequence[str] | None = None,
    tag: Sequence[str] | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Give a run a tag, by which `runs --tag` finds it."""
    named, tags = _run_and_tags(run, tag, "tag")
    return _labelled(context, named, "tag", sandbox, quiet=json, tags=tags)


@verb(
    "changes",
    operand="RUN TAG...",
    repeated=("run", "tag"),
    run=f"{_RUN} Then the tags.",
    tag="A tag; may be repeated.",
)
def untag(
    context: Context,
    *,
    run: Sequence[str] | None = None,
    tag: Sequence[str] | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Take a tag from a run."""
    named, tags = _run_and_tags(run, tag, "untag")
    return _labelled(context, named, "untag", sandbox, quiet=json, untags=tags)


@verb(
    "changes",
    operand="RUN",
    repeated=("env", "force"),
    run=_RUN,
    name="A name for the new job; without it that of the run.",
    time="End it after 90, 90s, 30m, 8h, 2d or 1:30:00.",
    env="Give it this variable of yours, by its name; may be repeated.",
    env_file="Give it the variables of this file: NAME=VALUE lines.",
    force="Go on in spite of a refusal, by the name that it gave; may be repeated.",
)
def rerun(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    run: str = "",
    name: str = "",
    time: str = "",
    env: Sequence[str] | None = None,
    env_file: str = "",
    force: Sequence[str] | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Run the same commit, command and settings again; say what is not the same."""
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.rerun import rerun as work

    wanted = _needed([run] if run else [], 1, "rerun")[0]
    time_s = option_values.seconds(time, "--time")
    values = option_values.environment(env or (), env_file, os.environ)
    with (
        opened(context, sandbox) as machine,
        terminal.busy("looking before the start", quiet=json),
    ):
        report = work(
            machine.sandbox,
            machine.project,
            wanted,
            name=name,
            env=values,
            time_s=time_s,
            force=tuple(force or ()),
        )
    return Answer.of(report, lambda: run_views.rerun(report))


@verb(
    "changes",
    repeated=("where", "state", "group", "tag"),
    format_="csv, json, or mlflow: folders as MLflow's file store has them.",
    into="The file here, for mlflow the folder; without it standard output.",
    overwrite="Replace a file that is there.",
    **{**_QUERY, "limit": "At most so many; 0, as without it: all."},  # type: ignore[arg-type]  # help
)
def export(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    format_: str = "csv",
    into: str = "",
    overwrite: bool = False,
    where: Sequence[str] | None = None,
    since: str = "",
    state: Sequence[str] | None = None,
    group: Sequence[str] | None = None,
    tag: Sequence[str] | None = None,
    sort: str = "",
    limit: int = 0,
    local: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Write runs as CSV, JSON, or folders for MLflow."""
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.export import export as work

    wanted = _query(where, since, state, group, tag, sort, limit)
    with (
        _machines(context, sandbox, local=local) as machines,
        terminal.busy("asking", quiet=json),
    ):
        report = work(
            machines.sandboxes,
            machines.project,
            wanted,
            to_format=format_,
            into=into,
            overwrite=overwrite,
        )
    return Answer.of(report, lambda: run_views.export(report))


@verb(
    "changes",
    operand="RUN...",
    repeated=("run",),
    run="A run as `show` takes it, or a group: all of its runs; several.",
    metric="Which; without it the one that matters most.",
    out="Draw into this file here, .png or .svg, instead of the terminal.",
    smooth="A running mean that keeps so much of what was before: 0 to less than 1.",
    log="The values on a logarithmic axis.",
    overwrite="Replace a file that is there.",
)
def plot(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    run: Sequence[str] | None = None,
    metric: str = "",
    out: str = "",
    smooth: float = 0.0,
    log: bool = False,
    overwrite: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Draw a metric of runs over time: in the terminal, or as PNG or SVG."""
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.plot import plot as work

    file = None
    if out:
        from sandbox_ops.workflows import picture

        file = picture.check(out, overwrite=overwrite)
    with (
        _machines_of(context, run or (), sandbox) as machines,
        terminal.busy("reading", quiet=json),
    ):
        report = work(
            machines.sandboxes,
            machines.project,
            run or (),
            metric=metric,
            smooth=smooth,
            default=machines.default,
        )
    if file is not None:
        picture.draw(report, file, log=log)
        report = dataclasses.replace(report, out=str(file))
    return Answer.of(report, lambda: run_views.plot(report, log=log))


def _labelled(
    context: Context,
    run: str,
    name: str,
    sandbox: str,
    *,
    quiet: bool,
    **said: Any,  # noqa: ANN401 - as `label_run` takes it
) -> Answer:
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.label_run import label_run

    wanted = _needed([run] if run else [], 1, name)[0]
    with (
        _machines_of(context, [wanted], sandbox) as machines,
        terminal.busy("asking", quiet=quiet),
    ):
        report = label_run(
            machines.sandboxes,
            machines.project,
            wanted,
            default=machines.default,
            **said,
        )
    return Answer.of(report, lambda: run_views.labels(report))


def _run_and_tags(
    words: Sequence[str] | None, tags: Sequence[str] | None, name: str
) -> tuple[str, tuple[str, ...]]:
    """The run, and the tags that stand after it or were given by `--tag`.

    Raises:
        UsageError: There is no run, or no tag.
    """
    run, *more = words or [""]
    wanted = (*more, *(tags or ()))
    if not run or not wanted:
        raise UsageError(
            f"`{name}` needs a run and a tag", f"sandbox-ops {name} remote-3 baseline"
        )
    return run, wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machines:
    """The machines to ask, whose project it is, and which an id belongs to."""

    sandboxes: "tuple[Sandbox, ...]"
    project: "Project"
    default: str = ""


@contextlib.contextmanager
def _machines(context: Context, sandbox: str, *, local: bool) -> Iterator[_Machines]:
    """Every machine that is configured, or the one that is named."""
    settings = settings_here()
    if local:
        yield _Machines(sandboxes=(), project=settings.project)
        return
    with opened_all(context, sandbox) as sandboxes:
        yield _Machines(sandboxes=sandboxes, project=settings.project)


@contextlib.contextmanager
def _machines_of(
    context: Context, references: Sequence[str], sandbox: str, *, local: bool = False
) -> Iterator[_Machines]:
    """The machines that references name, and else the one that is named, or the default."""
    settings = settings_here()
    named = [text.partition(":")[0] for text in references]
    names = {name for name in named if name in settings.sandbox_names}
    if len(names) < len(references) or not references:
        names.add(sandbox)
    with contextlib.ExitStack() as stack:
        machines = () if local else tuple(
            stack.enter_context(opened(context, name)) for name in sorted(names)
        )  # fmt: skip
        chosen = [m.sandbox.config.name for name, m in zip(sorted(names), machines, strict=False) if name == sandbox]  # fmt: skip
        yield _Machines(
            sandboxes=tuple(machine.sandbox for machine in machines),
            project=settings.project,
            default=chosen[0] if chosen else sandbox,
        )


def _needed(given: Sequence[str], count: int, name: str) -> Sequence[str]:
    """The runs that a verb takes.

    Raises:
        UsageError: They are fewer, or more.
    """
    if len(given) == count:
        return given
    wanted = "a run" if count == 1 else "two runs"
    example = ["remote-1", "remote-2"][:count]
    raise UsageError(
        f"`{name}` needs {wanted}, and got {len(given)}",
        NextStep(name, {"run": example if count > 1 else example[0]}, "For example"),
        NextStep("runs", purpose="They are listed by"),
    )


def _query(
    where: Sequence[str] | None,
    since: str,
    state: Sequence[str] | None,
    group: Sequence[str] | None,
    tag: Sequence[str] | None,
    sort: str,
    limit: int,
) -> "RunQuery":
    from sandbox_ops.workflows import run_query

    return run_query.query(
        where=where or (),
        started_after=option_values.since(since, _now()),
        states=state or (),
        groups=group or (),
        tags=tag or (),
        sort=sort,
        limit=limit,
    )
