"""Resident shells on one machine: any thread asks, few links answer.

Every request of ours may be sent again (a start carries its token), so a lost link is
opened again here and nowhere else: reconnect, ask again, give up in time (`requests`).
"""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from sandbox_ops.errors import ConnectError, ConnectionLostError, HostKeyError
from sandbox_ops.links import LinkError, Links, SessionLimitError
from sandbox_ops.remote import requests
from sandbox_ops.remote.requests import TOO_LITTLE_S, Request
from sandbox_ops.remote.worker import Hello, Reply, Worker, WorkerCrashedError

MAX_WORKERS = 4
ANSWER_TIMEOUT_S = 30.0
_MAX_UNANSWERED = 2
_MAX_CRASHES = 2


class Workers:
    """The pool. No thread and no link is held while a user's command runs.

    Args:
        links: Connected on first use, and again when the connection was lost.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._max_workers = MAX_WORKERS
        self._idle = 0
        self._closed = False
        self._was_open = False
        self._lost_at: float | None = None
        self._loss: Exception | None = None
        self.hello: Hello | None = None

    def submit(
        self,
        verb: str,
        arguments: Sequence[str],
        *,
        answer_s: float = ANSWER_TIMEOUT_S,
    ) -> "Future[Reply]":
        """Ask; the future holds the segments of the answer, without its last.

        Its errors: `ConnectError` where the machine cannot be reached at all,
        `ConnectionLostError` where the link died and did not come back,
        `TimedOutError` where the machine lives and does not answer, `ProtocolError`
        where our shell there cannot begin, or ends by an error.
        """
        request = Request(verb, arguments, answer_s)
        with self._lock:
            if self._closed:
                request.future.set_exception(
                    ConnectionLostError("the connection was closed by us")
                )
                return request.future
            self._queue.put(request)
            if (
                self._queue.qsize() > self._idle
                and len(self._threads) < self._max_workers
            ):
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
        self._links.close()
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

    def _next(self) -> Request | None:
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
            if len(self._threads) <= self._max_workers:
                return False
            self._threads.discard(threading.current_thread())
            return True

    def _answer(self, request: Request, worker: Worker | None) -> Worker | None:
        """Answer one request, over a new link if need be; return the worker to go on with."""
        pause_s = 0.05
        while True:
            if worker is not None and not (worker.is_open and self._links.is_connected):
                worker.close()
                worker = None  # so that we know: nothing was sent
            try:
                worker = worker or self._new_worker(request)
                request.sent = True
                segments = worker.ask(request.verb, request.arguments, request.answer_s)
                self.hello, self._was_open = worker.hello, True
                request.future.set_result(segments)
            except Exception as error:  # noqa: BLE001  # the asker's to see, not ours to lose
                if worker is not None:
                    worker.close()
                    worker = None
                if self._settled(request, error):
                    return None
            else:
                return worker
            left_s = request.reconnect_left_s - TOO_LITTLE_S
            threading.Event().wait(max(0, min(pause_s, left_s)))
            pause_s = min(pause_s * 2, 1.0)

    def _settled(self, request: Request, error: Exception) -> bool:
        """Decide whether an error ends the request, or it is worth asking again."""
        if isinstance(error, SessionLimitError):
            return self._yield_to_others(request)
        if isinstance(error, TimeoutError):
            request.unanswered += 1
            if request.unanswered < _MAX_UNANSWERED:
                return False
            error = requests.no_answer(request)
        elif isinstance(error, WorkerCrashedError):
            request.crashes += 1
            if request.crashes < _MAX_CRASHES:
                return False
            error = requests.crashed(self._links.description, request, error)
        elif isinstance(error, LinkError) or self._may_come_back(request, error):
            request.hit_by_loss(time.monotonic(), self._links.heard_at)
            self._loss = error
            if not self._closed and request.reconnect_left_s > TOO_LITTLE_S:
                return False
            error = requests.lost(self._links.description, request, error)
        self._fail(request, error)
        return True

    def _may_come_back(self, request: Request, error: Exception) -> bool:
        """Whether a failed connect is part of an outage, not a first try."""
        again = self._was_open or request.give_up_at is not None
        return (
            again
            and isinstance(error, ConnectError)
            and not isinstance(error, HostKeyError)
        )

    def _new_worker(self, request: Request) -> Worker:
        if self._was_open and not self._links.is_connected:
            # those that waited in the queue meanwhile were hit by the same loss
            self._lost_at = self._lost_at or time.monotonic()
            request.hit_by_loss(self._lost_at, self._links.heard_at)
        if request.give_up_at is None:
            self._links.connect(asked_at=request.asked_at)
        elif self._loss is not None and request.reconnect_left_s < TOO_LITTLE_S:
            raise self._loss  # it waited in the queue until the time was over
        else:  # an attempt under way must not outlast the time to reconnect
            self._links.connect(request.reconnect_left_s)
        self._lost_at = self._loss = None
        return Worker(self._links)

    def _yield_to_others(self, request: Request) -> bool:
        """Leave the request to another worker, where there is another."""
        with self._lock:
            if len(self._threads) < 2:  # noqa: PLR2004  # alone: wait for a session
                return False
            self._max_workers = len(self._threads) - 1
        self._queue.put(request)
        return True

    def _fail(self, request: Request, error: Exception) -> None:
        if not request.future.done():
            request.future.set_exception(error)
