"""Calls at a later time, all from one thread, which lives while there are any."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Timer:
    """A call that is still to come; `cancel` lets it never come."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Forget the call."""
        self.call = None


class Timers:
    """Calls back when their time has come. A call must not block."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def after(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call in so many seconds."""
        timer = Timer(call)
        entry = (time.monotonic() + delay_s, next(self._order), timer)
        with self._changed:
            heapq.heappush(self._due, entry)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="timers", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        return timer

    def _run(self) -> None:
        while (timer := self._next()) is not None:
            if call := timer.call:
                call()

    def _next(self) -> Timer | None:
        """Wait for the next call; None where there is none any more."""
        with self._changed:
            while self._due:
                while self._due and self._due[0][2].call is None:
                    heapq.heappop(self._due)  # cancelled
                if not self._due:
                    break
                left_s = self._due[0][0] - time.monotonic()
                if left_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(left_s)
            self._thread = None
            return None
