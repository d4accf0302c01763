"""What a sweep would start: its cells, their names, and which are left as they are. Pure.

A cell is a command with its settings: the same line again is the same cell, a changed
command is another one. The commit is no part of it: a fix in one place does not make
results worthless; that they are of another commit is said.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox_ops.errors import UsageError
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.groups import CellKey, Group, Member
from sandbox_ops.models.jobs import NEVER_STARTED
from sandbox_ops.models.runs import number_of_gpus

MOST_CELLS = 1000
"""So many cells one sweep may have."""

DONE = "done"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination of settings, and what becomes of it now.

    Attributes:
        key: Its place in the group.
        skipped: Why it is not started; "" if it is.
        job: The job that it has already, if any.
        start_number: How often it was started before.
        old_commit: Of that job.
        nodes: Over how many nodes it ran before; 0: over one, or that is not known.
        gpus: How many it had before, or waited for; None: that is not known.
    """

    key: CellKey
    name: str
    command: str
    settings: Mapping[str, str]
    skipped: str = ""
    job: Job | None = None
    start_number: int = 0
    old_commit: str = ""
    nodes: int = 0
    gpus: int | None = None

    @property
    def token(self) -> str:
        """The same for the same start: sent twice, or by two clients, it is one job."""
        return token(self.key, self.start_number)


def token(key: CellKey, start_number: int) -> str:
    """Return the token of a start of a cell that was started so often before."""
    return digest(key.group, key.identity, str(start_number))


def digest(*parts: str) -> str:
    """Return 32 hexadecimal digits that stand for some texts."""
    text = json.dumps(parts, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def combinations(settings: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return each combination of the values, the last setting changing first.

    Raises:
        UsageError: There are more than `MOST_CELLS`, or a value stands twice.
    """
    n_cells = 1
    for name, values in settings.items():
        n_cells *= len(values)
        twice = [value for value in values if list(values).count(value) > 1]
        if twice:
            raise UsageError(f"`{name}` has the value {twice[0]!r} twice")
        if n_cells > MOST_CELLS:
            total = _product(settings)
            raise UsageError(
                f"that would be {total} jobs, and a sweep has at most {MOST_CELLS}",
                "Give some of the values a name of their own: another --name.",
            )
    rows = itertools.product(*settings.values())
    return [dict(zip(settings, row, strict=True)) for row in rows]


def _product(settings: Mapping[str, Sequence[str]]) -> int:
    total = 1
    for values in settings.values():
        total *= len(values)
    return total


def default_name(command: str, settings: Mapping[str, Sequence[str]]) -> str:
    """Return what a sweep without a name is called: the same line, the same name."""
    lists = [f"{name}={json.dumps(list(values))}" for name, values in settings.items()]
    return f"sweep-{digest(command, *lists)[:6]}"


def cell_name(group: str, settings: Mapping[str, str], varied: Sequence[str]) -> str:
    """Return a job's name that tells its settings apart from the others'."""
    parts = [f"{name}{settings[name]}" for name in varied]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join((group, *parts)))


def cells(
    group: Group,
    rows: Sequence[Mapping[str, str]],
    fill: Callable[[Mapping[str, str], str], str],
    *,
    project: str,
    again: bool = False,
    failed: bool = False,
    taken_names: Iterable[str] = (),
) -> tuple[Cell, ...]:
    """Return the cells of a sweep, in their order, and what becomes of each.

    Args:
        group: As it is on the machine; an empty one where there is none yet.
        rows: The settings of each cell.
        fill: Returns the command with the settings and the name of a job filled in.
        project: Whose clone they run in: a part of what a cell is.
        again: Start also what is done.
        failed: Start also what ended without success.
        taken_names: Names that other jobs have.
    """
    varied = [name for name in rows[0] if len({row[name] for row in rows}) > 1]
    known = {member.identity: member for member in group.members}
    highest = max(group.numbers.values(), default=0)
    result: list[Cell] = []
    names = set(taken_names)
    for row in rows:
        # the name may change with the values of others: it is no part of what a cell is
        command = fill(row, "{name}")
        identity = digest(project, command, *itertools.chain(*sorted(row.items())))
        number = group.numbers.get(identity, 0)
        if not number:
            highest += 1
            number = highest
        name = _unique_name(cell_name(group.name, row, varied), names, number)
        names.add(name)
        member = known.get(identity)
        result.append(
            Cell(
                key=CellKey(group=group.name, number=number, identity=identity),
                name=name,
                command=fill(row, name),
                settings=dict(row),
                skipped=why_skipped(member, again=again, failed=failed),
                job=member.job if member else None,
                start_number=group.starts.get(identity, 0),
                old_commit=member.commit if member else "",
            )
        )
    return tuple(result)


def cells_of(
    group: Group, *, again: bool = False, failed: bool = False
) -> tuple[Cell, ...]:
    """Return the cells that a group has, as their records say, and what becomes of each.

    Raises:
        UsageError: A record does not say the whole command of a cell that would start.
    """
    result = []
    for member in group.members:
        skipped = why_skipped(member, again=again, failed=failed)
        command = member.record.get("command")
        settings = member.record.get("settings")
        if not (isinstance(command, str) and isinstance(settings, dict)):
            command, settings = "", {}
            if not skipped:
                raise UsageError(
                    f"the run record of {member.job.id} does not say what it ran",
                    "Give the command and the settings as at the first start.",
                )
        result.append(
            Cell(
                key=CellKey(
                    group=group.name, number=member.number, identity=member.identity
                ),
                name=member.job.name,
                command=command,
                settings={str(key): str(value) for key, value in settings.items()},
                skipped=skipped,
                job=member.job,
                start_number=group.starts.get(member.identity, 0),
                old_commit=member.commit,
                nodes=_nodes(member.record),
                gpus=number_of_gpus(member.record),
            )
        )
    return tuple(result)


def gpus_of(cells: Iterable[Cell]) -> int | None:
    """Return how many GPUs cells are to have that start again: as before, None if not known."""
    known = [cell.gpus for cell in cells if cell.gpus is not None]
    return max(known, default=None)


def _nodes(record: Mapping[str, object]) -> int:
    nodes = record.get("nodes")
    return nodes if type(nodes) is int else 0


def _unique_name(name: str, taken: set[str], number: int) -> str:
    if len(name) <= _LONGEST_NAME and name not in taken:
        return name
    return f"{name[: _LONGEST_NAME - len(str(number)) - 1]}-{number}"


def why_skipped(member: Member | None, *, again: bool, failed: bool) -> str:
    """Return why a cell is not started; "" if it is."""
    if member is None or member.job.reason == NEVER_STARTED:
        return ""
    state = member.job.state
    if not state.ended:
        return str(state)
    if state is JobState.SUCCEEDED:
        return "" if again else DONE
    return "" if again or failed else member.job.words
