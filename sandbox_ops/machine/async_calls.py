"""Waiting for the library without a thread, and telling the client that it goes on.

The library answers with `concurrent.futures`. A command that runs for hours is such a
future and holds nothing here. What blocks for a round trip gets one of our own threads:
those of the event loop carry the transport, which freezes when they run out.
"""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sandbox_ops.text import formatting

T = TypeVar("T")
K = TypeVar("K")
HeartbeatCallback = Callable[[float, str], Awaitable[None]]
"""Tells the client how many seconds it took so far, and a line about it."""

HEARTBEAT_S = 2.0


class Threads:
    """Threads for what blocks, apart for each machine: a silent one holds up no other.

    Args:
        count: How many a machine has at most; more work waits for its own kind.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pools: dict[str, ThreadPoolExecutor] = {}

    def begin(self, sandbox_name: str, work: Callable[[], T]) -> "Future[T]":
        """Begin work that waits for that machine."""
        if sandbox_name not in self._pools:
            pool = ThreadPoolExecutor(self._count, thread_name_prefix=sandbox_name)
            self._pools[sandbox_name] = pool
        context = contextvars.copy_context()  # who asks, for the audit log
        return self._pools[sandbox_name].submit(context.run, work)


class Heartbeat:
    """The heartbeat of one call, from now on.

    Args:
        callback: Where it goes. None: nobody asked for it.
    """

    def __init__(self, callback: HeartbeatCallback | None) -> None:
        self._callback = callback
        self._began = time.monotonic()

    async def until(
        self,
        work: "Future[T] | asyncio.Future[T]",
        line: Callable[[], Awaitable[str]] | None = None,
    ) -> T:
        """Return what comes of the work, with a heartbeat until then.

        To cancel this wait does not cancel the work.

        Args:
            work: Under way elsewhere.
            line: Asked for a line about it at each beat.

        Raises:
            Exception: what the work raised.
        """
        done = asyncio.wrap_future(work)
        done.add_done_callback(_retrieve_error)
        while not (await asyncio.wait({done}, timeout=HEARTBEAT_S))[0]:
            if self._callback:
                elapsed_s = time.monotonic() - self._began
                parts = (formatting.duration(elapsed_s), await line() if line else "")
                await self._callback(elapsed_s, ": ".join(filter(None, parts)))
        return done.result()


async def on_each(
    keys: Collection[K],
    work: Callable[[K], Coroutine[Any, Any, T]],
    heartbeat: Heartbeat,
    *,
    first: bool = False,
) -> dict[K, T]:
    """Return what comes of the work for each key, done at the same time.

    Args:
        keys: Machines, by their names.
        work: What is done for each. It is cancelled where this is.
        heartbeat: Of the whole.
        first: Return with the first of them, and cancel the others.
    """
    tasks = {key: asyncio.ensure_future(work(key)) for key in keys}
    until = asyncio.FIRST_COMPLETED if first else asyncio.ALL_COMPLETED
    waiting = asyncio.ensure_future(asyncio.wait(tasks.values(), return_when=until))

    async def line() -> str:
        n_done = sum(task.done() for task in tasks.values())
        return f"{n_done} of {len(tasks)} machines answered"

    try:
        await heartbeat.until(waiting, line)
        return {key: task.result() for key, task in tasks.items() if task.done()}
    finally:
        for task in (waiting, *tasks.values()):
            task.cancel()


async def quickly(work: "Future[T]", within_s: float) -> T | None:
    """Return what comes of the work; None where it takes longer, or fails."""
    done = asyncio.wrap_future(work)
    done.add_done_callback(_retrieve_error)
    await asyncio.wait({done}, timeout=within_s)
    return done.result() if done.done() and not done.exception() else None


def _retrieve_error(done: "asyncio.Future[T]") -> None:
    """Look at an error that nobody waits for any more, so that asyncio does not complain."""
    if not done.cancelled():
        done.exception()
