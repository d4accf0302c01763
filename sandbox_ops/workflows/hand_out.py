"""The cells of a sweep that wait for a machine, handed out to whichever asks next.

A cell is on the list as handed out, on the disk, before its machine hears of it; it goes
elsewhere only where that machine answered that it does not start it. One thread a machine.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox_ops.models.groups import Group
from sandbox_ops.workflows import spread_plan
from sandbox_ops.workflows.listed_cells import ListedCell
from sandbox_ops.workflows.spread_plan import FREE, PENDING, SKIPPED, Standing
from sandbox_ops.workflows.sweep_list import SweepList
from sandbox_ops.workflows.sweep_plan import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which cells of the list are started: what `train --again` and `--failed` say."""

    again: bool = False
    failed: bool = False


class HandOut:
    """The cells that wait, and those on their way.

    Args:
        cells: The list, which this alone writes from now on.
        free: The numbers of those that any machine may start, in their order.
        pending: Those that a machine got and may have started, by its name.
        known: The machines whose group was looked at before.
        rules: What is started.
    """

    def __init__(
        self,
        cells: SweepList,
        free: Sequence[int],
        pending: Mapping[str, Sequence[int]],
        known: Iterable[str],
        rules: Rules,
    ) -> None:
        self._list = cells
        self._changed = threading.Condition()
        self._free = list(free)
        self._pending = {name: list(numbers) for name, numbers in pending.items()}
        self._in_flight: dict[str, list[int]] = {}
        self._asked_before: set[int] = set()
        self._known = set(known)
        self._rules = rules
        self._is_cancelled = False
        self.skipped: dict[int, Standing] = {}
        self.total = len(self._free) + sum(map(len, self._pending.values()))

    @classmethod
    def of(
        cls,
        cells: SweepList,
        standings: Mapping[int, Standing],
        known: Iterable[str],
        rules: Rules,
    ) -> "HandOut":
        """Return what hands out the cells that are to be started."""
        pending: dict[str, list[int]] = {}
        for number, each in standings.items():
            if each.what == PENDING:
                pending.setdefault(each.machine, []).append(number)
        free = [number for number, each in standings.items() if each.what == FREE]
        return cls(cells, free, pending, known, rules)

    @property
    def free(self) -> tuple[int, ...]:
        """The numbers of the cells that no machine got."""
        with self._changed:
            return tuple(self._free)

    @property
    def pending(self) -> dict[int, str]:
        """The machines that got a cell and did not say whether they started it."""
        with self._changed:
            return {
                number: name
                for by_name in (self._pending, self._in_flight)
                for name, numbers in by_name.items()
                for number in numbers
            }

    @property
    def n_handed(self) -> int:
        """How many cells are with a machine by now."""
        with self._changed:
            return self.total - len(self._free) - len(self.skipped)

    def is_over(self, machine: str) -> bool:
        """Whether nothing is left that a machine could get."""
        with self._changed:
            return self._is_cancelled or not (
                self._pending.get(machine) or self._may_come(machine)
            )

    def is_over_for_others(self, machine: str) -> bool:
        """Whether only what that machine already got is left for it."""
        with self._changed:
            return self._is_cancelled or not self._may_come(machine)

    def _may_come(self, machine: str) -> bool:
        others = (
            numbers for name, numbers in self._in_flight.items() if name != machine
        )
        return bool(self._free) or any(others)

    def take(self, machine: str, room: int, group: Group) -> tuple[Cell, ...]:
        """Return the cells that a machine starts next; it is written down that it does.

        Args:
            machine: Its name.
            room: So many; of those that it got before, all.
            group: As it is there.

        Raises:
            RefusedError: The list cannot be written: no machine got anything.
        """
        with self._changed:
            self._settle(machine, group)
            before = list(self._pending.get(machine, ()))
            new = self._free[: max(0, room - len(before))]
            cells = self._list.cells
            starts = {n: group.starts.get(cells[n].identity, 0) for n in new}
            self._list.hand_out(machine, starts)
            starts |= {n: self._list.handed[n].starts for n in before}
            self._free = self._free[len(new) :]
            self._pending[machine] = []
            self._in_flight[machine] = [*before, *new]
            self._asked_before |= set(before)
            wanted = [cells[n] for n in (*before, *new)]
            return spread_plan.cells_at(group, wanted, starts, max(cells, default=0))

    def _settle(self, machine: str, group: Group) -> None:
        """Take out what the machine has started already."""
        groups = {machine: group}
        kept = []
        for number in self._pending.get(machine, ()):
            cell, handed = self._list.cells[number], self._list.handed[number]
            if spread_plan.is_unheard_of(cell, handed, groups):
                kept.append(number)
        self._pending[machine] = kept
        if machine in self._known:
            return
        self._known.add(machine)
        for number in list(self._free):
            standing = self._standing(self._list.cells[number], groups)
            if standing.what == SKIPPED:
                self._free.remove(number)
                self.skipped[number] = standing

    def _standing(self, cell: ListedCell, groups: Mapping[str, Group]) -> Standing:
        return spread_plan.standing(
            cell,
            None,
            spread_plan.sightings(cell, None, groups),
            groups,
            open_to=frozenset(groups),
            now=0,
            again=self._rules.again,
            failed=self._rules.failed,
        )

    def settle_start(
        self, machine: str, n_started: int, *, refused: str = "", unclear: bool = False
    ) -> None:
        """Say what became of the cells that a machine took.

        Args:
            machine: Its name.
            n_started: The first of them, so many, were started.
            refused: Why the others are not there. Those that it got before stay with it:
                that start may still be on its way.
            unclear: Whether the others started is not known.
        """
        with self._changed:
            left = self._in_flight.pop(machine, [])[n_started:]
            kept = [n for n in left if unclear or n in self._asked_before]
            back = [n for n in left if n not in kept]
            self._pending.setdefault(machine, []).extend(kept)
            self._free = sorted({*self._free, *back})
            self._list.take_back(machine, back, refused)
            if back or not (self._free or any(self._in_flight.values())):
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until something changes, at most so long."""
        with self._changed:
            if not self._is_cancelled:
                self._changed.wait(seconds)

    def cancel(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()
