"""The cells of a spread sweep on their way to machines, and the list that remembers them."""

import json
from pathlib import Path

import pytest

from sandbox_ops.errors import RefusedError
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.groups import CellKey, Group, Member
from sandbox_ops.workflows.hand_out import HandOut, Rules
from sandbox_ops.workflows.listed_cells import Sighting
from sandbox_ops.workflows.sweep_list import SweepList
from sandbox_ops.workflows.sweep_plan import Cell

NONE = Group(name="t1")


def cell(number: int) -> Cell:
    key = CellKey(group="t1", number=number, identity=f"i{number}")
    return Cell(
        key=key, name=f"t1-{number}", command=f"x {number}", settings={"n": "1"}
    )


def listed(path: Path, n_cells: int = 4) -> SweepList:
    cells = SweepList(path / "sweeps" / "t1.jsonl", "t1")
    cells.add_cells(map(cell, range(1, n_cells + 1)))
    return cells


def read_again(cells: SweepList) -> SweepList:
    again = SweepList(cells.path, "t1")
    for text in cells.path.read_text().splitlines():
        again._take_in(json.loads(text))
    return again


def handing(cells: SweepList) -> HandOut:
    return HandOut(cells, sorted(cells.cells), {}, ["a", "b"], Rules())


def numbers(cells: tuple[Cell, ...]) -> list[int]:
    return [each.key.number for each in cells]


def has_started(*which: int) -> Group:
    members = tuple(
        Member(
            number=n,
            identity=f"i{n}",
            job=Job(id=f"remote-{n}", state=JobState.RUNNING),
        )
        for n in which
    )
    return Group(
        name="t1",
        members=members,
        numbers={f"i{n}": n for n in which},
        starts={f"i{n}": 1 for n in which},
    )


def test_what_a_machine_may_have_started_is_given_to_no_other(tmp_path: Path) -> None:
    cells = listed(tmp_path)
    hand_out = handing(cells)
    first = hand_out.take("a", 2, NONE)
    assert numbers(first) == [1, 2]
    hand_out.settle_start("a", 0, unclear=True)
    assert numbers(hand_out.take("b", 9, NONE)) == [3, 4]
    hand_out.settle_start("b", 2)
    again = hand_out.take("a", 0, NONE)
    assert [each.token for each in again] == [each.token for each in first]
    hand_out.settle_start("a", 0, refused="no room")  # the first try may still arrive
    assert hand_out.pending == {1: "a", 2: "a"}
    assert numbers(hand_out.take("b", 9, NONE)) == []


def test_what_turns_out_to_be_started_is_not_started_again(tmp_path: Path) -> None:
    hand_out = handing(listed(tmp_path))
    hand_out.take("a", 2, NONE)
    hand_out.settle_start("a", 0, unclear=True)
    assert numbers(hand_out.take("a", 0, has_started(1))) == [2]
    hand_out.settle_start("a", 1)
    assert (hand_out.pending, hand_out.n_handed) == ({}, 2)


def test_what_a_machine_refused_goes_to_the_next_that_asks(tmp_path: Path) -> None:
    cells = listed(tmp_path)
    hand_out = handing(cells)
    hand_out.take("a", 3, NONE)
    hand_out.settle_start("a", 1, refused="the disk is full")
    assert hand_out.free == (2, 3, 4)
    assert numbers(hand_out.take("b", 9, NONE)) == [2, 3, 4]
    assert not hand_out.is_over("a")  # they may come back
    hand_out.settle_start("b", 3)
    assert hand_out.is_over("a")
    assert {n: each.machine for n, each in read_again(cells).handed.items()} == {
        1: "a", 2: "b", 3: "b", 4: "b",
    }  # fmt: skip


def test_the_list_says_who_got_a_cell_before_that_machine_is_asked(
    tmp_path: Path,
) -> None:
    cells = listed(tmp_path)
    handing(cells).take("a", 1, NONE)
    assert read_again(cells).handed[1].machine == "a"
    assert cells.path.stat().st_mode & 0o777 == 0o600
    assert cells.path.parent.stat().st_mode & 0o777 == 0o700


def test_where_the_list_cannot_be_written_nothing_is_handed_out(tmp_path: Path) -> None:
    cells = listed(tmp_path)
    hand_out = handing(cells)
    cells.path.unlink()
    cells.path.symlink_to("/dev/full")
    with pytest.raises(RefusedError, match="cannot write the list of the sweep"):
        hand_out.take("a", 2, NONE)
    cells.path.unlink()
    assert numbers(hand_out.take("b", 2, NONE)) == [1, 2]


def test_a_machine_that_comes_late_and_has_cells_already_keeps_them(
    tmp_path: Path,
) -> None:
    hand_out = handing(listed(tmp_path))
    assert numbers(hand_out.take("late", 9, has_started(2, 3))) == [1, 4]
    assert hand_out.skipped[2].machine == "late"


def test_how_a_job_was_is_forgotten_when_its_cell_is_handed_out_again(
    tmp_path: Path,
) -> None:
    cells = listed(tmp_path)
    cells.see([(1, Sighting(machine="a", job="remote-1", state=JobState.FAILED))])
    size = cells.path.stat().st_size
    cells.see([(1, Sighting(machine="a", job="remote-1", state=JobState.FAILED))])
    assert cells.path.stat().st_size == size
    cells.hand_out("a", {1: 1})
    again = read_again(cells)
    assert again.seen[1] == {}
    assert again.machines == ("a",)
