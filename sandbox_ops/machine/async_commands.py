"""Commands for a server in one event loop: no thread waits, a cancelled one is stopped."""

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Unpack

from sandbox_ops.errors import SandboxError
from sandbox_ops.machine.async_calls import Heartbeat, Threads, quickly
from sandbox_ops.models import CommandResult
from sandbox_ops.models.options import CommandOptions

if TYPE_CHECKING:
    from sandbox_ops.engines.foreground import Call
    from sandbox_ops.machine.sandbox import Sandbox

_LAST_LINE_S = 1.0
_MOST_LAST_LINES = 8
"""With more commands waiting than these, their heartbeats say the time alone."""


class UnderWay:
    """The calls of a server that are under way.

    Attributes:
        leaving: Set when the client is gone for good. A wait that is cut short from then
            on was not cancelled by anybody: its command goes on.
    """

    def __init__(self) -> None:
        self.leaving = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextlib.contextmanager
    def tracked(self) -> Iterator[None]:
        """Have `settled` wait for the running task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    def begin(self, task: "asyncio.Task[Any]") -> None:
        """Have `settled` wait for a task."""
        self._tasks.add(task)

    async def settled(self, within_s: float) -> None:
        """Wait for all of them, but not for ever."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)


class AsyncCommands:
    """Runs commands.

    Args:
        threads: Where what blocks for a round trip is done.
        under_way: The waits that are going on.
    """

    def __init__(self, threads: Threads, under_way: UnderWay) -> None:
        self._threads = threads
        self._under_way = under_way
        self._waiting_count = 0

    async def run(
        self,
        sandbox: "Sandbox",
        command: str,
        heartbeat: Heartbeat,
        **options: Unpack[CommandOptions],
    ) -> CommandResult:
        """Run a command and wait for its end; it is stopped where this is cancelled.

        Raises:
            SandboxError: As `Sandbox.submit` has it.
        """
        submitting = self._threads.begin(
            sandbox.config.name, lambda: sandbox.submit(command, **options)
        )
        self._waiting_count += 1
        try:
            call = await heartbeat.until(submitting)
            return await heartbeat.until(
                call.future, lambda: self._last_line(sandbox, call)
            )
        except asyncio.CancelledError:
            if not self._under_way.leaving:
                self._stop(submitting)
            raise
        finally:
            self._waiting_count -= 1

    def _stop(self, submitting: "Future[Call]") -> None:
        """Stop a cancelled command, also where it is only being sent."""
        if submitting.cancel():
            return

        async def stop() -> None:
            with contextlib.suppress(SandboxError), self._under_way.tracked():
                call = await asyncio.wrap_future(submitting)
                call.cancel()
                await asyncio.wrap_future(call.future)

        self._under_way.begin(asyncio.ensure_future(stop()))

    async def _last_line(self, sandbox: "Sandbox", call: "Call") -> str:
        """Return the last line of a command, if it can be had quickly."""
        from sandbox_ops.machine import log_reading

        job_id = call.job_id
        if job_id is None or self._waiting_count > _MOST_LAST_LINES:
            return job_id or ""
        reading = self._threads.begin(
            sandbox.config.name, lambda: log_reading.last_line(sandbox, job_id)
        )
        line = await quickly(reading, _LAST_LINE_S)
        return f"{job_id}: {line}" if line else job_id
