"""sweep: many trainings as one object: each combination of their settings is a job.

All of them wait in the machine's queue, which starts them with no client connected.
(A few lines over 250: half of it says what the arguments mean.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sandbox_ops.errors import (
    NextStep,
    NotFoundError,
    RefusedError,
    UsageError,
)
from sandbox_ops.machine import groups
from sandbox_ops.machine.groups import CellStart, Started
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.groups import Group
from sandbox_ops.workflows import (
    nodes_list,
    slurm_nodes,
    sweep_list,
    sweep_plan,
    sweep_then,
    train,
)
from sandbox_ops.workflows import own_tree as own_trees
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.preparation import Preparation, RunPlan, prepare
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.sweep_plan import Cell
from sandbox_ops.workflows.sweep_report import SweepReport, with_outcomes

_LINKS_AT_ONCE = 100


def _action(options: Mapping[str, Any]) -> str:
    if options.get("dry_run"):
        return "train --dry-run"
    is_free = options.get("command") or options.get("then")
    return "train --" if is_free else "train"


@acts_as(_action)
def sweep(  # noqa: PLR0913, PLR0915  # each is one choice
    sandbox: Sandbox,
    project: Project,
    settings: Mapping[str, Sequence[str]],
    *,
    command: str = "",
    name: str = "",
    again: bool = False,
    failed: bool = False,
    dry_run: bool = False,
    then: str = "",
    queue: QueueOptions | None = None,
    no_env: bool = False,
    own_tree: bool = False,
    time_s: float | None = None,
    gpus: int | None = None,
    nodes: int = 0,
    by_torchrun: bool = False,
    force: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cells_to_start: Sequence[Cell] | None = None,
    cancel: CancelToken | None = None,
) -> SweepReport:
    """Start a training for each combination of the settings, as one group.

    What such a start began and did not finish, the same call goes on with: a cell that
    has a job is not started again.

    Args:
        sandbox: The machine.
        project: Whose clone they run in.
        settings: The values of each hole of the command. None, no command, and `again`
            or `failed`: the cells that the group has, as they were started.
        command: A shell line with `{holes}`; "" for the configured one.
        name: Of the group, and what the names of its jobs begin with.
        again: Start also the cells that are done, or failed.
        failed: Start also the cells that ended without success.
        dry_run: Start nothing, only tell what would be started.
        then: A shell line to run on the machine when all have ended, however they did. It
            gets them in variables (SANDBOX_GROUP, SANDBOX_GROUP_SUCCEEDED, ...).
            "": what the group had so far, after the jobs that are started now.
        queue: How they wait in the machine's queue.
        no_env: They leave out what `setup` made and the project's variables.
        own_tree: As in `train`, for each.
        time_s: As in `train`, for each.
        gpus: As in `train`, for each; None: what a cell had that is started again.
        nodes: As in `train`, for each; 0: one, or what a cell had that is started again.
        by_torchrun: As in `train`, for each.
        force: As in `train`, for each.
        env: As in `train`, for each.
        cells_to_start: Just these, of a list that spans several machines.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        UsageError: More than 1,000 cells, one value twice, or as `train` has it.
        RefusedError: The group is another project's; or none was started, see `train`.
    """
    sandbox = sandbox.cancelled_by(cancel)
    train.check(name, gpus, force)
    slurm_nodes.check(sandbox, nodes)
    report = SweepReport(sandbox=sandbox.config.name, group=name, dry_run=dry_run)
    if cells_to_start is not None:
        group, cells = Group(name=name), tuple(cells_to_start)
    elif (again or failed) and not settings and not command:
        group, cells = _cells_there(sandbox, project, name, again, failed)
    else:
        fill = train.filler(
            project, command, by_torchrun=by_torchrun, nodes=nodes, gpus=gpus
        )
        name = name or sweep_plan.default_name(
            command or project.train_command, settings
        )
        group, cells = _cells(sandbox, project, settings, name, again, failed, fill)
    report = replace(report, group=group.name)
    to_start = [cell for cell in cells if not cell.skipped]
    gpus = sweep_plan.gpus_of(to_start) if gpus is None else gpus
    runs_then = sweep_then.is_wanted(group, then, len(to_start))
    if not to_start and not runs_then:
        return with_outcomes(report, cells)
    if dry_run and runs_then:
        report = replace(report, then_command=sweep_then.command_of(group, then))
    queue = queue or QueueOptions()
    try:
        ready = prepare(
            sandbox,
            project,
            [_run(cell) for cell in to_start],
            gpus=gpus,
            force=force,
            queue=queue,
            no_env=no_env,
            own_tree=own_tree,
        )
    except RefusedError as error:
        if not dry_run:
            raise
        refused = f"as things stand this is refused: {error.message}"
        return with_outcomes(replace(report, warnings=(refused,)), cells)
    report = replace(report, commit=ready.tree.head or "", warnings=ready.warnings)
    if dry_run:
        return with_outcomes(report, cells)
    starts = [
        _start(cell, ready, env, time_s, force, cell.nodes or nodes, gpus)
        for cell in to_start
    ]
    started, then_job = _started(
        sandbox, ready, group, to_start, starts, then if runs_then else None, env
    )
    report = with_outcomes(report, cells)
    warnings = _link_logs(sandbox, ready.tree.path, started.jobs)
    return replace(
        report,
        jobs=started.jobs,
        then=then_job,
        planned=(),
        not_started=tuple(to_start[len(started.jobs) :]),
        error=started.error,
        warnings=(*report.warnings, *warnings),
    )


def _started(  # each is one fact of the jobs
    sandbox: Sandbox,
    ready: Preparation,
    group: Group,
    cells: Sequence[Cell],
    starts: Sequence[CellStart],
    then: str | None,
    env: Mapping[str, str] | None,
) -> tuple[Started, Job | None]:
    """Start the jobs of the cells, and what runs after them where `then` is not None."""
    places = [ready.place(_run(cell)) for cell in cells]
    nodes_list.forget(ready.project, group.name)
    with own_trees.all_made(sandbox, places) as begun:
        started = groups.start_all(sandbox, starts)
        begun(len(started.jobs), started.error)
    if then is None or started.error:
        return started, None
    job = sweep_then.start(sandbox, ready, group, started.jobs, then, env)
    return started, job


def _cells(  # each is one choice
    sandbox: Sandbox,
    project: Project,
    settings: Mapping[str, Sequence[str]],
    name: str,
    again: bool,
    failed: bool,
    fill: Callable[[Mapping[str, str], str], str],
) -> tuple[Group, tuple[Cell, ...]]:
    """Return the group, and the cells that were asked for; costs a round trip."""
    rows = sweep_plan.combinations(settings)
    group = groups.look(sandbox, name) or Group(name=name)
    _refuse_another_project(sandbox, project, group)
    return group, sweep_plan.cells(
        group, rows, fill, project=project.name, again=again, failed=failed
    )


def _cells_there(
    sandbox: Sandbox, project: Project, name: str, again: bool, failed: bool
) -> tuple[Group, tuple[Cell, ...]]:
    """Return the group, and the cells that it has already; costs a round trip.

    Raises:
        UsageError: It has no name.
        NotFoundError: There is no such group.
    """
    if not name:
        raise UsageError(
            "the sweep is not named",
            NextStep("train", {"name": "t1", "failed": True}, "For example"),
        )
    group = groups.look(sandbox, name, with_records=True)
    if group is None or not group.members:
        raise NotFoundError(
            f"no group {name} on {sandbox.config.label}",
            NextStep("jobs", purpose="See what there is"),
        )
    _refuse_another_project(sandbox, project, group)
    return group, sweep_plan.cells_of(group, again=again, failed=failed)


def _run(cell: Cell) -> RunPlan:
    return RunPlan(cell.command, cell.settings, cell.name)


def _start(  # each is one fact of the job
    cell: Cell,
    ready: Preparation,
    env: Mapping[str, str] | None,
    time_s: float | None,
    force: Sequence[str],
    nodes: int,
    gpus: int | None,
) -> CellStart:
    of_nodes = {"nodes": nodes} if nodes > 1 else {}
    options = ready.job_options(
        _run(cell),
        env=env,
        time_s=time_s,
        force=force,
        more={"group": cell.key.group, "cell": cell.key.number, **of_nodes},
    )
    options["token"] = cell.token
    command = cell.command
    if nodes > 1:
        command = slurm_nodes.over(command, nodes, gpus, options)
    key = replace(cell.key, commit=ready.tree.head or "")
    return CellStart(command=command, options=options, cell=key)


def _link_logs(sandbox: Sandbox, path: str, jobs: Sequence[Job]) -> tuple[str, ...]:
    warnings: list[str] = []
    for at in range(0, len(jobs), _LINKS_AT_ONCE):
        warnings += train.link_logs(sandbox, path, jobs[at : at + _LINKS_AT_ONCE])
    return tuple(warnings)


def _refuse_another_project(sandbox: Sandbox, project: Project, group: Group) -> None:
    sweep_list.refuse_one_machine(project, group.name)
    paths = {job.project_path for job in group.jobs}
    others = [path for path in paths if not own_trees.is_of(sandbox, project, path)]
    if others:
        raise RefusedError(
            f"{group.name} is a group of jobs of {min(others)}",
            "Give this sweep another name.",
        )
