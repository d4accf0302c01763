"""What a model would have in its hands, and what each use of it costs.

A call is what a model has to issue; what it reads is the answer, whole. Commands of the
client's own shell count alike for all.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import mcp_server

from agent_eval.world import World
from sandbox_ops import Sandbox

CALL_TIMEOUT_S = 90.0
SERVER_ENDED = "the server ended"


@dataclass
class Cost:
    """What a client needed.

    Attributes:
        read: Characters of answers.
        written: Characters of commands and arguments.
        failed: Calls that failed though the task was not to blame.
    """

    calls: int = 0
    read: int = 0
    written: int = 0
    failed: int = 0
    transcript: list[str] = field(default_factory=list)

    def add(self, asked: str, answer: str, *, failed: bool) -> None:
        """Count a call."""
        self.calls += 1
        self.written += len(asked)
        self.read += len(answer)
        self.failed += failed
        mark = "! " if failed else "> "
        self.transcript += [f"{mark}{asked}", answer.rstrip("\n")]


class Client:
    """A shell on the client's computer; all that plain ssh and the command line need."""

    def __init__(self, world: World, cost: Cost | None = None) -> None:
        self.world = world
        self.cost = cost or Cost()

    def shell(self, command: str, *, expect: tuple[int, ...] = (0,)) -> tuple[str, int]:
        """Run a command in the local clone; return what a model reads, and its exit code.

        Args:
            command: For bash.
            expect: Exit codes that are no failure of the call.
        """
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.world.git.clone,
            env={**os.environ, **self.world.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        bound = threading.Timer(CALL_TIMEOUT_S, _kill_group, [process.pid])
        bound.start()
        answer, _ = process.communicate()
        bound.cancel()
        code = process.returncode
        self._count(command, answer, failed=code not in expect)
        return answer, code

    def _count(self, asked: str, answer: str, *, failed: bool) -> None:
        """Count a call, its paths as long as they are on a user's machines."""
        self.cost.add(self.world.plain(asked), self.world.plain(answer), failed=failed)

    def learn(self, name: str, pattern: str, text: str) -> None:
        """Keep what a pattern's first group says, where the text has it."""
        if found := re.search(pattern, text, re.MULTILINE):
            self.world.answer(name, found[1])

    def another(self) -> Self:
        """Return a client of the same kind who knows nothing; the cost goes on."""
        self.close()
        return type(self)(self.world, self.cost)

    def colleague(self, command: str) -> None:
        """Let a colleague who uses the same start a job in the clone there, and leave."""
        with Sandbox(
            self.world.server.config(workspace=str(self.world.workspace))
        ) as far:
            far.start(command, cwd=self.world.project_path, name="ablation")

    def open(self) -> None:
        """Begin; what a host does before the conversation is not timed."""

    def close(self) -> None:
        """Leave."""


class Ssh(Client):
    """OpenSSH over a ControlMaster."""

    def colleague(self, command: str) -> None:
        started = (
            f"ssh box 'mkdir -p ~/colleague && cd {self.world.project_path} &&"
            f' (nohup setsid sh -c "{command}; echo \\$? >~/colleague/exit"'
            " >~/colleague/log 2>&1 </dev/null &)'"
        )
        other = Client(self.world)
        other.shell(started)
        assert not other.cost.failed, other.cost.transcript

    def close(self) -> None:
        Client(self.world).shell("ssh -O exit box", expect=(0, 255))


class Tools(Client):
    """Our default tools, through a server process spoken to over stdio.

    Attributes:
        fixed: Characters of tools and instructions, read once a conversation.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, world: World, cost: Cost | None = None) -> None:
        super().__init__(world, cost)
        self._ending = contextlib.ExitStack()
        self._wire: mcp_server.Wire | None = None
        self._last = 1
        self.fixed = 0

    def call(self, tool: str, *, may_fail: bool = False, **arguments: Any) -> str:  # noqa: ANN401
        """Call a tool; return its text.

        Args:
            tool: Its name.
            may_fail: Whether an error is what the task is about.
            arguments: Of the tool.
        """
        named = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        wire = self._connected()
        self._last += 1
        try:
            with _bounded(wire):
                wire.call(self._last, tool, **arguments)
                result = wire.answer(self._last)
        except (OSError, ValueError) as error:  # the server is dead
            self._wire = None
            answer, failed, may_fail = f"{SERVER_ENDED}: {error}", True, False
        else:
            answer, failed = _text(result)
        self._count(f"{tool}({named})", answer, failed=failed and not may_fail)
        return answer

    def open(self) -> None:
        self._connected()

    def _connected(self) -> mcp_server.Wire:
        if self._wire is None:
            self._wire = self._ending.enter_context(
                mcp_server.wire(
                    self.world.environment, self.world.git.clone, *self.arguments
                )
            )
            with _bounded(self._wire):
                greeting = self._wire.begin()["result"]
                self._wire.send("tools/list", 2)
                tools = self._wire.answer(2)["result"]["tools"]
            self._last = 2
            self.fixed = len(json.dumps(tools, separators=(",", ":"))) + len(
                greeting.get("instructions", "")
            )
        return self._wire

    def close(self) -> None:
        self._ending.close()
        self._wire = None


class BothToolsets(Tools):
    """The same with the workflow tools."""

    arguments: ClassVar[tuple[str, ...]] = ("--toolsets", "remote,workflow")


def _text(message: dict[str, Any]) -> tuple[str, bool]:
    if "error" in message:
        return str(message["error"]["message"]), True
    result = message["result"]
    (content,) = result["content"]
    return str(content["text"]), bool(result.get("isError"))


@contextlib.contextmanager
def _bounded(wire: mcp_server.Wire) -> Iterator[None]:
    """Kill a server that does not answer in time."""
    bound = threading.Timer(CALL_TIMEOUT_S, wire.process.kill)
    bound.start()
    try:
        yield
    finally:
        bound.cancel()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


CLIENTS: dict[str, type[Client]] = {
    "ssh": Ssh,
    "tools": Tools,
    "both toolsets": BothToolsets,
    "command line": Client,
}
