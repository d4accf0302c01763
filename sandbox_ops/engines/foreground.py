"""A command that somebody waits for: a start, followed by polls shared with all others."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

from sandbox_ops.engines import Engine
from sandbox_ops.errors import ConnectionLostError
from sandbox_ops.models import CommandResult, EndKind, Job, JobState
from sandbox_ops.models.options import Listener
from sandbox_ops.remote.follower import Follower, Watch
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.start_request import StartRequest


class Call:
    """A foreground command under way.

    Attributes:
        future: Resolves to its `CommandResult`; to an error where it never started.
        job_id: None until its start was answered.
    """

    def __init__(self, stop: Callable[[str], None]) -> None:
        self.future: Future[CommandResult] = Future()
        self.job_id: str | None = None
        self._stop = stop
        self._cancelled = False
        self._lock = threading.Lock()

    def started(self, job_id: str) -> None:
        """Take note of the id; a cancel that came earlier is carried out now."""
        with self._lock:
            self.job_id = job_id
            cancelled = self._cancelled
        if cancelled:
            self._stop(job_id)

    def cancel(self) -> None:
        """Stop the command's whole tree on the machine. The future still resolves."""
        with self._lock:
            again, self._cancelled = self._cancelled, True
            job_id = self.job_id
        if job_id is not None and not again:
            self._stop(job_id)


def submit(
    engine: Engine,
    follower: Follower,
    request: StartRequest,
    *,
    keep_bytes: int,
    on_output: Listener | None,
    started: Callable[[Job], None],
    ended: Callable[["Future[CommandResult]"], None],
) -> Call:
    """Start a command, and follow it until its call's future resolves.

    Args:
        engine: Starts it.
        follower: Polls for it.
        request: What to start.
        keep_bytes: At most so much of each stream is kept.
        on_output: Gets every piece.
        started: Gets the job as its start answered.
        ended: Gets the outcome, resolved, before the caller that waits for it does.
    """

    def stop(job_id: str) -> None:
        asked = engine.stop(job_id, request.grace_s)
        asked.add_done_callback(lambda _: follower.poll_soon(job_id))

    call = Call(stop)
    outcome = _outcome(call, ended)

    def take(answer: "Future[JobReply]") -> None:
        try:
            reply = answer.result()
            started(reply.job)
            watch = Watch(reply.job, keep_bytes, on_output)
            watch.started(request.first_bytes)
            call.started(reply.job.id)
            watch.future.add_done_callback(lambda done: _copy(done, outcome))
            watch.take(reply)
            if not watch.future.done():
                follower.follow(watch)
        except ConnectionLostError as error:
            outcome.set_result(_outcome_unknown(request, error))
        except Exception as error:  # noqa: BLE001  # the caller's, whatever it is
            if not outcome.done():
                outcome.set_exception(error)

    engine.start(request).add_done_callback(take)
    return call


def _outcome(
    call: Call, ended: Callable[["Future[CommandResult]"], None]
) -> "Future[CommandResult]":
    """Return what becomes the call's future once `ended` has seen it."""
    outcome: Future[CommandResult] = Future()
    outcome.add_done_callback(ended)
    outcome.add_done_callback(lambda done: _copy(done, call.future))
    return outcome


def _outcome_unknown(
    request: StartRequest, error: ConnectionLostError
) -> CommandResult:
    """Return the result of a start whose answer was lost: it may run, without an id."""
    kept = request.record
    job = Job(
        id="",
        state=JobState.UNKNOWN,
        reason=f"{error.message}; see `jobs` for whether it was started",
        command=kept["command"],
        description=kept["description"],
        foreground=True,
    )
    return CommandResult(job=job, end=EndKind.CONNECTION_LOST)


def _copy(done: "Future[CommandResult]", to: "Future[CommandResult]") -> None:
    error = done.exception()
    try:
        if error is not None:
            to.set_exception(error)
        else:
            to.set_result(done.result())
    except InvalidStateError:  # the caller gave up waiting
        return
