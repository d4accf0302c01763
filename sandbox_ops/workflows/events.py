"""events: what happens to the jobs of all machines, as it happens.

One thread and one connection a machine, one question every few seconds however many jobs
there are. A machine that cannot be reached is asked again for ever, further apart, and
never holds up the others.
"""

import queue
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from sandbox_ops.errors import SandboxError
from sandbox_ops.machine import changes, jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import job_ids
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.events import Event
from sandbox_ops.workflows import event_cursor, event_memory
from sandbox_ops.workflows.event_memory import SandboxMemory, Step

LOOK_S = 3.0
"""Between two questions: an event is reported within 5 s."""

_RETRY_MOST_S = 60.0
_IDLE_S = 0.3
_WAITING = 64  # looks that a slow reader may be behind, a machine
_NOBODY = 1 << 40  # above every number of a job: only what there is is asked


def _nothing() -> None:
    pass


def events(
    sandboxes: Sequence[Sandbox],
    *,
    since: str = "",
    follow: bool = False,
    only: Collection[str] = (),
    cancel: CancelToken | None = None,
    on_idle: Callable[[], None] = _nothing,
    look_s: float = LOOK_S,
) -> Iterator[Event]:
    """Yield what happens, machine by machine in the order in which it is noticed.

    Close the iterator, or cancel, to end it. The sandboxes stay open: they are the caller's.

    Args:
        sandboxes: Which machines.
        since: The cursor of an event: begin after it. Without one: with what happens
            from now on, where it is followed, and what looks wrong already; else with
            all that is on record.
        follow: Go on, for ever.
        only: Ids of jobs; without any all of them, and what happens to the machines.
        cancel: Ends it.
        on_idle: Called a few times a second while nothing happens; what it raises
            ends the iteration.
        look_s: Between two questions.

    Raises:
        UsageError: `since` is no cursor.
    """
    memories = event_cursor.decode(since) if since else {}
    stop = threading.Event()
    arrivals: queue.Queue[tuple[str, list[Step] | Exception | None]] = queue.Queue(
        _WAITING * max(1, len(sandboxes))
    )
    for sandbox in sandboxes:
        memory = memories.setdefault(sandbox.config.name, SandboxMemory())
        from_now = follow and not memory.store
        watcher = _Watcher(sandbox, memory, arrivals, stop, look_s)
        watcher.start(follow=follow, from_now=from_now)
    return _merged(
        arrivals, memories, frozenset(only), len(sandboxes), stop, cancel, on_idle
    )


def _merged(
    arrivals: "queue.Queue[tuple[str, list[Step] | Exception | None]]",
    memories: dict[str, SandboxMemory],
    only: frozenset[str],
    n_live: int,
    stop: threading.Event,
    cancel: CancelToken | None,
    on_idle: Callable[[], None],
) -> Iterator[Event]:
    try:
        while n_live and not (cancel and cancel.cancelled):
            on_idle()
            try:
                name, steps = arrivals.get(timeout=_IDLE_S)
            except queue.Empty:
                continue
            if isinstance(steps, Exception):
                raise steps
            if steps is None:
                n_live -= 1
                continue
            for memory, event in steps:
                memories[name] = memory
                if event and (not only or event.job in only):
                    yield replace(event, cursor=event_cursor.encode(memories))
    finally:
        stop.set()


class _Watcher:
    """Asks one machine, again and again."""

    def __init__(
        self,
        sandbox: Sandbox,
        memory: SandboxMemory,
        arrivals: "queue.Queue[tuple[str, list[Step] | Exception | None]]",
        stop: threading.Event,
        look_s: float,
    ) -> None:
        self._sandbox = sandbox
        self._name = sandbox.config.name
        self._memory = memory
        self._arrivals = arrivals
        self._stop = stop
        self._look_s = look_s
        self._failures = 0

    def start(self, *, follow: bool, from_now: bool) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(
            target=self._run,
            args=(follow, from_now),
            name=f"events-{self._name}",
            daemon=True,
        ).start()

    def _run(self, follow: bool, from_now: bool) -> None:
        try:
            while not self._stop.is_set():
                steps, is_behind = self._look(from_now)
                self._put(steps)
                from_now = from_now and not self._memory.store
                if not (is_behind or follow):
                    break
                if not is_behind:
                    self._stop.wait(self._pause_s())
            self._put(None)
        except Exception as error:  # noqa: BLE001 - the reader has to know
            self._put(error)

    def _put(self, arrival: list[Step] | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                self._arrivals.put((self._name, arrival), timeout=_IDLE_S)
            except queue.Full:
                continue
            return

    def _look(self, from_now: bool) -> tuple[list[Step], bool]:
        """Look once; return what is new, and whether there is more to ask for at once."""
        memory = self._memory
        try:
            if from_now:
                steps: list[Step] = self._present()
                is_behind = True  # what looks wrong already is news
            else:
                answer = changes.look(
                    self._sandbox, memory.seen, memory.known, memory.queued
                )
                now = round(time.time(), 3)
                steps = list(event_memory.news(self._name, memory, answer, now))
                is_behind = bool(steps) and steps[-1][0].seen < answer.newest
        except SandboxError as error:
            self._failures += 1
            now = round(time.time(), 3)
            steps = list(
                event_memory.unreachable(self._name, memory, error.message, now)
            )
            is_behind = False
        else:
            self._failures = 0
        if steps:
            self._memory = steps[-1][0]
        return steps, is_behind

    def _present(self) -> list[Step]:
        answer = changes.look(self._sandbox, _NOBODY, {})
        live = {
            job_ids.number(job.id): job
            for job in jobs.recent(self._sandbox)
            if not job.foreground and not job.state.ended
        }
        memory = event_memory.present(answer, live)
        back: list[Step] = []
        if self._memory.is_reachable is False:
            back = [
                step
                for step in event_memory.news(
                    self._name, self._memory, answer, round(time.time(), 3)
                )
                if step[1]
            ][:1]
        return [*back, (memory, None)]

    def _pause_s(self) -> float:
        if not self._failures:
            return self._look_s
        pause_s = min(self._look_s * float(1 << min(self._failures, 10)), _RETRY_MOST_S)
        return pause_s * random.uniform(0.5, 1)  # noqa: S311 - no secret
