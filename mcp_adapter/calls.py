"""Next steps as the calls of an agent: which tool does what a verb does, as data. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mcp_adapter import catalog
from sandbox_ops.errors import NextStep, SandboxError
from sandbox_ops.text import step_words


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The tool that does what a verb does.

    Attributes:
        options: For each option of the verb, what the argument is called; "" where the
            option means nothing to an agent. One that is not here has no argument.
        fixed: What the call has besides.
        lists: The arguments that take a list, however many values there are.
    """

    tool: str
    options: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()


_ON_PURPOSE = {"confirm": True}
_JOB = {"job": "bash_id"}
TOOL_CALLS: Mapping[str, tuple[ToolCall, ...]] = {
    "run": (ToolCall("remote_bash", {n: n for n in ("command", "cwd")}),),
    "logs": (
        ToolCall(
            "remote_bash_output",
            {"job": "bash_id", "filter": "filter", "follow": "", "lines": "limit"},
        ),
    ),
    "wait": (ToolCall("remote_bash_output", _JOB, {"wait": 600_000}),),
    "setup": (ToolCall("remote_setup"),),
    "sync": (ToolCall("remote_sync", {"push": "push"}),),
    "train": (
        ToolCall(
            "remote_train",
            {n: n for n in ("command", "name", "gpus", "force", "failed", "again")}
            | {"nodes": "nodes", "torchrun": "torchrun", "set": "settings"},
            lists=frozenset({"force"}),
        ),
    ),
    "monitor": (ToolCall("remote_monitor", {"watch": ""} | _JOB),),
    "jobs": (ToolCall("remote_bash_output", {"all": "", "limit": "limit"} | _JOB),),
    "reset": (
        ToolCall("remote_reset", {"dry_run": ""}),
        ToolCall("remote_reset", {}, _ON_PURPOSE),
    ),
    "fetch": (
        ToolCall(
            "remote_fetch",
            {"job": "bash_id"} | {name: name for name in ("path", "into", "dry_run")},
        ),
    ),
    "put": (ToolCall("remote_put", {name: name for name in ("path", "dest")}),),
    "stop": (ToolCall("remote_bash_stop", _JOB),),
    "runs": (ToolCall("remote_runs", {n: n for n in ("where", "sort", "limit")}),),
    "show": (ToolCall("remote_runs", {"run": "run"}, lists=frozenset({"run"})),),
}  # fmt: skip
"""For each verb that a tool does, its call. Of two, the first is the dry run's."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The next calls that an answer names, as a model would write them.

    Attributes:
        sandbox: Which machine they are for; "" where that is the default.
        tools: The tools that the agent has. A step that none of them does stays a
            command for a local shell.
    """

    sandbox: str = ""
    tools: frozenset[str] = frozenset(tool.tool_name for tool in catalog.TOOLS)

    def of(self, step: NextStep) -> str:
        """Return the call that does a step; where there is none, its command."""
        call = self._call(step)
        if call is not None:
            return call
        return self._command(step)

    def step(self, step: NextStep) -> str:
        """Return what a step is good for, and its call: `Push it first: CALL`."""
        call = self.of(step)
        return f"{step.purpose}: {call}" if step.purpose else call

    def error_text(self, problem: SandboxError) -> str:
        """Return what went wrong, then each hint on a line, with steps as calls."""
        return step_words.error_text(problem, self.step)

    def _call(self, step: NextStep) -> str | None:
        arguments = {k: v for k, v in step.given.items() if k not in _MACHINES}
        choices = TOOL_CALLS.get(step.verb, ())
        if len(choices) > 1:
            choices = choices[:1] if arguments.get("dry_run") else choices[1:]
        for choice in choices:
            if choice.tool not in self.tools or arguments.keys() - choice.options:
                continue
            named_values = {
                argument: _value(value, as_list=argument in choice.lists)
                for name, value in arguments.items()
                if (argument := choice.options[name])
            }
            more = {n: v for n in _MACHINES if (v := step.arguments.get(n))}
            return self.named(choice.tool, **named_values, **choice.fixed, **more)
        return None

    def _command(self, step: NextStep) -> str:
        arguments = dict(step.arguments)
        if step.verb not in _NO_SANDBOX:
            self._aim(arguments)
        return f"{replace(step, arguments=arguments).command} (in a local shell)"

    def read_file(self, path: str, **lines: int) -> str:
        """Return the call that reads a file on the machine."""
        return self.named("remote_file_read", file_path=path, **lines)

    def named(self, tool: str, **arguments: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return the call of a tool."""
        self._aim(arguments)
        shown_values = (
            f"{name}={json.dumps(value, ensure_ascii=False)}"
            for name, value in arguments.items()
        )
        return f"{tool}({', '.join(shown_values)})"

    def _aim(self, arguments: dict[str, Any]) -> None:
        if self.sandbox and "on" not in arguments:
            arguments.setdefault("sandbox", self.sandbox)


_MACHINES = ("sandbox", "on")
_NO_SANDBOX = frozenset({"mcp-install", "demo", "completion"})


def _value(value: object, *, as_list: bool) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if as_list:
        return list(value) if isinstance(value, (list, tuple)) else [value]
    return value
