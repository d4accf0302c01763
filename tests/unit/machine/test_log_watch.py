"""What a wait makes of a log: lines and warnings, however the bytes are cut. Pure."""

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.machine.log_watch import TAIL_BYTES, LogWatch, WaitFor
from sandbox_ops.machine.timers import Timers
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.waiting import WaitEvent, WaitReport
from sandbox_ops.remote.stream import Begin

JOB = Job(id="remote-1", state=JobState.RUNNING, elapsed_s=9.0)
NAN = b"step 1 loss 0.5\nstep 2 loss nan\n"


def watch(**wanted: object) -> LogWatch:
    return LogWatch(WaitFor(**wanted), 0.0)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 60), max_size=8))
def test_a_line_matches_however_the_log_is_cut_into_pieces(cuts: list[int]) -> None:
    text = b"epoch 1\r\nepoch 2 \xe2\x9c\x93\r50%\repoch 12 done\nepoch 3\n"
    log = watch(pattern="^epoch 1. done")
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert [line for piece in pieces if (line := log.take(piece, 1.0))] == [
        "epoch 12 done"
    ]


def test_a_line_without_its_end_matches_when_the_log_has_ended() -> None:
    log = watch(pattern="ready")
    assert log.take(b"not yet\nready", 1.0) is None
    assert log.finish() == "ready"


def test_where_a_log_goes_on_is_known_by_what_lies_before() -> None:
    log = watch()
    log.take(b"a" * 300, 1.0)
    log.take(b"b" * 10, 1.0)
    assert log.begin == Begin(310, b"a" * 246 + b"b" * 10)
    log.restart()
    assert log.begin == Begin()


def test_a_crash_in_the_midst_of_much_output_is_not_missed() -> None:
    log = watch()
    crash = b'Traceback (most recent call last):\n  File "a"\nKeyError: 3\n'
    log.take(crash + b"and then this\n" * TAIL_BYTES, 1.0)
    finding = log.news(JOB, 1.0)
    assert finding is not None
    assert finding.text == "traceback: KeyError: 3"


def test_each_warning_is_news_once_and_those_that_are_known_never() -> None:
    log = watch()
    log.take(NAN, 1.0)
    assert str(log.news(JOB, 1.0)) == "loss is nan"
    assert log.news(JOB, 1.0) is None
    known = watch(known_warnings=["remote-1 not-a-number loss"])
    known.take(NAN, 1.0)
    assert known.news(JOB, 1.0) is None


@pytest.mark.parametrize(
    ("text", "stall_s", "stalls"),
    [(b"step 1 loss 0.5\n", 60, True), (b"step 1 loss 0.5\n", 0, False), (b"hi\n", 60, False)],
)  # fmt: skip
def test_only_a_training_that_reports_stalls(
    text: bytes, stall_s: float, *, stalls: bool
) -> None:
    log = watch(stall_s=stall_s)
    log.take(text, 1.0)
    assert log.news(JOB, 60.0) is None
    assert bool(log.news(JOB, 61.0)) is stalls


@pytest.mark.parametrize(
    ("event", "state", "code", "expected"),
    [
        (WaitEvent.ENDED, JobState.SUCCEEDED, 0, 0),
        (WaitEvent.ENDED, JobState.FAILED, 3, 3),
        (WaitEvent.ENDED, JobState.STOPPED, 143, 143),
        (WaitEvent.ENDED, JobState.TIMED_OUT, 143, 124),
        (WaitEvent.ENDED, JobState.LOST, None, 137),
        (WaitEvent.MATCH, JobState.RUNNING, None, 0),
        (WaitEvent.WARNING, JobState.RUNNING, None, 1),
        (WaitEvent.TIMEOUT, JobState.RUNNING, None, 124),
    ],
)
def test_each_event_has_its_exit_code(
    event: WaitEvent, state: JobState, code: int | None, expected: int
) -> None:
    job = Job(id="remote-1", state=state, exit_code=code)
    report = WaitReport(event=event, job=job, line="x")
    assert report.exit_code == expected
    assert report.as_json() == {
        "event": event,
        "job": job.as_json(),
        "line": "x",
        "warnings": [],
    }


def test_calls_come_in_the_order_of_their_times_from_one_thread() -> None:
    timers, came = Timers(), []
    done = threading.Event()
    timers.after(0.2, done.set)
    timers.after(0.1, lambda: came.append(("later", threading.current_thread().name)))
    timers.after(0.0, lambda: came.append(("soon", threading.current_thread().name)))
    timers.after(0.05, lambda: came.append(("never", ""))).cancel()
    assert done.wait(10)
    assert came == [("soon", "timers"), ("later", "timers")]
    again = threading.Event()
    timers.after(0.0, again.set)  # its thread may have ended: another begins
    assert again.wait(10)
