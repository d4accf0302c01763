"""Which cells of a sweep over several machines are handed out now, and to which. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox_ops.models import JobState, MachineStatus, SandboxConfig
from sandbox_ops.models.groups import CellKey, Group
from sandbox_ops.models.jobs import NEVER_STARTED
from sandbox_ops.workflows import slurm_room
from sandbox_ops.workflows.listed_cells import HandedOut, ListedCell, Sighting
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.sweep_plan import DONE, Cell

IN_FLIGHT_S = 60.0
"""So long a start may be on its way to a machine after its client is gone."""

FREE, PENDING, UNKNOWN, SKIPPED = "free", "pending", "unknown", "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is done with a cell now.

    Attributes:
        what: `FREE`: any machine may start it. `PENDING`: `machine` got it and may have
            started it, so that machine is asked again, with the same token, once it
            answers. `UNKNOWN`: the same, and it is not asked. `SKIPPED`: it is left as it is.
        why: In a word.
        machine: Where it is, if anywhere.
        job: Its job there, where that is known.
        has_ended: Whether that has ended.
    """

    what: str
    why: str = ""
    machine: str = ""
    job: str = ""
    has_ended: bool = False


def sightings(
    cell: ListedCell, handed: HandedOut | None, groups: Mapping[str, Group]
) -> dict[str, Sighting]:
    """Return how the newest job of a cell is on each machine that has one.

    Args:
        cell: The cell.
        handed: Who got it last: an older job there tells nothing of that.
        groups: The group, as each machine that answered has it.
    """
    return {
        name: Sighting(machine=name, job=member.job.id, state=member.job.state)
        for name, group in groups.items()
        for member in group.members
        if member.identity == cell.identity and member.job.reason != NEVER_STARTED
        if not (
            handed and handed.machine == name and is_unheard_of(cell, handed, groups)
        )
    }


def standing(  # each is one fact
    cell: ListedCell,
    handed: HandedOut | None,
    seen: Mapping[str, Sighting],
    groups: Mapping[str, Group],
    *,
    open_to: frozenset[str],
    now: float,
    again: bool = False,
    failed: bool = False,
) -> Standing:
    """Return what is done with a cell.

    Args:
        cell: The cell.
        handed: Who got it last, and did not give it back.
        seen: How its jobs were, by machine: as they are, of those that answered.
        groups: The group, as each machine that answered has it.
        open_to: Those that cells are handed out to now, once they answer.
        now: In seconds since 1970.
        again: Also what is done is started.
        failed: Also what ended without success, and what has an unknown outcome.
    """
    if handed and is_unheard_of(cell, handed, groups):
        if handed.machine in open_to:
            return Standing(what=PENDING, machine=handed.machine)
        if now - handed.at < IN_FLIGHT_S:
            return Standing(what=UNKNOWN, machine=handed.machine)
        handed = None  # the machine says itself that it never got it
    newest = seen.get(handed.machine) if handed else None
    if handed and handed.machine not in groups and not (newest and newest.state.ended):
        waits = PENDING if handed.machine in open_to else UNKNOWN
        what = FREE if failed else waits
        return Standing(what=what, why=UNKNOWN, machine=handed.machine)
    every = [newest] if newest else sorted(seen.values(), key=_best_first)
    if not every:
        return Standing(what=FREE)
    return _by_state(every[0], again=again, failed=failed)


def is_unheard_of(
    cell: ListedCell, handed: HandedOut, groups: Mapping[str, Group]
) -> bool:
    """Whether the machine that got a cell answered, and has not started it (yet)."""
    group = groups.get(handed.machine)
    return group is not None and group.starts.get(cell.identity, 0) <= handed.starts


def _best_first(sighting: Sighting) -> int:
    if not sighting.state.ended:
        return 0
    return 1 if sighting.state is JobState.SUCCEEDED else 2


def _by_state(sighting: Sighting, *, again: bool, failed: bool) -> Standing:
    state = sighting.state
    is_done = state is JobState.SUCCEEDED
    starts = state.ended and (again or (failed and not is_done))
    return Standing(
        what=FREE if starts else SKIPPED,
        why=DONE if is_done else str(state),
        machine=sighting.machine,
        job=sighting.job,
        has_ended=state.ended,
    )


def cells_at(
    group: Group, wanted: Sequence[ListedCell], starts: Mapping[int, int], highest: int
) -> tuple[Cell, ...]:
    """Return cells as a machine starts them: with the number and the token they have there.

    Args:
        group: As it is there.
        wanted: Which cells.
        starts: How often each was started there, by its number in the list.
        highest: The highest number in the list.
    """
    taken = {number: identity for identity, number in group.numbers.items()}
    cells = []
    for cell in wanted:
        number = group.numbers.get(cell.identity, cell.number)
        if taken.get(number, cell.identity) != cell.identity:
            number = max(highest, *taken) + 1
        taken[number] = cell.identity
        cells.append(
            Cell(
                key=CellKey(group=group.name, number=number, identity=cell.identity),
                name=cell.name,
                command=cell.command,
                settings=cell.settings,
                start_number=starts[cell.number],
            )
        )
    return tuple(cells)


def capacity(
    status: MachineStatus,
    config: SandboxConfig,
    gpus: int | None,
    queue: QueueOptions | None,
) -> int:
    """Return how many cells run on a machine at once, about."""
    queue = queue or QueueOptions()
    there = len(status.gpus or ())
    each = min(1, there) if gpus is None else gpus
    if not each:
        return max(1, queue.slots or config.slots or status.cpus or 1)
    at_once = there // each * (queue.share or config.gpu_share or 1)
    return max(1, min(at_once, queue.slots or at_once))


def room(
    status: MachineStatus,
    config: SandboxConfig,
    gpus: int | None,
    queue: QueueOptions | None,
) -> int:
    """Return how many cells a machine can be given: as many may wait there as run at once."""
    if config.by_slurm:
        return slurm_room.cells(status.jobs)
    waiting = sum(job.state is JobState.QUEUED for job in status.jobs)
    return max(0, capacity(status, config, gpus, queue) - waiting)
