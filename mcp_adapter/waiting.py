"""Waiting for the library without a thread, and telling the client that it goes on.

The library answers with `concurrent.futures`. A command that runs for hours is such a
future and holds nothing here. What blocks for a round trip gets one of our own threads:
those of the event loop carry the transport, which freezes when they run out.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sandbox_ops.text import formatting

T = TypeVar("T")
Progress = Callable[[float, str], Awaitable[None]]
"""Tells the client how many seconds it took so far, and a line about it."""

HEARTBEAT_S = 2.0

_THREADS = 16
_LONG_THREADS = 4
_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tool")
_long_pool = ThreadPoolExecutor(_LONG_THREADS, thread_name_prefix="workflow")


def in_thread(work: Callable[[], T]) -> "Future[T]":
    """Begin work that blocks for a moment, in a thread of ours."""
    return _pool.submit(work)


def in_long_thread(work: Callable[[], T]) -> "Future[T]":
    """Begin work that may block for an hour, where it holds up nothing but its like."""
    return _long_pool.submit(work)


class Beat:
    """The heartbeat of one call, from now on.

    Args:
        progress: Where it goes. None: nobody asked for it.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._began = time.monotonic()

    async def until(
        self, work: "Future[T]", line: Callable[[], Awaitable[str]] | None = None
    ) -> T:
        """Return what comes of the work, with a heartbeat until then.

        Who cancels this wait does not cancel the work.

        Args:
            work: Under way elsewhere.
            line: Asked for a line about it at each beat.

        Raises:
            Exception: what the work raised.
        """
        done = asyncio.wrap_future(work)
        done.add_done_callback(_seen)
        while not (await asyncio.wait({done}, timeout=HEARTBEAT_S))[0]:
            if self._progress:
                elapsed = time.monotonic() - self._began
                words = (formatting.duration(elapsed), await line() if line else "")
                await self._progress(elapsed, ": ".join(filter(None, words)))
        return done.result()


async def quickly(work: "Future[T]", within_s: float) -> T | None:
    """Return what comes of the work; None where it takes longer, or fails."""
    done = asyncio.wrap_future(work)
    done.add_done_callback(_seen)
    await asyncio.wait({done}, timeout=within_s)
    return done.result() if done.done() and not done.exception() else None


def _seen(done: "asyncio.Future[T]") -> None:
    """Look at an error that nobody waits for any more, lest asyncio complains."""
    if not done.cancelled():
        done.exception()
