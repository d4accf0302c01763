"""Waiting for jobs: the first that ends, says a line, or looks wrong.

No thread is held while a wait lasts: the follower polls for the jobs of all waits, one
thread of `timers` watches the time. A link that is lost is opened again, for as long as
the wait lasts; the jobs go on meanwhile.
"""

import time
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import replace

from sandbox_ops.errors import NextStep, NotFoundError, UsageError
from sandbox_ops.machine import groups, jobs, logs
from sandbox_ops.machine.log_watch import WaitFor
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.wait_call import Wait
from sandbox_ops.models import Job, job_ids
from sandbox_ops.models.waiting import WaitReport

Heartbeat = Callable[[tuple[Job, ...]], None]
"""Gets the jobs as they were last known."""

__all__ = ["HEARTBEAT_S", "Heartbeat", "Wait", "WaitFor", "begin", "wait"]

HEARTBEAT_S = 5.0
_LOOK_UP_S = 0.5  # a wait without a bound may miss Ctrl-C


_ENDS = WaitFor()


def wait(
    sandbox: Sandbox,
    references: Sequence[str],
    wanted: WaitFor = _ENDS,
    *,
    on_heartbeat: Heartbeat | None = None,
) -> WaitReport:
    """Wait for the first thing that happens to one of the jobs, and return it.

    Args:
        sandbox: Where they are.
        references: Which ones; see `jobs.get`; a group is all its jobs. One that has
            ended is reported at once.
        wanted: What ends the wait beside the end of a job; of a group, of all its jobs.
        on_heartbeat: Called every 5 s.

    Raises:
        UsageError: No job is named, or the pattern is bad; says where.
        NotFoundError: There is no such job; the hint lists the newest.
        ConnectError: The machine cannot be reached at the beginning, or lets us in no more.
        CancelledError: It was cancelled.
    """
    waiting = begin(sandbox, references, wanted)
    with sandbox.cancel_token.on_cancel(waiting.cancel):
        try:
            return _outcome(waiting, on_heartbeat)
        except NotFoundError:
            if not waiting.jobs:
                for reference in references:
                    jobs.get(sandbox, reference)  # raises, and lists what there is
            raise
        finally:
            waiting.cancel()  # nothing where it is over


def _outcome(waiting: Wait, on_heartbeat: Heartbeat | None) -> WaitReport:
    beat_at = time.monotonic() + HEARTBEAT_S
    while not waiting.future.done():
        futures.wait([waiting.future], _LOOK_UP_S)
        if on_heartbeat and time.monotonic() >= beat_at:
            beat_at += HEARTBEAT_S
            on_heartbeat(waiting.jobs)
    return waiting.future.result()


def begin(sandbox: Sandbox, references: Sequence[str], wanted: WaitFor = _ENDS) -> Wait:
    """Begin to wait, without waiting; see `wait`. Its future resolves to the report.

    Where a group may be named, this asks the machine for its jobs first.

    Raises:
        UsageError: No job is named, or the pattern is bad; says where.
    """
    logs.check_pattern(wanted.pattern)
    if not references:
        raise UsageError("no job is named", NextStep("jobs", purpose="See them"))
    named = groups.expand(sandbox, references)
    has_group = any(each not in named for each in references)
    if wanted.for_all is None and has_group:
        wanted = replace(wanted, for_all=True, warnings=False)
    waiting = Wait(sandbox, wanted)
    waiting.start([job_ids.reference(each) for each in named])
    return waiting
