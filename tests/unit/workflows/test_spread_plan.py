"""What is done with each cell of a sweep over several machines, and how many a machine gets."""

import pytest

from sandbox_ops.models import Gpu, Job, JobState, MachineStatus, SandboxConfig
from sandbox_ops.models.groups import Group, Member
from sandbox_ops.workflows import spread_plan
from sandbox_ops.workflows.listed_cells import HandedOut, ListedCell, Sighting
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.spread_plan import (
    FREE,
    IN_FLIGHT_S,
    PENDING,
    SKIPPED,
    UNKNOWN,
    Standing,
)

CELL = ListedCell(number=3, identity="i3", name="t1-n3", command="x 3", settings={})
NOW = 1000.0
OPEN = frozenset({"a", "b"})
BOX = SandboxConfig(name="a", host="a")


def group(*states: JobState, starts: int | None = None) -> Group:
    """The group on one machine: the newest job of the cell is in the last of the states."""
    members = tuple(
        Member(number=3, identity="i3", job=Job(id="remote-1", state=state))
        for state in states[-1:]
    )
    count = len(states) if starts is None else starts
    return Group(
        name="t1",
        members=members,
        numbers={"i3": 3},
        starts={"i3": count} if count else {},
    )


def handed(to: str = "a", starts: int = 0, ago_s: float = 0) -> HandedOut:
    return HandedOut(machine=to, starts=starts, at=NOW - ago_s)


def judged(
    who: HandedOut | None,
    groups: dict[str, Group],
    remembered: dict[str, Sighting] | None = None,
    **rules: bool,
) -> Standing:
    seen = (remembered or {}) | spread_plan.sightings(CELL, who, groups)
    return spread_plan.standing(CELL, who, seen, groups, open_to=OPEN, now=NOW, **rules)


def seen(state: JobState) -> dict[str, Sighting]:
    return {"a": Sighting(machine="a", job="remote-1", state=state)}


def test_a_cell_that_nobody_got_is_free() -> None:
    assert judged(None, {"a": group(), "b": group()}).what == FREE


def test_a_cell_whose_start_may_be_on_its_way_stays_with_its_machine() -> None:
    assert judged(handed(), {"a": group()}).what == PENDING
    again = judged(handed(starts=1), {"a": group(JobState.FAILED)}, failed=True)
    assert (again.what, again.machine) == (PENDING, "a")


@pytest.mark.parametrize(("ago_s", "what"), [(0.0, UNKNOWN), (IN_FLIGHT_S + 1, FREE)])
def test_a_machine_that_is_not_used_now_says_itself_that_it_never_got_a_cell(
    ago_s: float, what: str
) -> None:
    assert judged(handed("other", ago_s=ago_s), {"other": group()}).what == what


def test_a_cell_of_a_machine_that_does_not_answer_is_free_only_by_failed() -> None:
    assert judged(handed("gone"), {"b": group()}).what == UNKNOWN
    assert judged(handed("a"), {"b": group()}).what == PENDING
    forced = judged(handed("gone"), {"b": group()}, failed=True)
    assert (forced.what, forced.why) == (FREE, UNKNOWN)


def test_what_a_machine_said_before_it_went_away_counts() -> None:
    done = judged(handed("a"), {"b": group()}, seen(JobState.SUCCEEDED), failed=True)
    assert (done.what, done.why) == (SKIPPED, "done")
    assert judged(handed("a"), {"b": group()}, seen(JobState.RUNNING)).what == PENDING


@pytest.mark.parametrize(
    ("state", "rules", "what"),
    [
        (JobState.RUNNING, {"again": True, "failed": True}, SKIPPED),
        (JobState.SUCCEEDED, {"failed": True}, SKIPPED),
        (JobState.SUCCEEDED, {"again": True}, FREE),
        (JobState.FAILED, {}, SKIPPED),
        (JobState.FAILED, {"failed": True}, FREE),
        (JobState.LOST, {"failed": True}, FREE),
    ],
)
def test_what_lives_or_is_done_on_any_machine_is_left_alone(
    state: JobState, rules: dict[str, bool], what: str
) -> None:
    assert judged(None, {"a": group(), "b": group(state)}, None, **rules).what == what
    assert (
        judged(handed("b"), {"a": group(), "b": group(state)}, None, **rules).what
        == what
    )


def test_the_newest_start_counts_and_not_an_older_one_elsewhere() -> None:
    groups = {"a": group(JobState.FAILED), "b": group(JobState.RUNNING)}
    assert judged(handed("b"), groups, failed=True).what == SKIPPED
    groups = {"a": group(JobState.SUCCEEDED), "b": group(JobState.FAILED)}
    assert judged(handed("b"), groups, failed=True).what == FREE


def test_a_cell_has_its_own_number_on_each_machine_where_that_is_free_there() -> None:
    other = ListedCell(number=7, identity="i7", name="n7", command="x", settings={})
    there = Group(name="t1", numbers={"i3": 5, "other": 7})
    cells = spread_plan.cells_at(there, [CELL, other], {3: 2, 7: 0}, highest=9)
    assert [cell.key.number for cell in cells] == [5, 10]
    assert cells[0].token == spread_plan.cells_at(there, [CELL], {3: 2}, 9)[0].token
    assert cells[0].token != spread_plan.cells_at(there, [CELL], {3: 3}, 9)[0].token


def test_as_many_cells_may_wait_on_a_machine_as_run_there_at_once() -> None:
    gpus = tuple(Gpu(index=n, name="H100") for n in range(4))
    waiting = tuple(Job(id=f"remote-{n}", state=JobState.QUEUED) for n in (1, 2, 3))
    status = MachineStatus(gpus=gpus, cpus=16, jobs=waiting)
    assert spread_plan.room(status, BOX, None, None) == 1
    assert spread_plan.capacity(status, BOX, 2, None) == 2
    assert spread_plan.capacity(status, BOX, None, QueueOptions(share=3)) == 12
    assert spread_plan.capacity(status, BOX, None, QueueOptions(slots=2)) == 2
    assert spread_plan.capacity(status, BOX, 0, None) == 16
    assert spread_plan.capacity(status, BOX, 0, QueueOptions(slots=5)) == 5
    assert spread_plan.capacity(status, BOX, 8, None) == 1  # it will refuse by itself
    assert spread_plan.capacity(MachineStatus(), BOX, None, None) == 1
