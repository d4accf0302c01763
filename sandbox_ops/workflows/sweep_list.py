"""The cells of a sweep over several machines, and which machine got which: a file here.

`.git/sandbox-ops/sweeps/NAME.jsonl`, in the git folder that all work trees of a clone share:
JSON lines, readable by their owner alone, only ever added to. Four kinds, by their first key:
`cell` (number, name, command, settings, identity), `handed` (to which machine; on the disk
before the machine hears of it), `back` (that machine never started it), `seen` (how its job
there was). Of each the newest counts. The client that hands out holds a lock on the file.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox_ops.errors import NotFoundError, RefusedError, SandboxError, UsageError
from sandbox_ops.git import local
from sandbox_ops.guard import line_file
from sandbox_ops.models import JobState, Project
from sandbox_ops.workflows.listed_cells import HandedOut, ListedCell, Sighting
from sandbox_ops.workflows.sweep_plan import Cell

_FOLDER = "sandbox-ops/sweeps"


class SweepList:
    """The list of one sweep; threads may use it at once, under a lock of theirs.

    Attributes:
        cells: By their numbers.
        handed: The machine that each was handed to and that did not give it back.
        seen: How its jobs were, by the machine.
    """

    def __init__(self, path: Path, group: str, *, is_written: bool = True) -> None:
        self.path, self.group, self._is_written = path, group, is_written
        self.cells: dict[int, ListedCell] = {}
        self.handed: dict[int, HandedOut] = {}
        self.seen: dict[int, dict[str, Sighting]] = {}

    @classmethod
    def of(
        cls, project: Project, group: str, *, is_written: bool = True
    ) -> "SweepList":
        """Return the list of a sweep, empty where there is none yet.

        Args:
            project: In whose local clone it is.
            group: The name of the sweep.
            is_written: Otherwise what is added to it is kept in memory alone.

        Raises:
            UsageError: There is no local clone to keep it in.
            RefusedError: It cannot be read.
        """
        sweep_list = cls(_path(project, group), group, is_written=is_written)
        try:
            for line in line_file.lines(sweep_list.path):
                with contextlib.suppress(KeyError, TypeError, ValueError):
                    sweep_list._take_in(line)
        except OSError as error:
            raise sweep_list._cannot("read", error) from error
        return sweep_list

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each cell, by its identity."""
        return {cell.identity: cell.number for cell in self.cells.values()}

    @property
    def machines(self) -> tuple[str, ...]:
        """Every machine that a cell was handed to, or seen on."""
        handed = (each.machine for each in self.handed.values())
        seen = (machine for by_name in self.seen.values() for machine in by_name)
        return tuple(dict.fromkeys((*handed, *seen)))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from handing out the same cells.

        Raises:
            RefusedError: Another client does, or the list cannot be written.
        """
        lock = self.path.with_suffix(".lock")
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(line_file.opened(lock))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(
                    f"another `train` is assigning the cells of {self.group} right now",
                    "Wait for its end, or end it with Ctrl-C; it loses nothing.",
                ) from None
            except OSError as error:
                raise self._cannot("write", error) from error
            yield

    def add_cells(self, cells: Iterable[Cell]) -> None:
        """Write down the cells that are not in the list yet."""
        known = self.numbers
        self._add(
            {
                "cell": cell.key.number,
                "identity": cell.key.identity,
                "name": cell.name,
                "command": cell.command,
                "settings": dict(cell.settings),
            }
            for cell in cells
            if cell.key.identity not in known
        )

    def hand_out(self, machine: str, starts: Mapping[int, int]) -> None:
        """Write down that a machine gets cells, before it does.

        Args:
            machine: Its name.
            starts: How often each was started there before, by its number.
        """
        at = time.time()
        self._add(
            {"handed": number, "to": machine, "starts": count, "at": at}
            for number, count in starts.items()
        )

    def take_back(self, machine: str, numbers: Sequence[int], why: str) -> None:
        """Write down that a machine did not start cells, and never will."""
        self._add(
            {"back": number, "from": machine, "why": why[:200]} for number in numbers
        )

    def see(self, sightings: Iterable[tuple[int, Sighting]]) -> None:
        """Write down how jobs of cells are, where that is news."""
        self._add(
            {"seen": number, "on": each.machine, "job": each.job, "state": each.state}
            for number, each in sightings
            if self.seen.get(number, {}).get(each.machine) != each
        )

    def _add(self, lines: Iterable[dict[str, Any]]) -> None:
        new = list(lines)
        if not new:
            return
        data = b"".join(map(line_file.encoded, new))
        try:
            if self._is_written:
                line_file.add(self.path, data, durable=True)
        except OSError as error:
            raise self._cannot("write", error) from error
        for line in new:
            self._take_in(line)

    def _take_in(self, line: Mapping[str, Any]) -> None:
        """Take in a line.

        Raises:
            ValueError, KeyError, TypeError: It is none of ours.
        """
        match next(iter(line), ""):
            case "cell":
                cell = ListedCell(
                    number=_number(line["cell"]),
                    identity=str(line["identity"]),
                    name=str(line["name"]),
                    command=str(line["command"]),
                    settings={str(k): str(v) for k, v in line["settings"].items()},
                )
                self.cells[cell.number] = cell
            case "handed":
                number = _number(line["handed"])
                handed = HandedOut(
                    machine=str(line["to"]),
                    starts=int(line["starts"]),
                    at=float(line["at"]),
                )
                self.handed[number] = handed
                self.seen.get(number, {}).pop(handed.machine, None)
            case "back":
                number = _number(line["back"])
                if self.handed[number].machine == line["from"]:
                    del self.handed[number]
            case "seen":
                sighting = Sighting(
                    machine=str(line["on"]),
                    job=str(line["job"]),
                    state=JobState(line["state"]),
                )
                of_cell = self.seen.setdefault(_number(line["seen"]), {})
                of_cell[sighting.machine] = sighting

    def _cannot(self, what: str, error: OSError) -> RefusedError:
        return RefusedError(
            f"cannot {what} the list of the sweep {self.path}: {error.strerror}",
            "Without it is not known which machine got which cell; nothing was started.",
        )


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(value)
    return value


def _path(project: Project, group: str) -> Path:
    try:
        if not project.root:
            raise NotFoundError("no clone")
        folder = local.common_folder(project.root)
    except SandboxError:
        raise UsageError(
            "a sweep over several machines keeps its list in the local clone, and there "
            "is none here",
            "Start it in the project's clone, or name one machine with --sandbox.",
        ) from None
    return folder / _FOLDER / f"{group}.jsonl"


def refuse_one_machine(project: Project, group: str) -> None:
    """Refuse to start a sweep on one machine whose cells are handed out to several.

    Raises:
        RefusedError: Its list is here; says how to go on.
    """
    try:
        path = _path(project, group)
    except UsageError:
        return
    if path.exists():
        names = ",".join(SweepList.of(project, group).machines) or "all"
        raise RefusedError(
            f"{group} is handed out to several machines: here its cells would run twice",
            f"Go on with it by --on {names}, or take another --name.",
        )
