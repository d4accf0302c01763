"""What the machine says of a job becomes one state, decided from what was read."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import DeniedError, ProtocolError
from sandbox_ops.models import JobState
from sandbox_ops.remote import job_replies, job_states
from sandbox_ops.remote.frames import Segment

STATES = [
    ("ended", {"code": "0"}, JobState.SUCCEEDED, ""),
    ("ended", {"code": "3"}, JobState.FAILED, ""),
    ("ended", {"code": "137", "oom": "1"}, JobState.FAILED, "out of memory"),
    ("ended", {"code": "0", "reason": "stopped"}, JobState.STOPPED, ""),
    ("ended", {"code": "143", "reason": "timed-out"}, JobState.TIMED_OUT, ""),
    ("ended", {"code": "0", "life": "restarted"}, JobState.SUCCEEDED, ""),
    ("running", {"life": "supervised"}, JobState.RUNNING, ""),
    ("running", {"life": "orphaned"}, JobState.RUNNING, "unsupervised"),
    ("running", {"life": "gone"}, JobState.LOST, "killed"),
    ("running", {"life": "restarted"}, JobState.LOST, "reboot"),
    ("running", {"life": "restarted", "over": "1"}, JobState.LOST, "killed"),
    ("starting", {"life": "restarted", "over": "1"}, JobState.LOST, "never started"),
    ("ended", {"code": "-", "reason": "late"}, JobState.LOST, "never started"),
    (
        "ended",
        {"code": "-", "reason": "late", "attempt": "2"},
        JobState.LOST,
        "not started again",
    ),
    (
        "starting",
        {"life": "restarted", "over": "1", "begun": "1"},
        JobState.LOST,
        "killed",
    ),
    (
        "starting",
        {"life": "gone", "now": "9000", "up0": "4", "begun": "1"},
        JobState.LOST,
        "killed",
    ),
    (
        "starting",
        {"life": "orphaned", "now": "9000", "up0": "4", "begun": "1"},
        JobState.RUNNING,
        "unsupervised",
    ),
    ("starting", {"life": "supervised"}, JobState.STARTING, ""),
    ("starting", {"life": "gone", "now": "500", "up0": "400"}, JobState.STARTING, ""),
    (
        "starting",
        {"life": "gone", "now": "9000", "up0": "4"},
        JobState.LOST,
        "never started",
    ),
    ("starting", {"life": "restarted"}, JobState.LOST, "reboot"),
    ("running", {"life": "elsewhere", "host": "a"}, JobState.RUNNING, "on a"),
    (
        "running",
        {"life": "restarted", "departed": "1", "host": "a"},
        JobState.LOST,
        "its machine a is gone",
    ),
    ("none", {}, JobState.UNKNOWN, "its record cannot be read"),
]


@pytest.mark.parametrize(("phase", "fields", "state", "reason"), STATES)
def test_a_state_follows_from_the_record_and_from_what_lives(
    phase: str, fields: dict[str, str], state: JobState, reason: str
) -> None:
    assert job_states.job_state(phase, fields) == (state, reason)


@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1)))
def test_any_record_of_a_job_is_read(words: list[str]) -> None:
    assert job(" ".join(words)).job.id == "remote-1"


@given(
    st.text(),
    st.dictionaries(
        st.sampled_from(["life", "reason", "code", "oom", "now", "up0"]), st.text()
    ),
)
def test_any_record_is_given_a_state(phase: str, fields: dict[str, str]) -> None:
    assert isinstance(job_states.job_state(phase, fields)[0], JobState)


def job(
    arguments: str, spec: bytes = b'{"format":1,"command":"x"}'
) -> job_replies.JobReply:
    segments = [
        Segment(spec, "spec", ("remote-1",)),
        Segment(b"", "job", ("remote-1", *arguments.split())),
    ]
    return job_replies.jobs(segments, "/home/me/.sandbox-ops/v1/box")["remote-1"]


def test_a_code_above_128_is_reported_as_the_signal_and_as_uncertain() -> None:
    result = job(
        "now=9 life=gone ended code=137 reason=exited sure=0 up0=1 up1=5 ended ."
    ).job
    assert (result.exit_code, result.signal, result.signal_certain) == (
        137,
        "KILL",
        False,
    )
    assert result.words == "failed (signal KILL, or exit code 137: often out of memory)"


def test_elapsed_time_is_the_machines_own() -> None:
    result = job(
        "now=900 life=gone ended code=0 sure=1 t0=179539545602 up0=100 up1=350 ended ."
    )
    assert result.job.elapsed_s == 2.5
    assert result.job.started_at == 1795395456.02


def test_a_stopped_job_is_stopping_until_its_stopper_has_reported() -> None:
    text = "now=9 stopping=2 life=gone ended code=143 reason=stopped sure=0 up0=1 up1=5 ended ."
    assert job(text).job.state is JobState.STOPPING
    report = Segment(b"killed 12 bash\nleft 13 sudo\n", "stopped", ("remote-1",))
    ended = Segment(b"", "job", ("remote-1", *text.split()))
    reply = job_replies.jobs([report, ended], "/b")["remote-1"]
    assert reply.job.state is JobState.STOPPED
    assert (reply.killed, reply.left) == (("12 bash",), ("13 sudo",))


def test_an_end_of_its_own_is_not_held_back_by_a_stop_that_came_too_late() -> None:
    text = "now=9 stopping=2 life=gone ended code=3 reason=exited sure=1 up0=1 up1=5 ended ."
    assert job(text).job.state is JobState.FAILED


def test_a_record_of_a_newer_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(ProtocolError, match="newer sandbox-ops") as caught:
        job("life=gone ended code=0 ended .", b'{"format": 2}')
    assert "pip install --upgrade" in caught.value.hint


@given(st.binary(max_size=200))
def test_any_spec_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert job("life=gone ended code=0 ended .", data).job.id == "remote-1"


def test_an_error_of_the_machine_is_its_words_with_a_hint_of_ours() -> None:
    answer = [Segment(b"no such file: /x\nlook in /", "error", ("denied", "policy"))]
    error = job_replies.error(answer)
    assert isinstance(error, DeniedError)
    assert error.message == "the machine says: no such file: /x\nlook in /"
    assert "read_roots and deny_read" in error.hint


def test_an_error_kind_we_do_not_know_is_a_protocol_error() -> None:
    assert isinstance(
        job_replies.error([Segment(b"", "error", ("odd",))]), ProtocolError
    )
