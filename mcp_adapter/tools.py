"""The tools: read the arguments, call the library, say what came of it.

(Over 250 lines: the three tools share one account of calls, heartbeats and cancellation.)
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from mcp_adapter import answers, catalog, readers
from mcp_adapter import workflow_catalog as workflow
from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from mcp_adapter.catalog import Toolset
from mcp_adapter.tool_arguments import ToolArguments
from mcp_adapter.waiting import Heartbeat, HeartbeatCallback, Threads, quickly
from sandbox_ops import policy
from sandbox_ops.errors import SandboxError, UsageError
from sandbox_ops.machine.sandboxes import Sandboxes
from sandbox_ops.models import CommandResult
from sandbox_ops.models.cancellation import CancelToken

if TYPE_CHECKING:
    from sandbox_ops.engines.foreground import Call
    from sandbox_ops.sandbox import Sandbox

_FOREGROUND_S = 120.0
_LAST_LINE_S = 1.0
_MOST_LAST_LINES = 8
"""With more calls waiting than these, their heartbeats say the time alone."""
_CONFIGURATION = ""
"""Whose threads read the configuration: those of no machine."""

log = logging.getLogger(__name__)


class Tools:
    """The tools over the configured sandboxes, in one event loop.

    Attributes:
        has_workflows: Whether the verbs are among them.
        leaving: Set when the client is gone for good. A wait that is cut short from then
            on was not cancelled by anybody: its command goes on.

    Args:
        sandboxes: Where they work.
        toolsets: Which tools there are.
    """

    def __init__(
        self, sandboxes: Sandboxes, toolsets: Sequence[Toolset] = ("remote",)
    ) -> None:
        self.leaving = False
        self.has_workflows = "workflow" in toolsets
        self._tools = {tool.tool_name: tool for tool in _of(toolsets)}
        self._sandboxes = sandboxes
        self._short = Threads(16)
        self._long = Threads(4)  # for the verbs: a setup holds up no read
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting_count = 0

    async def listed(self) -> tuple[type[ToolArguments], ...]:
        """Return the tools as they can be called now, whatever the configuration.

        What no machine's mode allows is not among them; the library refuses it besides.
        """
        names: tuple[str, ...] = ()
        modes: frozenset[str] = frozenset()
        with self._track_task():
            try:
                names = await asyncio.wrap_future(self._choices())
                looking = self._short.begin(_CONFIGURATION, self._sandboxes.modes)
                modes = await asyncio.wrap_future(looking)
            except SandboxError as problem:  # every call will say it
                log.info("tools/list: %s", problem)
            except Exception:
                log.exception("the configuration cannot be read")
        return tuple(
            tool.with_sandboxes(names)
            for tool in self._tools.values()
            if not modes or any(policy.allows(mode, tool.action) for mode in modes)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools."""
        return tuple(self._tools)

    async def call(
        self,
        name: str,
        sent: Mapping[str, object] | None,
        callback: HeartbeatCallback | None = None,
    ) -> ToolAnswer:
        """Return a tool's answer; what goes wrong is an answer too.

        Args:
            name: Of the tool.
            sent: Its arguments, unchecked.
            callback: Where heartbeats go. None: nobody asked for them.

        Raises:
            KeyError: there is no such tool.
        """
        tool = self._tools[name]
        with self._track_task():
            try:
                answer = await self._answer(tool, sent or {}, Heartbeat(callback))
            except SandboxError as problem:
                log.info("%s: %s", name, problem)
                calls = self._calls(str((sent or {}).get("sandbox") or ""))
                no_agent = not self._sandboxes.has_ssh_agent
                answer = answers.error(problem, calls, no_agent=no_agent)
            except Exception as problem:
                log.exception("%s failed", name)
                answer = answers.bug(problem)
        return answer

    async def _answer(
        self,
        tool: type[ToolArguments],
        sent: Mapping[str, object],
        heartbeat: Heartbeat,
    ) -> ToolAnswer:
        tool = tool.with_sandboxes(await heartbeat.until(self._choices()))
        arguments = tool.read(sent)
        which = arguments.sandbox_name
        opening = self._short.begin(_CONFIGURATION, lambda: self._sandboxes.get(which))
        sandbox = await heartbeat.until(opening)
        if isinstance(arguments, catalog.RemoteBash):
            return await self._bash(sandbox, arguments, heartbeat)
        if tool.tool_name in _READERS:
            read, calls = _READERS[tool.tool_name], self._calls(which)
            reading = self._short.begin(
                sandbox.config.name, lambda: read(sandbox, dict(arguments), calls)
            )
            return await heartbeat.until(reading)
        return await self._workflow(tool.tool_name, sandbox, arguments, heartbeat)

    def _choices(self) -> "Future[tuple[str, ...]]":
        return self._short.begin(_CONFIGURATION, self._sandboxes.choices)

    def _calls(self, sandbox_name: str) -> Calls:
        return Calls(sandbox_name, tools=frozenset(self._tools))

    async def _workflow(
        self,
        tool: str,
        sandbox: "Sandbox",
        arguments: ToolArguments,
        heartbeat: Heartbeat,
    ) -> ToolAnswer:
        """Run a verb; it is cancelled where the client cancels the call."""
        from mcp_adapter import workflows

        latest_progress, token = [""], CancelToken()

        def work() -> ToolAnswer:
            context = workflows.WorkflowContext(
                sandbox=sandbox.cancelled_by(token),
                project=self._sandboxes.project(),
                report_progress=lambda line: latest_progress.__setitem__(0, line),
                calls=self._calls(arguments.sandbox_name),
            )
            return workflows.HANDLERS[tool](context, arguments)

        async def line() -> str:
            return latest_progress[0]

        working = self._long.begin(sandbox.config.name, work)
        try:
            return await heartbeat.until(working, line)
        except asyncio.CancelledError:
            if not self.leaving and not working.cancel():
                self._short.begin(_CONFIGURATION, token.cancel)
            raise

    async def _bash(
        self, sandbox: "Sandbox", arguments: catalog.RemoteBash, heartbeat: Heartbeat
    ) -> ToolAnswer:
        command, calls = arguments.command, self._calls(arguments.sandbox_name)
        if not command.strip():
            raise UsageError("`command` is empty")
        timeout_s = catalog.seconds(arguments.timeout)
        if arguments.run_in_background:
            starting = self._short.begin(
                sandbox.config.name,
                lambda: sandbox.start(
                    command, description=arguments.description, timeout_s=timeout_s
                ),
            )
            return answers.started(await heartbeat.until(starting), timeout_s, calls)
        timeout_s = timeout_s or _FOREGROUND_S
        submitting = self._short.begin(
            sandbox.config.name,
            lambda: sandbox.submit(
                command,
                keep_bytes=answers.KEEP_BYTES,
                description=arguments.description,
                timeout_s=timeout_s,
            ),
        )
        result = await self._result(sandbox, submitting, heartbeat)
        return answers.command(result, command, timeout_s, calls)

    async def _result(
        self, sandbox: "Sandbox", submitting: "Future[Call]", heartbeat: Heartbeat
    ) -> CommandResult:
        """Wait for a command; it is stopped where the client cancels the call."""
        self._waiting_count += 1
        try:
            call = await heartbeat.until(submitting)
            return await heartbeat.until(
                call.future, lambda: self._last_line(sandbox, call)
            )
        except asyncio.CancelledError:
            if not self.leaving:
                self._stop(submitting)
            raise
        finally:
            self._waiting_count -= 1

    def _stop(self, submitting: "Future[Call]") -> None:
        """Stop a cancelled command, also where it is only being sent."""
        if submitting.cancel():
            return

        async def stop() -> None:
            with contextlib.suppress(SandboxError), self._track_task():
                call = await asyncio.wrap_future(submitting)
                call.cancel()
                await asyncio.wrap_future(call.future)

        self._tasks.add(asyncio.ensure_future(stop()))

    async def _last_line(self, sandbox: "Sandbox", call: "Call") -> str:
        """Return the last line of a command, if it can be had quickly."""
        job_id = call.job_id
        if job_id is None or self._waiting_count > _MOST_LAST_LINES:
            return job_id or ""
        reading = self._short.begin(
            sandbox.config.name, lambda: readers.last_line(sandbox, job_id)
        )
        line = await quickly(reading, _LAST_LINE_S)
        return f"{job_id}: {line}" if line else job_id

    @contextlib.contextmanager
    def _track_task(self) -> Iterator[None]:
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


def _of(toolsets: Sequence[Toolset]) -> tuple[type[ToolArguments], ...]:
    remote = catalog.TOOLS if "remote" in toolsets else ()
    return (*remote, *(workflow.TOOLS if "workflow" in toolsets else ()))


_READERS: dict[str, Callable[["Sandbox", Mapping[str, Any], Calls], ToolAnswer]] = {
    catalog.RemoteBashOutput.tool_name: readers.job_output,
    catalog.RemoteFileRead.tool_name: readers.file_lines,
}
