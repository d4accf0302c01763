"""The tools: read the arguments, call the library, say what came of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from mcp_adapter import answers, arguments, catalog, readers
from mcp_adapter import workflow_catalog as workflow
from mcp_adapter.answers import Answer
from mcp_adapter.catalog import Toolset
from mcp_adapter.machines import Machines
from mcp_adapter.marks import Calls
from mcp_adapter.waiting import Beat, Progress, in_long_thread, in_thread, quickly
from sandbox_ops.errors import SandboxError, UsageError
from sandbox_ops.models import CommandResult
from sandbox_ops.models.cancellation import CancelToken

if TYPE_CHECKING:
    from sandbox_ops.engines.foreground import Call
    from sandbox_ops.sandbox import Sandbox

_FOREGROUND_S = 120.0
_LAST_LINE_S = 1.0
_MOST_LAST_LINES = 8
"""With more calls waiting than these, their heartbeats say the time alone."""

log = logging.getLogger(__name__)


class Tools:
    """The tools over the configured machines, in one event loop.

    Attributes:
        has_workflows: Whether the verbs are among them.
        leaving: Set when the client is gone for good. A wait that is cut short from then
            on was not cancelled by anybody: its command goes on.

    Args:
        machines: Where they work.
        toolsets: Which tools there are.
    """

    def __init__(
        self, machines: Machines, toolsets: Sequence[Toolset] = ("remote",)
    ) -> None:
        self.leaving = False
        self.has_workflows = "workflow" in toolsets
        self._tools = {tool.name: tool for tool in _of(toolsets)}
        self._machines = machines
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting = 0

    async def listed(self) -> tuple[catalog.ToolSpec, ...]:
        """Return the tools as they can be called now, whatever the configuration."""
        with self._seen_through():
            try:
                names = await asyncio.wrap_future(in_thread(self._machines.names))
            except SandboxError as problem:  # every call will say it
                log.info("tools/list: %s", problem)
                names = ()
            except Exception:
                log.exception("the configuration cannot be read")
                names = ()
        return tuple(
            catalog.with_sandboxes(tool, names) for tool in self._tools.values()
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools."""
        return tuple(self._tools)

    async def call(
        self,
        name: str,
        sent: Mapping[str, object] | None,
        progress: Progress | None = None,
    ) -> Answer:
        """Return a tool's answer; what goes wrong is an answer too.

        Args:
            name: Of the tool.
            sent: Its arguments, unchecked.
            progress: Where heartbeats go. None: nobody asked for them.

        Raises:
            KeyError: there is no such tool.
        """
        tool = self._tools[name]
        with self._seen_through():
            try:
                return await self._answer(tool, sent, Beat(progress))
            except SandboxError as problem:
                log.info("%s: %s", name, problem)
                calls = self._calls(sent or {})
                return answers.error(problem, calls, no_agent=self._machines.no_agent)
            except Exception as problem:
                log.exception("%s failed", name)
                return answers.bug(problem)

    async def _answer(
        self, tool: catalog.ToolSpec, sent: Mapping[str, object] | None, beat: Beat
    ) -> Answer:
        names = await beat.until(in_thread(self._machines.names))
        given = arguments.read(catalog.with_sandboxes(tool, names), sent)
        which = given.get("sandbox") or ""
        sandbox = await beat.until(in_thread(lambda: self._machines.sandbox(which)))
        if tool is catalog.REMOTE_BASH:
            return await self._bash(sandbox, given, beat)
        if tool in workflow.TOOLS:
            return await self._workflow(tool.name, sandbox, given, beat)
        read, calls = _READERS[tool.name], self._calls(given)
        return await beat.until(in_thread(lambda: read(sandbox, given, calls)))

    def _calls(self, given: Mapping[str, Any]) -> Calls:
        which = given.get("sandbox")
        return Calls(
            which if isinstance(which, str) else "", tools=frozenset(self._tools)
        )

    async def _workflow(
        self, name: str, sandbox: "Sandbox", given: Mapping[str, Any], beat: Beat
    ) -> Answer:
        """Run a verb; it is cancelled where the client cancels the call."""
        from mcp_adapter import workflows

        told, cancel = [""], CancelToken()

        def work() -> Answer:
            here = workflows.Here(
                sandbox=sandbox.cancelled_by(cancel),
                project=self._machines.project(),
                tell=lambda line: told.__setitem__(0, line),
                calls=self._calls(given),
            )
            return workflows.call(name, here, given)

        async def line() -> str:
            return told[0]

        doing = in_long_thread(work)
        try:
            return await beat.until(doing, line)
        except asyncio.CancelledError:
            if not self.leaving and not doing.cancel():
                in_thread(cancel.cancel)
            raise

    async def _bash(
        self, sandbox: "Sandbox", given: Mapping[str, Any], beat: Beat
    ) -> Answer:
        command, timeout = given["command"], given["timeout"]
        calls = self._calls(given)
        if not command.strip():
            raise UsageError("`command` is empty")
        if timeout is not None and timeout < 1:
            raise UsageError("`timeout` must be at least 1, in milliseconds")
        timeout_s = timeout / 1000 if timeout else None
        how = {"description": given["description"], "timeout_s": timeout_s}
        if given["run_in_background"]:
            start = in_thread(lambda: sandbox.start(command, **how))
            return answers.started(await beat.until(start), timeout_s, calls)
        how["timeout_s"] = timeout_s = timeout_s or _FOREGROUND_S
        result = await self._result(sandbox, command, how, beat)
        return answers.command(result, command, timeout_s, calls)

    async def _result(
        self, sandbox: "Sandbox", command: str, how: Mapping[str, Any], beat: Beat
    ) -> CommandResult:
        """Run a foreground command; it is stopped where the client cancels the call."""
        starting = in_thread(
            lambda: sandbox.submit(command, keep_bytes=answers.KEEP_BYTES, **how)
        )
        self._waiting += 1
        try:
            call = await beat.until(starting)
            return await beat.until(call.future, lambda: self._last_line(sandbox, call))
        except asyncio.CancelledError:
            if not self.leaving:
                self._stop(starting)
            raise
        finally:
            self._waiting -= 1

    def _stop(self, starting: "Future[Call]") -> None:
        """Stop a command that the client gave up, also where it is only being sent."""
        if starting.cancel():
            return

        async def stop() -> None:
            with contextlib.suppress(SandboxError), self._seen_through():
                call = await asyncio.wrap_future(starting)
                call.cancel()
                await asyncio.wrap_future(call.future)

        self._tasks.add(asyncio.ensure_future(stop()))

    async def _last_line(self, sandbox: "Sandbox", call: "Call") -> str:
        """Return the last line of a command, if it can be had quickly."""
        job_id = call.job_id
        if job_id is None or self._waiting > _MOST_LAST_LINES:
            return job_id or ""
        reading = in_thread(lambda: readers.last_line(sandbox, job_id))
        line = await quickly(reading, _LAST_LINE_S)
        return f"{job_id}: {line}" if line else job_id

    @contextlib.contextmanager
    def _seen_through(self) -> Iterator[None]:
        """Have `settled` wait for the running task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    async def settled(self, within_s: float) -> None:
        """Wait for the calls under way, but not for ever."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)


def _of(toolsets: Sequence[Toolset]) -> tuple[catalog.ToolSpec, ...]:
    remote = catalog.TOOLS if "remote" in toolsets else ()
    return (*remote, *(workflow.TOOLS if "workflow" in toolsets else ()))


_READERS: dict[str, Callable[["Sandbox", Mapping[str, Any], Calls], Answer]] = {
    catalog.REMOTE_BASH_OUTPUT.name: readers.job_output,
    catalog.REMOTE_FILE_READ.name: readers.file_lines,
}
