"""What is news_lines of jobs and machines: nothing twice, nothing missed. Pure values."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import ProtocolError, UsageError
from sandbox_ops.machine import changes as looking
from sandbox_ops.machine.changes import Changes, JobChange
from sandbox_ops.models import Job, JobState, JobUse, LogDigest
from sandbox_ops.models.events import EventKind
from sandbox_ops.remote.frames import Segment
from sandbox_ops.text.stalls import STALL_S
from sandbox_ops.workflows import event_cursor, event_memory
from sandbox_ops.workflows.event_memory import SandboxMemory

LOG = b"step 1 loss 0.5\n"


def change(
    number: int, state: JobState = JobState.RUNNING, log: bytes | None = LOG
) -> JobChange:
    code = {JobState.FAILED: 1, JobState.SUCCEEDED: 0}.get(state)
    job = Job(
        id=f"remote-{number}", name="t", state=state, exit_code=code, elapsed_s=7.0,
        started_at=1.0,
    )  # fmt: skip
    digest = None if log is None else LogDigest(tail=log)
    return JobChange(job=job, written_bytes=len(log or LOG), digest=digest)


def looked(
    *jobs: JobChange, newest: int = 0, missing: tuple[int, ...] = (), store: str = "7"
) -> Changes:
    by_number = {int(each.job.id.rpartition("-")[2]): each for each in jobs}
    top = max([newest, *by_number, *missing])
    return Changes(
        store=store, newest=top, upto=top, jobs=by_number, missing=frozenset(missing)
    )


def news_lines(
    memory: SandboxMemory, changes: Changes, at: float = 100
) -> tuple[list[str], SandboxMemory]:
    lines = []
    for after, event in event_memory.news("gpu1", memory, changes, at):
        memory = after
        if event:
            lines.append(" ".join(filter(None, (event.kind, event.job))))
    return lines, memory


def test_a_job_starts_once_and_ends_once() -> None:
    lines, memory = news_lines(SandboxMemory(), looked(change(1)))
    assert lines == ["started remote-1"]
    assert news_lines(memory, looked(change(1, log=None)))[0] == []
    lines, memory = news_lines(memory, looked(change(1, JobState.FAILED)))
    assert lines == ["ended remote-1"]
    assert news_lines(memory, looked(newest=1))[0] == []


def test_a_job_that_came_and_went_between_two_looks_is_reported_whole() -> None:
    lines, memory = news_lines(
        SandboxMemory(), looked(change(2), change(1, JobState.SUCCEEDED))
    )
    assert lines == ["started remote-1", "ended remote-1", "started remote-2"]
    assert (memory.seen, list(memory.jobs)) == (2, [2])


def test_an_end_says_how_and_why() -> None:
    log = b'Traceback (most recent call last):\n  File "a"\nKeyError: 3\n'
    steps = event_memory.news(
        "gpu1", SandboxMemory(), looked(change(1, JobState.FAILED, log)), 1
    )
    *_, last = [event for _, event in steps if event]
    assert last.message == "failed (exit code 1) after 7 s; traceback: KeyError: 3"
    assert (last.state, last.exit_code, last.name) == ("failed", 1, "t")


def test_history_has_the_time_at_which_it_happened() -> None:
    ended = change(1, JobState.FAILED)
    ended = replace(ended, job=replace(ended.job, started_at=50.0, ended_at=57.0))
    steps = event_memory.news("gpu1", SandboxMemory(), looked(ended), 1000)
    times = [(event.kind, event.at) for _, event in steps if event]
    assert times == [(EventKind.STARTED, 50.0), (EventKind.ENDED, 57.0)]


def test_a_warning_is_reported_once_however_its_figures_change() -> None:
    _, memory = news_lines(SandboxMemory(), looked(change(1)))
    grown = looked(change(1, log=LOG + b"step 2 loss 1e7\n"))
    lines, memory = news_lines(memory, grown)
    assert lines == ["warning remote-1"]
    worse = looked(change(1, log=LOG + b"step 3 loss 1e8\n"))
    lines, memory = news_lines(memory, worse)
    assert lines == []
    lines, _ = news_lines(memory, looked(change(1, log=LOG + b"step 4 loss nan\n")))
    assert lines == ["warning remote-1"]


def test_a_stall_is_reported_once_and_again_after_it_went_on() -> None:
    _, memory = news_lines(SandboxMemory(), looked(change(1)), at=0)
    silent = looked(change(1, log=None))
    lines, memory = news_lines(memory, silent, at=STALL_S - 1)
    assert lines == []
    lines, memory = news_lines(memory, silent, at=STALL_S + 1)
    assert lines == ["warning remote-1"]
    lines, memory = news_lines(memory, silent, at=STALL_S + 9)
    assert lines == []
    _, memory = news_lines(memory, looked(change(1, log=LOG * 2)), at=STALL_S + 10)
    lines, _ = news_lines(memory, silent, at=2 * STALL_S + 11)
    assert lines == ["warning remote-1"]


def test_an_idle_job_is_reported_once_and_again_after_it_was_busy() -> None:
    def seen(cpu_percent: int) -> Changes:
        use = JobUse(cpu_percent=cpu_percent, cpu_window_s=200)
        return looked(replace(change(1, log=None), use=use))

    memory = news_lines(SandboxMemory(), looked(change(1)))[1]
    lines, memory = news_lines(memory, seen(3))
    assert lines == ["warning remote-1"]
    lines, memory = news_lines(memory, seen(4))
    assert lines == []
    lines, memory = news_lines(memory, looked(change(1, log=None)))  # not looked at
    assert lines == []
    lines, memory = news_lines(memory, seen(90))
    assert lines == []
    assert news_lines(memory, seen(3))[0] == ["warning remote-1"]


def test_a_job_that_never_said_how_far_it_is_does_not_stall() -> None:
    _, memory = news_lines(SandboxMemory(), looked(change(1, log=b"copying\n")), at=0)
    assert news_lines(memory, looked(change(1, log=None)), at=9 * STALL_S)[0] == []


def test_a_record_that_is_being_made_is_waited_for() -> None:
    lines, memory = news_lines(SandboxMemory(), looked(change(2), missing=(1,)))
    assert lines == ["started remote-2"]
    assert memory.known == {1: None, 2: len(LOG)}
    lines, memory = news_lines(memory, looked(change(1), change(2, log=None)))
    assert lines == ["started remote-1"]
    assert news_lines(memory, looked(change(1, log=None), change(2, log=None)))[0] == []


def test_a_record_that_never_comes_is_forgotten() -> None:
    _, memory = news_lines(SandboxMemory(), looked(missing=(1,)), at=0)
    assert 1 in memory.known
    _, memory = news_lines(memory, looked(missing=(1,)), at=1000)
    assert memory.known == {}
    assert memory.seen == 1


def test_a_job_whose_record_was_removed_is_reported_as_ended_in_an_unknown_way() -> (
    None
):
    _, memory = news_lines(SandboxMemory(), looked(change(1)))
    steps = list(event_memory.news("gpu1", memory, looked(missing=(1,)), 5))
    (event,) = [event for _, event in steps if event]
    assert (event.kind, event.state, event.name) == (EventKind.ENDED, "unknown", "t")
    assert news_lines(steps[-1][0], looked(missing=(1,)))[0] == []


def test_records_that_were_wiped_start_over() -> None:
    _, memory = news_lines(SandboxMemory(), looked(change(5)))
    lines, memory = news_lines(memory, looked(newest=2, store="8"))
    assert (lines, memory.seen) == ([], 0)
    lines, _ = news_lines(memory, looked(change(1), change(2), store="8"))
    assert lines == ["started remote-1", "started remote-2"]


def test_a_machine_is_unreachable_once_and_reachable_once() -> None:
    _, memory = news_lines(SandboxMemory(), looked())
    (step,) = event_memory.unreachable("gpu1", memory, "no route", 1)
    memory, event = step
    assert event is not None
    assert event.as_json() == {
        "at": 1, "event": "unreachable", "sandbox": "gpu1", "job": None, "name": None,
        "state": None, "exit_code": None, "message": "no route", "cursor": "",
    }  # fmt: skip
    assert list(event_memory.unreachable("gpu1", memory, "no route", 2)) == []
    lines, memory = news_lines(memory, looked())
    assert lines == ["reachable"]
    assert news_lines(memory, looked())[0] == []


def test_a_new_reader_gets_what_looks_wrong_and_not_what_runs() -> None:
    live = {1: change(1).job, 9: change(9).job}
    memory = event_memory.present(looked(newest=3), live)
    assert (memory.seen, list(memory.jobs)) == (3, [1])
    nan = looked(change(1, log=LOG + b"step 2 loss nan\n"), newest=3)
    assert news_lines(memory, nan)[0] == ["warning remote-1"]


def test_a_foreground_command_is_no_news() -> None:
    command = change(1)
    command = replace(command, job=replace(command.job, foreground=True))
    lines, memory = news_lines(SandboxMemory(), looked(command))
    assert (lines, memory.seen) == ([], 1)
    _, memory = news_lines(SandboxMemory(), looked(missing=(1,)))
    assert news_lines(memory, looked(command))[1].known == {}


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.sampled_from([JobState.RUNNING, JobState.FAILED]),
            st.sampled_from([LOG, b"step 2 loss nan\n", LOG + b"step 3 loss 1e9\n"]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_a_reader_that_goes_on_from_any_cursor_gets_the_rest_and_nothing_twice(
    looks: list[tuple[int, JobState, bytes]], data: st.DataObject
) -> None:
    jobs: dict[int, JobChange] = {}
    answers = []
    for number, state, log in looks:
        if number not in jobs or not jobs[number].job.state.ended:
            jobs[number] = change(number, state, log)
        answers.append(looked(*jobs.values()))

    def run(memory: SandboxMemory, begin: int) -> list[tuple[str, int, SandboxMemory]]:
        lines = []
        for index in range(begin, len(answers)):
            for after, event in event_memory.news("gpu1", memory, answers[index], 1):
                memory = after
                if event:
                    line = f"{event.kind} {event.job} {event.message}"
                    lines.append((line, index, after))
        return lines

    whole = run(SandboxMemory(), 0)
    cut = data.draw(st.integers(0, len(whole) - 1))
    _, index, memory = whole[cut]
    cursor = event_cursor.encode({"gpu1": memory})
    again = run(event_cursor.decode(cursor)["gpu1"], index)
    assert [line for line, *_ in again] == [line for line, *_ in whole[cut + 1 :]]


def test_a_cursor_is_short_and_comes_back_as_it_was() -> None:
    _, memory = news_lines(SandboxMemory(), looked(*(change(n) for n in range(1, 21))))
    memories: Mapping[str, SandboxMemory] = {"gpu1": memory, "gpu2": SandboxMemory()}
    cursor = event_cursor.encode(memories)
    assert event_cursor.decode(cursor) == memories
    assert len(cursor) < 400  # twenty jobs that live


def _cursor(text: bytes) -> str:
    return "1." + base64.urlsafe_b64encode(zlib.compress(text)).decode().rstrip("=")


_GOOD = event_cursor.encode({"gpu1": SandboxMemory(store="7", seen=3)})


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense", "2.abc", "1.", "1.é", _GOOD[:-4], _GOOD[:20] + "A" + _GOOD[21:],
        _cursor(b"[]"), _cursor(b'{"gpu1": 3}'), _cursor(b'{"gpu1": ["", 1, 9, {}, {}]}'),
        _cursor(b'{"gpu1": ["", -1, 0, {}, {}]}'), _cursor(b'{"gpu1": [3, 1, 0, {}, {}]}'),
        _cursor(b'{"gpu1": ["", 1, 0, {"x": []}, {}]}'), _cursor(b"[" * 100_000),
        _cursor(b'{"gpu1": "' + b"x" * (5 << 20) + b'"}'),
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="no cursor"):
        event_cursor.decode(cursor)


@pytest.mark.parametrize("words", [(), ("top=x",), ("top=3", "inode=7")])
def test_an_answer_that_cannot_be_read_is_an_error(words: tuple[str, ...]) -> None:
    with pytest.raises(ProtocolError):
        looking.read([Segment(b"", "store", words)], "/base")


def test_a_record_of_a_newer_version_hides_no_other() -> None:
    running = ("running", "life=supervised", "up0=1", "now=2")
    answer = [
        Segment(b'{"format": 99}', "spec", ("remote-1",)),
        Segment(b"", "job", ("remote-1", *running)),
        Segment(b'{"format": 1, "name": "old"}', "spec", ("remote-2",)),
        Segment(b"", "job", ("remote-2", *running)),
        Segment(b"", "store", ("inode=7", "top=2", "upto=2")),
    ]
    read = looking.read(answer, "/base")
    assert {n: each.job.name for n, each in read.jobs.items()} == {2: "old"}
