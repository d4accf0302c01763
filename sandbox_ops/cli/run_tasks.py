"""The verbs that list, show, compare, draw and export runs, as Invoke tasks."""

import dataclasses
from collections.abc import Sequence

from invoke import Context

from sandbox_ops.cli import run_options
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.fleet import on_several


@verb("reads", repeated=("where", "state", "group", "tag"), **run_options.QUERY)  # type: ignore[arg-type]  # all of it is help
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

    wanted = run_options.query(where, since, state, group, tag, sort, limit, sandbox)
    with (
        run_options.machines(context, sandbox, local=local) as machines,
        terminal.busy("asking", quiet=json),
    ):
        report = work(machines.sandboxes, machines.project, wanted)
    return Answer.of(
        report,
        lambda: run_views.runs(report, wanted),
        rows=run_views.run_rows(report),
    )


@verb("reads", operand="RUN", run=run_options.RUN, local=run_options.QUERY["local"])
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

    wanted = run_options.needed([run] if run else [], 1, "show")[0]
    with (
        run_options.machines_of(context, [wanted], sandbox, local=local) as machines,
        terminal.busy("asking", quiet=json),
    ):
        report = work(
            machines.sandboxes, machines.project, wanted, default=machines.default
        )
    return Answer.of(report, lambda: run_views.show(report))


@verb(
    "reads",
    operand="RUN...",
    repeated=("run",),
    run=run_options.RUN,
    local=run_options.QUERY["local"],
)
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

    first, second = run_options.needed(run or (), 2, "diff")
    with (
        run_options.machines_of(
            context, [first, second], sandbox, local=local
        ) as machines,
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
    repeated=("where", "state", "group", "tag"),
    format_="csv, json, or mlflow: folders as MLflow's file store has them.",
    into="The file here, for mlflow the folder; without it standard output.",
    overwrite="Replace a file that is there.",
    **{**run_options.QUERY, "limit": "At most so many; 0, as without it: all."},  # type: ignore[arg-type]  # help
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

    wanted = run_options.query(where, since, state, group, tag, sort, limit, sandbox)
    with (
        run_options.machines(context, sandbox, local=local) as machines,
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
        run_options.machines_of(context, run or (), sandbox) as machines,
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
