"""What our scripts print, as values or as an error."""

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import (
    ConnectionLostError,
    DeniedError,
    ProtocolError,
    RefusedError,
    TimedOutError,
)
from sandbox_ops.models import CommandResult, EndKind, Job, JobState, Output
from sandbox_ops.remote import script_replies


def ended(
    stdout: str = "",
    stderr: str = "",
    exit_code: int = 0,
    end: EndKind = EndKind.EXITED,
) -> CommandResult:
    state = JobState.FAILED if exit_code else JobState.SUCCEEDED
    return CommandResult(
        job=Job(id="remote-7", state=state, exit_code=exit_code),
        end=end,
        stdout=Output(head=stdout.encode(), size_bytes=len(stdout.encode())),
        stderr=Output(head=stderr.encode(), size_bytes=len(stderr.encode())),
    )


def test_a_reply_keeps_every_value_of_a_key() -> None:
    reply = script_replies.read("a=1\nb=x=y\na=2\n")
    assert (reply.all("a"), reply.get("b"), reply.get("c", "none")) == (
        ("1", "2"),
        "x=y",
        "none",
    )
    with pytest.raises(ProtocolError, match="no `c`"):
        reply.need("c")


@given(st.text())
def test_any_reply_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        script_replies.read(text)


def test_a_refusal_has_its_kind_items_and_hint() -> None:
    text = "noise\nitem=a\nitem=b\nhint_code=install-git\nerror=denied two files:\n"
    with pytest.raises(DeniedError) as caught:
        script_replies.parse_result(ended(text, exit_code=75), "sync x on gpu1")
    assert (
        caught.value.message
        == "cannot sync x on gpu1: the machine says: two files:\n  a\n  b"
    )
    assert caught.value.hint == "Install it there: apt-get install git"


def test_a_failure_without_a_reason_is_reported_in_its_own_words() -> None:
    with pytest.raises(
        RefusedError, match="cannot look: the machine says: sh: cut: not found"
    ):
        script_replies.parse_result(
            ended(stderr="sh: cut: not found\n", exit_code=127), "look"
        )
    with pytest.raises(RefusedError, match="it printed nothing"):
        script_replies.parse_result(ended("error=nonsense\n", exit_code=1), "look")


def test_a_lost_connection_and_a_deadline_are_not_answers() -> None:
    with pytest.raises(ConnectionLostError, match="remote-7 may still run"):
        script_replies.parse_result(ended(end=EndKind.CONNECTION_LOST), "look")
    lost = ended(end=EndKind.CONNECTION_LOST)
    unknown = dataclasses.replace(lost, job=dataclasses.replace(lost.job, id=""))
    with pytest.raises(ConnectionLostError, match="lost, it may still run"):
        script_replies.parse_result(unknown, "look")
    with pytest.raises(TimedOutError):
        script_replies.parse_result(ended(end=EndKind.TIMED_OUT), "look")


def test_long_lists_are_cut() -> None:
    text = script_replies.listed("files:", tuple(map(str, range(25))))
    assert text.splitlines()[-2:] == ["  19", "  ... and 5 more"]
