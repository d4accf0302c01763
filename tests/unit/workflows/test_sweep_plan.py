"""What a sweep would start: cells, names, and which are left as they are."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sandbox_ops import JobState
from sandbox_ops.errors import UsageError
from sandbox_ops.models import Job
from sandbox_ops.models.groups import Group, Member
from sandbox_ops.workflows import sweep_plan
from sandbox_ops.workflows.sweep_plan import Cell


def fill(row: Mapping[str, str], name: str) -> str:
    return f"run {' '.join(row.values())} --out {name}"


def planned(
    group: Group,
    *rows: Mapping[str, str],
    **how: Any,  # noqa: ANN401
) -> tuple[Cell, ...]:
    return sweep_plan.cells(group, rows, fill, project="p", **how)


def group_of(cells: tuple[Cell, ...], *states: JobState, reason: str = "") -> Group:
    members = tuple(
        Member(
            number=cell.key.number,
            identity=cell.key.identity,
            job=Job(id=f"remote-{cell.key.number}", state=state, reason=reason),
        )
        for cell, state in zip(cells, states, strict=True)
    )
    return Group(
        name="t1",
        members=members,
        numbers={cell.key.identity: cell.key.number for cell in cells},
        starts={cell.key.identity: 1 for cell in cells},
    )


EMPTY = Group(name="t1")
ROWS = ({"lr": "1", "seed": "1"}, {"lr": "1", "seed": "2"})


def test_the_last_setting_changes_first() -> None:
    rows = sweep_plan.combinations({"lr": ("a", "b"), "seed": ("1", "2")})
    assert [tuple(row.values()) for row in rows] == [
        ("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"),
    ]  # fmt: skip
    assert sweep_plan.combinations({}) == [{}]


def test_a_thousand_cells_are_the_most() -> None:
    hundred = tuple(map(str, range(100)))
    ten = tuple(map(str, range(10)))
    assert len(sweep_plan.combinations({"a": hundred, "b": ten})) == 1000
    with pytest.raises(UsageError, match="2000 jobs"):
        sweep_plan.combinations({"a": hundred, "b": ten, "c": ("x", "y")})


def test_a_name_tells_what_varies_and_nothing_else() -> None:
    assert [cell.name for cell in planned(EMPTY, *ROWS)] == ["t1-seed1", "t1-seed2"]
    assert planned(EMPTY, ROWS[0])[0].name == "t1"


def test_the_name_in_a_command_is_no_part_of_what_a_cell_is() -> None:
    alone = planned(EMPTY, ROWS[0])
    both = planned(EMPTY, *ROWS)
    assert alone[0].command == "run 1 1 --out t1"
    assert both[0].command == "run 1 1 --out t1-seed1"
    assert alone[0].key.identity == both[0].key.identity


def test_cells_keep_their_numbers_and_new_ones_get_the_next() -> None:
    before = planned(EMPTY, *ROWS)
    group = group_of(before, JobState.SUCCEEDED, JobState.SUCCEEDED)
    cells = planned(group, {"lr": "0", "seed": "1"}, *ROWS)
    assert [cell.key.number for cell in cells] == [3, 1, 2]


@pytest.mark.parametrize(
    ("state", "skipped", "with_failed", "with_again"),
    [
        (JobState.SUCCEEDED, "done", "done", ""),
        (JobState.FAILED, "failed (exit code None)", "", ""),
        (JobState.STOPPED, "stopped", "", ""),
        (JobState.TIMED_OUT, "timed-out", "", ""),
        (JobState.LOST, "lost", "", ""),
        (JobState.RUNNING, "running", "running", "running"),
        (JobState.QUEUED, "queued", "queued", "queued"),
        (JobState.UNKNOWN, "unknown", "unknown", "unknown"),
    ],
)
def test_which_cells_are_left_as_they_are(
    state: JobState, skipped: str, with_failed: str, with_again: str
) -> None:
    group = group_of(planned(EMPTY, ROWS[0]), state)
    assert planned(group, ROWS[0])[0].skipped == skipped
    assert planned(group, ROWS[0], failed=True)[0].skipped == with_failed
    assert planned(group, ROWS[0], again=True)[0].skipped == with_again


def test_a_cell_that_never_began_is_started() -> None:
    group = group_of(planned(EMPTY, ROWS[0]), JobState.LOST, reason="never started")
    assert planned(group, ROWS[0])[0].skipped == ""


def test_the_same_start_has_the_same_token_and_the_next_another() -> None:
    first = planned(EMPTY, *ROWS)
    assert [cell.token for cell in first] == [cell.token for cell in planned(EMPTY, *ROWS)]  # fmt: skip
    assert len({cell.token for cell in first}) == 2
    group = group_of(first, JobState.FAILED, JobState.FAILED)
    again = planned(group, *ROWS, failed=True)
    assert {cell.token for cell in again}.isdisjoint(cell.token for cell in first)


def test_a_sweep_without_a_name_is_called_after_what_it_is() -> None:
    name = sweep_plan.default_name("run {x}", {"x": ("1", "2")})
    assert name == sweep_plan.default_name("run {x}", {"x": ("1", "2")})
    assert name != sweep_plan.default_name("run {x}", {"x": ("1", "3")})
    assert name.startswith("sweep-")


def test_a_record_that_does_not_say_its_command_cannot_be_started_again() -> None:
    group = group_of(planned(EMPTY, ROWS[0]), JobState.FAILED)
    with pytest.raises(UsageError, match="remote-1"):
        sweep_plan.cells_of(group, failed=True)
    assert sweep_plan.cells_of(group)[0].skipped


def test_cells_that_start_again_have_as_many_gpus_as_before() -> None:
    group = group_of(planned(EMPTY, *ROWS), JobState.FAILED, JobState.FAILED)
    for wanted in (2, 0):
        record: dict[str, Any] = {
            "command": "run",
            "settings": {},
            "gpus": [],
            "gpus_wanted": wanted,
        }
        members = tuple(replace(each, record=record) for each in group.members)
        cells = sweep_plan.cells_of(replace(group, members=members), failed=True)
        assert sweep_plan.gpus_of(cells) == wanted
    assert sweep_plan.gpus_of(planned(EMPTY, *ROWS)) is None
