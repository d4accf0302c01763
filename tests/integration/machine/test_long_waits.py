"""Waiting for hours: cheap for the link, and still over soon once there is an end."""

import time

import pytest
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.remote.follower import Watch


def waited_for(sandbox: Sandbox, seconds: float) -> Watch:
    """Return the one watch there is, as if it had gone on for so long."""
    follower = sandbox._stack.follower
    wait_until(lambda: follower._watches)
    ((watch,),) = follower._watches.values()
    watch.followed_at = time.monotonic() - seconds
    return watch


@pytest.mark.parametrize(
    ("seconds", "pause_s"), [(0, 0.015), (2, 0.2), (40, 1), (100, 2), (3600, 5)]
)
def test_the_longer_a_wait_the_fewer_the_questions(
    sandbox: Sandbox, seconds: float, pause_s: float
) -> None:
    call = sandbox.submit("sleep 7801")
    watch = waited_for(sandbox, seconds)
    assert watch.pause_s == pytest.approx(pause_s, abs=0.03)
    call.cancel()
    assert call.future.result(10).job.state is JobState.STOPPED


def test_who_listens_hears_what_is_new_within_a_second(sandbox: Sandbox) -> None:
    call = sandbox.submit("sleep 7802", on_output=lambda *_: None)
    assert waited_for(sandbox, 3600).pause_s == 1.0
    call.cancel()
    call.future.result(10)


def test_a_cancel_is_answered_soon_however_long_the_wait_was(sandbox: Sandbox) -> None:
    call = sandbox.submit("sleep 7803")
    watch = waited_for(sandbox, 3600)
    before = watch.job
    sandbox._stack.follower._news.set()
    wait_until(lambda: watch.job is not before)  # and the next look is 5 s away
    long_ago = watch.followed_at
    call.cancel()
    assert call.future.result(10).job.state is JobState.STOPPED
    assert watch.followed_at > long_ago  # the pauses began again with short ones
    assert jobs.get(sandbox, str(call.job_id)).survivors == 0
