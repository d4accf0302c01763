"""Resident shells on one connection: any thread asks, few sessions answer.

Every request of ours may be sent again (a start carries its token), so a lost link is
healed here and nowhere else: reconnect, ask again, give up after `HEAL_S`.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox_ops.errors import (
    ConnectError,
    ConnectionLostError,
    HostKeyError,
    NextStep,
    SandboxError,
    TimedOutError,
)
from sandbox_ops.remote.worker import Hello, Reply, Worker

if TYPE_CHECKING:
    from sandbox_ops.ssh.connection import SandboxConnection

MOST_WORKERS = 4
HEAL_S = 15.0
ANSWER_S = 30.0
_MOST_MISSES = 2
_LEAST_S = 0.3
"""What is left of the time to heal is then too little to connect in."""


@dataclass(slots=True)
class _Request:
    verb: str
    arguments: Sequence[str]
    answer_s: float
    future: "Future[Reply]" = field(default_factory=Future)
    started: bool = False
    sent: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    lost_at: float | None = None
    misses: int = 0


class Workers:
    """The pool. No thread and no session is held while a user's command runs.

    Args:
        connection: Opened on first use, and again when it was lost.
    """

    def __init__(self, connection: "SandboxConnection") -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._most = MOST_WORKERS
        self._idle = 0
        self._closed = False
        self._was_open = False
        self._lost_at: float | None = None
        self._loss: Exception | None = None
        self.hello: Hello | None = None

    def submit(
        self, verb: str, arguments: Sequence[str], *, answer_s: float = ANSWER_S
    ) -> "Future[Reply]":
        """Ask; the future holds the segments of the answer, without its last.

        Its errors: `ConnectError` where the machine cannot be reached at all,
        `ConnectionLostError` where the link died and could not be healed,
        `TimedOutError` where the machine lives and does not answer.
        """
        request = _Request(verb, arguments, answer_s)
        with self._lock:
            if self._closed:
                request.future.set_exception(
                    ConnectionLostError("the connection was closed by us")
                )
                return request.future
            self._queue.put(request)
            if self._queue.qsize() > self._idle and len(self._threads) < self._most:
                self._add_thread()
        return request.future

    @property
    def crowded(self) -> bool:
        """Whether requests wait for a free worker."""
        return self._queue.qsize() > 0 or len(self._threads) - self._idle > 1

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._serve, name="ssh-worker", daemon=True)
        self._threads.add(thread)
        thread.start()

    def close(self) -> None:
        """End the workers; requests under way fail, jobs on the machine go on."""
        with self._lock:
            self._closed = True
            threads = tuple(self._threads)
        for _ in threads:
            self._queue.put(None)
        self._connection.close()
        for thread in threads:
            thread.join(5)
        with contextlib.suppress(queue.Empty):
            while request := self._queue.get_nowait():
                self._fail(request, ConnectionLostError("the connection was closed"))

    # -- one thread a worker ----------------------------------------------------

    def _serve(self) -> None:
        worker: Worker | None = None
        try:
            while (request := self._next()) is not None:
                if not request.started:
                    if not request.future.set_running_or_notify_cancel():
                        continue
                    request.started = True
                worker = self._answer(request, worker)
                if worker is None and self._superfluous():
                    return
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
            if worker is not None:
                worker.close()

    def _next(self) -> _Request | None:
        with self._lock:
            self._idle += 1
        try:
            return self._queue.get()
        finally:
            with self._lock:
                self._idle -= 1

    def _superfluous(self) -> bool:
        """Whether this thread goes: the server allows fewer sessions than we have."""
        with self._lock:
            if len(self._threads) <= self._most:
                return False
            self._threads.discard(threading.current_thread())
            return True

    def _answer(self, request: _Request, worker: "Worker | None") -> "Worker | None":
        """Answer one request, healing the link; return the worker to go on with."""
        pause_s = 0.05
        while True:
            if worker is not None and not self._connection.is_connected:
                worker.close()
                worker = None  # so that we know: nothing was sent
            try:
                worker = worker or self._new_worker(request)
                request.sent = True
                segments = worker.ask(request.verb, request.arguments, request.answer_s)
                self.hello = worker.hello
                request.future.set_result(segments)
            except Exception as error:  # noqa: BLE001  # the asker's to see, not ours to lose
                if worker is not None:
                    worker.close()
                    worker = None
                if self._settled(request, error):
                    return None
            else:
                return worker
            left_s = self._heal_left_s(request) - _LEAST_S
            threading.Event().wait(max(0, min(pause_s, left_s)))
            pause_s = min(pause_s * 2, 1.0)

    def _settled(self, request: _Request, error: Exception) -> bool:
        """Decide whether an error ends the request, or it is worth asking again."""
        from sandbox_ops.ssh.channel import LinkError, SessionLimitError

        if isinstance(error, SessionLimitError):
            return self._yield_to_others(request)
        if isinstance(error, TimeoutError):
            request.misses += 1
            if request.misses < _MOST_MISSES:
                return False
            error = _no_answer(request)
        elif isinstance(error, LinkError) or self._may_heal(error):
            request.lost_at = request.lost_at or time.monotonic()
            self._loss = error
            if not self._closed and self._heal_left_s(request) > _LEAST_S:
                return False
            error = _lost(self._connection.host, request, error)
        self._fail(request, error)
        return True

    def _may_heal(self, error: Exception) -> bool:
        """Whether a failed connect is part of an outage, not a first try."""
        again = self._was_open and not isinstance(error, HostKeyError)
        return again and isinstance(error, ConnectError)

    def _heal_left_s(self, request: _Request) -> float:
        """How long a lost link may still be healed for the sake of a request."""
        if request.lost_at is None:
            return HEAL_S
        return max(0.0, request.lost_at + HEAL_S - time.monotonic())

    def _new_worker(self, request: _Request) -> "Worker":
        if self._was_open and not self._connection.is_connected:
            # those that waited in the queue meanwhile were hit by the same loss
            self._lost_at = self._lost_at or time.monotonic()
            request.lost_at = request.lost_at or max(self._lost_at, request.asked_at)
        if request.lost_at is None:
            self._connection.open(asked_at=request.asked_at)
        elif self._loss is not None and self._heal_left_s(request) < _LEAST_S:
            raise self._loss  # it waited in the queue until the time was over
        else:  # an attempt under way must not outlast the time to heal
            self._connection.open(self._heal_left_s(request))
        self._lost_at = self._loss = None
        worker = Worker(self._connection)
        self._was_open = True
        return worker

    def _yield_to_others(self, request: _Request) -> bool:
        """Leave the request to another worker, where there is another."""
        with self._lock:
            if len(self._threads) < 2:  # noqa: PLR2004  # alone: wait for a session
                return False
            self._most = len(self._threads) - 1
        self._queue.put(request)
        return True

    def _fail(self, request: _Request, error: Exception) -> None:
        if not request.future.done():
            request.future.set_exception(error)


def _no_answer(request: _Request) -> TimedOutError:
    return TimedOutError(
        f"the machine is there, but did not answer `{request.verb}` within "
        f"{request.answer_s:.0f} s, twice",
        "A file system that hangs (NFS), or a machine out of memory: look at it.",
    )


def _lost(host: str, request: _Request, error: Exception) -> ConnectError:
    # why it did not come back, and what to do
    cause = error.message if isinstance(error, SandboxError) else str(error)
    hints = error.hints if isinstance(error, SandboxError) else ()
    lost = (
        f"the connection to {host} was lost and did not come back within {HEAL_S:.0f} s"
    )
    if not request.sent:
        return ConnectError(
            f"{lost}, so `{request.verb}` was never sent: {cause}",
            *hints,
            "Nothing was done. Try again when the machine is reachable.",
        )
    unsure: dict[str, str | NextStep] = {
        "start": NextStep(
            "jobs",
            {},
            "Whether the command was started is not known: look before you start it "
            "again",
        ),
        "stop": "Whether the job was stopped is not known: stop it again when the "
        "machine is reachable.",
    }
    return ConnectionLostError(
        f"{lost}: {cause}",
        *hints,
        unsure.get(
            request.verb,
            "What runs there goes on. Try again when the machine is reachable.",
        ),
    )
