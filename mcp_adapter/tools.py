"""The tools: read the arguments, call the library, say what came of it.

(Over 250 lines: the three tools share one account of calls, heartbeats and cancellation.)
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from mcp_adapter import answers, catalog, readers
from mcp_adapter import workflow_catalog as workflow
from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from mcp_adapter.catalog import Toolset
from mcp_adapter.tool_arguments import ToolArguments
from sandbox_ops.errors import SandboxError, UsageError
from sandbox_ops.machine.async_calls import (
    Heartbeat,
    HeartbeatCallback,
    Threads,
    on_each,
)
from sandbox_ops.machine.async_commands import AsyncCommands, UnderWay
from sandbox_ops.machine.sandboxes import Sandboxes, Surroundings
from sandbox_ops.models import policy
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.text import command_words

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.machine.waiting import Wait

_FOREGROUND_S = 120.0
_CONFIGURATION = ""
"""Whose threads read the configuration: those of no machine."""

log = logging.getLogger(__name__)


class Tools:
    """The tools over the configured sandboxes, in one event loop.

    Attributes:
        has_workflows: Whether the verbs are among them.
        under_way: The calls that have not been answered yet.

    Args:
        sandboxes: Where they work.
        toolsets: Which tools there are.
    """

    def __init__(
        self, sandboxes: Sandboxes, toolsets: Sequence[Toolset] = ("remote",)
    ) -> None:
        self.has_workflows = "workflow" in toolsets
        self._tools = {tool.tool_name: tool for tool in _of(toolsets)}
        self._sandboxes = sandboxes
        self._short = Threads(16)
        self._long = Threads(4)  # for the verbs: a setup holds up no read
        self.under_way = UnderWay()
        self._commands = AsyncCommands(self._short, self.under_way)

    async def listed(self) -> tuple[type[ToolArguments], ...]:
        """Return the tools as they can be called now, whatever the configuration.

        What no machine's mode allows is not among them; the library refuses it besides.
        """
        with self.under_way.tracked():
            looking = self._short.begin(_CONFIGURATION, self._sandboxes.offered)
            names, modes = await asyncio.wrap_future(looking)
        return tuple(
            tool.with_sandboxes(names)
            for tool in self._tools.values()
            if not modes or any(policy.allows(mode, tool.action) for mode in modes)
        )

    @property
    def surroundings(self) -> Surroundings | None:
        """Where the default machine's work goes on; None where nobody can say."""
        return self._sandboxes.surroundings()

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
        with self.under_way.tracked():
            try:
                answer = await self._answer(tool, sent or {}, Heartbeat(callback))
            except SandboxError as problem:
                answer = self._error(name, problem, "")
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
        on = arguments.asked_for("on")
        aiming = self._short.begin(
            _CONFIGURATION,
            lambda: self._sandboxes.targets(
                sandbox=arguments.asked_for("sandbox"), on=on, jobs=arguments.names
            ),
        )
        targets = await heartbeat.until(aiming)
        if on and tool.at_once:
            return await self._workflow(arguments, tuple(targets), heartbeat)
        if len(targets) > 1:
            return await self._on_each(arguments, targets, heartbeat)
        ((which, jobs),) = targets.items()
        return await self._on_one(arguments.about(jobs), which, heartbeat)

    async def _on_each(
        self,
        arguments: ToolArguments,
        targets: Mapping[str, Sequence[str]],
        heartbeat: Heartbeat,
    ) -> ToolAnswer:
        """Do it on several machines at once; a wait for jobs of several ends with the first."""
        from sandbox_ops.workflows import fleet, fleet_totals

        async def one(which: str) -> ToolAnswer:
            with self.under_way.tracked():
                about = arguments.about(targets[which])
                return await self._on_one(about, which, Heartbeat(None))

        is_race = bool(arguments.asked_for("wait")) and not arguments.asked_for("on")
        parts = await on_each(targets, one, heartbeat, first=is_race)
        named = bool(arguments.names)
        reports = {name: part.report for name, part in parts.items()}
        judged = fleet.that_count(reports, named=named)
        ok = not any(parts[name].is_error for name in judged)
        totals = fleet_totals.of_reports(reports, of_job=named)
        return answers.of_several(parts, totals.lines if totals else (), ok=ok)

    def _error(self, tool: str, problem: SandboxError, which: str) -> ToolAnswer:
        log.info("%s: %s", tool, problem)
        has_agent = self._sandboxes.has_ssh_agent
        return answers.error(problem, self._calls(which), no_agent=not has_agent)

    async def _on_one(
        self, arguments: ToolArguments, which: str, heartbeat: Heartbeat
    ) -> ToolAnswer:
        try:
            return await self._done_on(arguments, which, heartbeat)
        except SandboxError as problem:
            return self._error(arguments.tool_name, problem, which)

    async def _done_on(
        self, arguments: ToolArguments, which: str, heartbeat: Heartbeat
    ) -> ToolAnswer:
        opening = self._short.begin(_CONFIGURATION, lambda: self._sandboxes.get(which))
        sandbox = await heartbeat.until(opening)
        calls = self._calls(which)
        if isinstance(arguments, catalog.RemoteBash):
            return await self._bash(sandbox, arguments, calls, heartbeat)
        asked = arguments if isinstance(arguments, catalog.RemoteBashOutput) else None
        if asked and asked.wait and asked.names:
            return await self._wait(sandbox, asked, calls, heartbeat)
        if read := readers.READERS.get(arguments.tool_name):
            reading = self._short.begin(
                sandbox.config.name, lambda: read(sandbox, arguments, calls)
            )
            return await heartbeat.until(reading)
        return await self._workflow(arguments, (which,), heartbeat)

    def _choices(self) -> "Future[tuple[str, ...]]":
        return self._short.begin(_CONFIGURATION, self._sandboxes.choices)

    def _calls(self, sandbox_name: str) -> Calls:
        return Calls(sandbox_name, tools=frozenset(self._tools))

    async def _workflow(
        self, arguments: ToolArguments, names: Sequence[str], heartbeat: Heartbeat
    ) -> ToolAnswer:
        """Run a verb; it is cancelled where the client cancels the call."""
        from mcp_adapter import workflows

        latest_progress, token = [""], CancelToken()

        def work() -> ToolAnswer:
            machines = map(self._sandboxes.get, names)
            context = workflows.WorkflowContext(
                machines=[each.cancelled_by(token) for each in machines],
                sandboxes=self._sandboxes,
                project=self._sandboxes.project(),
                report_progress=lambda line: latest_progress.__setitem__(0, line),
                calls=self._calls(names[0] if len(names) == 1 else ""),
            )
            return workflows.HANDLERS[arguments.tool_name](context, arguments)

        async def line() -> str:
            return latest_progress[0]

        working = self._long.begin(",".join(names), work)
        try:
            return await heartbeat.until(working, line)
        except asyncio.CancelledError:
            if not self.under_way.leaving and not working.cancel():
                self._short.begin(_CONFIGURATION, token.cancel)
            raise

    async def _wait(
        self,
        sandbox: "Sandbox",
        arguments: catalog.RemoteBashOutput,
        calls: Calls,
        heartbeat: Heartbeat,
    ) -> ToolAnswer:
        """Wait for what happens first, then read the job that it happened to."""
        from sandbox_ops.workflows import job_answers

        name = sandbox.config.name
        options = {"pattern": arguments.filter, "since": arguments.since}
        timeout_s = catalog.seconds(arguments.wait, "wait")
        begun = self._short.begin(
            name,
            lambda: job_answers.begin_wait(
                sandbox, arguments.names, timeout_s=timeout_s, **options
            ),
        )
        try:
            waiting = await heartbeat.until(begun)

            async def line() -> str:
                return ", ".join(f"{job.id} {job.words}" for job in waiting.jobs)

            report = await heartbeat.until(waiting.future, line)
        finally:
            begun.add_done_callback(_give_up)
        reading = self._short.begin(
            name, lambda: readers.job_output(sandbox, arguments, calls, report)
        )
        return await heartbeat.until(reading)

    async def _bash(
        self,
        sandbox: "Sandbox",
        arguments: catalog.RemoteBash,
        calls: Calls,
        heartbeat: Heartbeat,
    ) -> ToolAnswer:
        command = arguments.command
        if not command.strip():
            raise UsageError("`command` is empty")
        timeout_s = catalog.seconds(arguments.timeout)
        if arguments.run_in_background:
            starting = self._short.begin(
                sandbox.config.name,
                lambda: sandbox.start(
                    command,
                    description=arguments.description,
                    timeout_s=timeout_s,
                    cwd=arguments.cwd,
                    see_early_end=True,
                ),
            )
            job = await heartbeat.until(starting)
            return ToolAnswer(command_words.started(job, timeout_s, calls))
        timeout_s = timeout_s or _FOREGROUND_S
        result = await self._commands.run(
            sandbox,
            command,
            heartbeat,
            keep_bytes=answers.KEEP_BYTES,
            description=arguments.description,
            timeout_s=timeout_s,
            cwd=arguments.cwd,
        )
        return answers.command(result, command, timeout_s, calls)


def _of(toolsets: Sequence[Toolset]) -> tuple[type[ToolArguments], ...]:
    remote = catalog.TOOLS if "remote" in toolsets else ()
    return (*remote, *(workflow.TOOLS if "workflow" in toolsets else ()))


def _give_up(begun: "Future[Wait]") -> None:
    """Wait no longer; nothing where it is over."""
    if not begun.cancelled() and not begun.exception():
        begun.result().cancel()
