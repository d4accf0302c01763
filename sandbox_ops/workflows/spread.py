"""spread: a sweep over several machines, whose queues pull its cells from a list here.

Each machine gets about as many cells as run there at once, and more when fewer wait. So the
cells that a dead machine never got go elsewhere. The list says who got which: the same call
again goes on where one was cut off, and no cell is started twice.
(Over 250 lines: a third are words of options and refusals.)
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox_ops.errors import (
    NextStep,
    NotFoundError,
    SandboxError,
    UsageError,
)
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine import groups
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.groups import Group
from sandbox_ops.workflows import placement, spread_plan, sweep_plan, train
from sandbox_ops.workflows.candidates import Candidate
from sandbox_ops.workflows.fleet import on_each
from sandbox_ops.workflows.hand_out import HandOut, Rules
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.serving import Batches, MachineShare, serve
from sandbox_ops.workflows.spread_plan import Standing
from sandbox_ops.workflows.spread_report import (
    SpreadReport,
    before_the_start,
    with_outcome,
)
from sandbox_ops.workflows.sweep_list import SweepList


def spread(  # noqa: PLR0913  # each is one choice
    machines: Sequence[Sandbox],
    project: Project,
    settings: Mapping[str, Sequence[str]],
    *,
    command: str = "",
    name: str = "",
    again: bool = False,
    failed: bool = False,
    dry_run: bool = False,
    gpus: int | None = None,
    force: Sequence[str] = (),
    queue: QueueOptions | None = None,
    memory: ReliabilityFile,
    other_machine: Callable[[str], Sandbox | None] = lambda _name: None,
    on_step: Callable[[str], None] = lambda _line: None,
    cancel: CancelToken | None = None,
    **options: Any,  # noqa: ANN401  # the others of `sweep`
) -> SpreadReport:
    """Start a training for each combination of the settings, on several machines.

    Returns when each cell is with a machine: they may still run, or wait there.

    Args:
        machines: In the user's order. They are synced and set up where they need that.
        project: Whose clone they run in, and whose local clone keeps the list.
        settings: The values of each hole of the command. None, no command, and `again`
            or `failed`: the cells that the list has.
        command: As in `sweep`.
        name: As in `sweep`.
        again: As in `sweep`; what is done counts wherever it ran.
        failed: As in `sweep`; also what is with a machine that does not answer.
        dry_run: As in `sweep`; nothing is synced or set up either.
        gpus: As in `train`, for each.
        force: As in `train`, for each.
        queue: How they wait in a machine's queue.
        memory: How reliable the machines were.
        other_machine: Opens one that has cells and is not among `machines`; None: there
            is none of that name any more.
        on_step: Called with each thing that is done.
        cancel: Ends it; what is with a machine goes on.
        **options: As `sweep` has them, for each machine.

    Raises:
        UsageError: As `sweep` has it; there is no local clone; or several nodes a cell.
        RefusedError: No machine can be used, or another `train` hands out this sweep.
        NotFoundError: The list has no cells.
    """
    train.check(name, gpus, force)
    listed_alone = (again or failed) and not settings and not command
    if not name and not listed_alone:
        name = sweep_plan.default_name(command or project.train_command, settings)
    if options.get("then"):
        raise _no_step_after_all(name, machines)
    rows = () if listed_alone else sweep_plan.combinations(settings)
    fill = _filler(machines, project, command, gpus, options)
    for row in rows[:1]:
        fill(row, name)  # a wrong command is reported before any machine is asked
    batches = Batches(
        project=project,
        group=name,
        gpus=gpus,
        queue=queue,
        options={**options, "force": tuple(force), "gpus": gpus},
        memory=memory,
        on_step=on_step,
    )
    rules = Rules(again=again, failed=failed)
    cells = SweepList.of(project, name)
    with contextlib.nullcontext() if dry_run else cells.held():
        # what another client added before we held it counts
        cells = SweepList.of(project, name, is_written=not dry_run)
        candidates = placement.look(
            machines, project, gpus, memory, may_wait=True, force=force
        )
        if all(each.against for each in candidates):
            raise placement.none_can_be_taken(candidates)
        there = _groups(machines, candidates, cells, other_machine)
        wanted = _wanted(cells, rows, fill, there, project)
        standings = _standings(cells, wanted, there, candidates, rules)
        report = before_the_start(
            cells, [each.name for each in candidates], standings, dry_run=dry_run
        )
        if dry_run or not report.planned:
            return report
        hand_out = HandOut.of(cells, standings, there, rules)
        shares = _serve_all(machines, candidates, hand_out, batches, cancel)
        return with_outcome(report, cells, hand_out, shares)


def _filler(
    machines: Sequence[Sandbox],
    project: Project,
    command: str,
    gpus: int | None,
    options: dict[str, Any],
) -> Callable[[Mapping[str, str], str], str]:
    """Return what fills the command of a cell, with the options of nodes taken out.

    Raises:
        UsageError: Each cell wants several nodes.
    """
    if options.pop("nodes", 0) > 1:
        raise _goes_to_one_cluster(machines)
    by_torchrun = options.pop("by_torchrun", False)
    return train.filler(project, command, by_torchrun=by_torchrun, gpus=gpus)


def _goes_to_one_cluster(machines: Sequence[Sandbox]) -> UsageError:
    """Return the refusal of several nodes for each cell."""
    clusters = [each.config.name for each in machines if each.config.by_slurm]
    return UsageError(
        "a sweep whose trainings take several nodes each is one Slurm cluster's, which"
        " gives them the nodes",
        f"Name it: --sandbox {clusters[0] if clusters else 'CLUSTER'} instead of --on.",
    )


def _no_step_after_all(name: str, machines: Sequence[Sandbox]) -> UsageError:
    """Return the refusal of `then`, with what does the same."""
    of = {"job": name, "on": ",".join(machine.config.name for machine in machines)}
    return UsageError(
        "--then runs on the machine that has all cells, and here each has some: none of "
        "them knows when the others have ended, nor has what they wrote",
        "Start the sweep without it. When it is handed out:",
        NextStep("wait", of, "1. wait for all cells, on every machine"),
        NextStep("fetch", of, "2. bring home what they wrote"),
        "3. run the step here, or send it what came home with `put` and `run`",
    )


def _groups(
    machines: Sequence[Sandbox],
    candidates: Sequence[Candidate],
    cells: SweepList,
    other_machine: Callable[[str], Sandbox | None],
) -> dict[str, Group]:
    """Return the group as each machine has it that answers; also those not named now."""
    silent = {each.name for each in candidates if each.error}
    by_name = {machine.config.name: machine for machine in machines}
    asked = {n: machine for n, machine in by_name.items() if n not in silent}
    for name in cells.machines:
        if name not in by_name and (other := other_machine(name)):
            asked[name] = other
    answers = on_each(tuple(asked), lambda name: groups.look(asked[name], cells.group))
    return {
        name: answer or Group(name=cells.group)
        for name, answer in answers.items()
        if not isinstance(answer, SandboxError)
    }


def _wanted(
    cells: SweepList,
    rows: Sequence[Mapping[str, str]],
    fill: Callable[[Mapping[str, str], str], str],
    there: Mapping[str, Group],
    project: Project,
) -> tuple[int, ...]:
    """Return the numbers of the cells that are asked for; new ones get theirs.

    Raises:
        NotFoundError: All of the list are, and it has none.
    """
    if not rows:
        if not cells.cells:
            raise NotFoundError(
                f"this clone has no list of a sweep {cells.group or 'without a name'}",
                "Give the command and the settings as at the first start.",
            )
        return tuple(cells.cells)
    numbers = cells.numbers
    for group in there.values():
        for identity, number in group.numbers.items():
            if number not in numbers.values():
                numbers.setdefault(identity, number)
    planned = sweep_plan.cells(
        Group(name=cells.group, numbers=numbers),
        rows,
        fill,
        project=project.name,
        taken_names=[each.name for each in cells.cells.values()],
    )
    cells.add_cells(planned)
    return tuple(each.key.number for each in planned)


def _standings(
    cells: SweepList,
    wanted: Sequence[int],
    there: Mapping[str, Group],
    candidates: Sequence[Candidate],
    rules: Rules,
) -> dict[int, Standing]:
    """Return what is done with each cell; how their jobs are is written down."""
    now = time.time()
    open_to = frozenset(each.name for each in candidates if each.may_come)
    cells.see(
        (number, each)
        for number in wanted
        for each in spread_plan.sightings(
            cells.cells[number], cells.handed.get(number), there
        ).values()
    )
    standings = {}
    for number in wanted:
        standings[number] = spread_plan.standing(
            cells.cells[number],
            cells.handed.get(number),
            cells.seen.get(number, {}),
            there,
            open_to=open_to,
            now=now,
            again=rules.again,
            failed=rules.failed,
        )
    return standings


def _serve_all(
    machines: Sequence[Sandbox],
    candidates: Sequence[Candidate],
    hand_out: HandOut,
    batches: Batches,
    cancel: CancelToken | None,
) -> tuple[MachineShare, ...]:
    token = cancel or CancelToken()
    looked_at = {each.name: each for each in candidates}
    by_name = {machine.config.name: machine for machine in machines}

    def one(name: str) -> MachineShare:
        machine = by_name[name].cancelled_by(token)
        return serve(machine, looked_at[name], hand_out, batches)

    with token.on_cancel(hand_out.cancel):
        shares = on_each(tuple(by_name), one, cancel=token)
    token.check()
    return tuple(each for each in shares.values() if isinstance(each, MachineShare))
