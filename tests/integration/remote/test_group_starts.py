"""Two clients that start cells of one group at the same moment, each stopped where it hurts."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest
from raw_worker import RawWorker, raw_worker
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState
from sandbox_ops.machine import group_replies
from sandbox_ops.models import Job
from sandbox_ops.models.groups import CellKey, Group
from sandbox_ops.models.queue import QueueRequest
from sandbox_ops.remote import job_replies
from sandbox_ops.remote.frames import Segment
from sandbox_ops.remote.start_request import StartRequest
from sandbox_ops.workflows import sweep_plan

BEFORE_IT_IS_QUEUED = '  [ -z "$_claims" ] || put_state "$_d" "${_queue:-starting}'
BEFORE_THE_GRANT = '  if ! create_exclusive "$BASE/tokens/$_token" "$_id"; then'
AFTER_THE_GRANT = '  [ -z "$_name" ] || printf \'%s\\n\' "$_id" >"$BASE/names/$_name"'
AFTER_IT_TOOK_ITS_NUMBER = '  case "$(grep -m 1 "^='
AFTER_THE_LEADER_BEGAN = '  read_stat "$leader" || TICKS=0'
BEFORE_THE_JOBS_OF_A_GROUP = '  trailer "group $1"'

at_each_step = pytest.mark.parametrize(
    "where",
    [BEFORE_IT_IS_QUEUED, BEFORE_THE_GRANT, AFTER_THE_GRANT],
    ids=["claimed", "queued", "granted"],
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def other(home: Path) -> Iterator[RawWorker]:
    with raw_worker(home) as worker:
        yield worker


def start_of(
    home: Path, number: int, start_number: int, *, identity: str = "", work: str = ""
) -> list[str]:
    """The start of a cell that is known by its number unless an identity is said."""
    identity = identity or f"i{number}"
    key = CellKey(group="t1", number=number, identity=identity)
    return StartRequest(
        command=f"echo {identity} >>{home}/began; {work or 'true'}",
        cwd="/",
        interpreter="sh",
        name=f"t1-{identity}",
        unique_name=True,
        token=sweep_plan.token(key, start_number),
        queue=QueueRequest(slots=4),
        cell=key,
    ).words()


def group_as_seen_by(worker: RawWorker) -> Group:
    _, words = group_replies.look_words("t1")
    segments = worker.ask("look", ("group", words))
    return group_replies.read("t1", segments, str(worker.home)) or Group(name="t1")


def job_in(worker: RawWorker, answer: list[Segment]) -> Job:
    assert not job_replies.error(answer), job_replies.error(answer)
    (reply,) = job_replies.jobs(answer, str(worker.home)).values()
    return reply.job


def looked_at(worker: RawWorker, job_id: str) -> Job:
    return job_in(worker, worker.ask("poll", (job_id, "j", "0", "0", "0", "0")))


def ended(worker: RawWorker, job: Job) -> Job:
    def look() -> Job | None:
        now = looked_at(worker, job.id)
        return now if now.state.ended else None

    now = wait_until(look, 30, what=f"{job.id} ends")
    assert now
    return now


def began(home: Path) -> list[str]:
    file = home / "began"
    return file.read_text().split() if file.exists() else []


@row(
    "two clients start the same cell of a sweep, one of them just after the other was killed",
    "it runs once, whatever each saw of the other's start",
)
@at_each_step
def test_a_cell_that_another_client_is_starting_is_started_once(
    home: Path, other: RawWorker, where: str
) -> None:
    with raw_worker(home, pause_at=where) as first:
        first.begin("start", start_of(home, 1, 0))
        first.wait_for_the_pause()
        seen = group_as_seen_by(other)
        first.go()
        job = ended(other, job_in(first, first.answer()))
    assert job.state is JobState.SUCCEEDED
    again = other.ask("start", start_of(home, 1, seen.starts.get("i1", 0)))
    assert job_in(other, again).id == job.id
    group = group_as_seen_by(other)
    assert [member.job.id for member in group.members] == [job.id]
    assert group.starts == {"i1": 1}
    assert began(home) == ["i1"]


@at_each_step
def test_a_start_that_was_killed_and_is_sent_again_is_one_cell_of_its_group(
    home: Path, other: RawWorker, where: str
) -> None:
    with raw_worker(home, pause_at=where) as first:
        first.begin("start", start_of(home, 1, 0))
        first.wait_for_the_pause()
        first.kill()
    seen = group_as_seen_by(other)
    start = start_of(home, 1, seen.starts.get("i1", 0))

    def granted() -> list[Segment] | None:
        """As `groups.start_all` asks where the name is still the dead start's."""
        answer = other.ask("start", start)
        error = job_replies.error(answer)
        return None if error and error.reason == "claiming" else answer

    again = wait_until(granted, 10, what="the dead start is removed")
    assert again
    job = ended(other, job_in(other, again))
    assert job.state is JobState.SUCCEEDED
    group = group_as_seen_by(other)
    assert [member.job.id for member in group.members] == [job.id]
    assert group.starts == {"i1": 1}
    assert began(home) == ["i1"]


def test_a_start_that_was_killed_once_it_was_granted_joins_its_group_without_a_client(
    home: Path, other: RawWorker
) -> None:
    with raw_worker(home, pause_at=AFTER_THE_GRANT) as first:
        first.begin("start", start_of(home, 1, 0))
        first.wait_for_the_pause()
        first.kill()
    other.ask("start", start_of(home, 2, 0))  # whose keeper finds what was left
    wait_until(lambda: sorted(began(home)) == ["i1", "i2"], 30, what="both ran")
    seen = group_as_seen_by(other)
    assert [member.number for member in seen.members] == [1, 2]
    assert seen.starts == {"i1": 1, "i2": 1}


def test_a_look_at_a_group_that_grows_meanwhile_shows_all_of_its_other_cells(
    home: Path, other: RawWorker
) -> None:
    jobs = [
        ended(other, job_in(other, other.ask("start", start_of(home, number, 0))))
        for number in (1, 2, 3)
    ]
    with raw_worker(home, pause_at=BEFORE_THE_JOBS_OF_A_GROUP) as looks:
        _, words = group_replies.look_words("t1")
        looks.begin("look", ("group", words))
        looks.wait_for_the_pause()
        other.ask("start", start_of(home, 1, 1))  # again
        looks.go()
        seen = group_replies.read("t1", looks.answer(), str(home))
    assert seen is not None
    assert [member.job.id for member in seen.members] == [job.id for job in jobs]
    assert seen.starts == {"i1": 1, "i2": 1, "i3": 1}


def test_of_two_sweeps_that_take_one_number_at_once_one_gets_it(
    home: Path, other: RawWorker
) -> None:
    with raw_worker(home, pause_at=AFTER_IT_TOOK_ITS_NUMBER) as first:
        first.begin("start", start_of(home, 1, 0, identity="a"))
        first.wait_for_the_pause()
        refused = other.ask("start", start_of(home, 1, 0, identity="b"))
        assert "changed meanwhile" in str(job_replies.error(refused))
        assert group_as_seen_by(other).numbers == {"a": 1}
        second = other.ask("start", start_of(home, 2, 0, identity="b"))
        first.go()
        ended(other, job_in(other, first.answer()))
    ended(other, job_in(other, second))
    assert group_as_seen_by(other).numbers == {"a": 1, "b": 2}
    assert sorted(began(home)) == ["a", "b"]


@row(
    "its supervisor is killed just after the command began, before its record says so",
    "it is shown as running while it does, then as lost (killed); nothing starts it again",
)
def test_a_command_that_began_unnoticed_is_never_said_not_to_have_started(
    home: Path, other: RawWorker
) -> None:
    with raw_worker(home, pause_at=AFTER_THE_LEADER_BEGAN) as first:
        first.ask("start", start_of(home, 1, 0, work="exec sleep 7431"))
        first.wait_for_the_pause()
        state = home / ".sandbox-ops/v1/home/jobs/remote-1/state"
        mark = f"SANDBOX_JOB={state.parent}"
        # not before it is that program: on the way there it shows no environment
        wait_until(lambda: "sleep 7431" in processes.carrying(mark).values(), 20)
        pid, up0 = (
            int(re.findall(rf" {name}=(\d+)", state.read_text())[0])
            for name in ("pid", "up0")
        )
        os.kill(pid, signal.SIGKILL)
        first.kill()
    text = state.read_text()
    long_ago = str(up0 - 4000).zfill(len(str(up0)))
    state.write_text(text.replace(f"up0={up0}", f"up0={long_ago.lstrip('0')}"))
    now = looked_at(other, "remote-1")
    assert (now.state, now.reason) == (JobState.RUNNING, "unsupervised")
    (leader,) = processes.carrying(mark)
    os.kill(leader, signal.SIGKILL)
    gone = ended(other, now)
    assert (gone.state, gone.reason) == (JobState.LOST, "killed")
    (member,) = group_as_seen_by(other).members
    assert sweep_plan.why_skipped(member, again=False, failed=False)
