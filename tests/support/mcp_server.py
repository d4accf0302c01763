"""The MCP server: in this process, as a process, or line by line."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from waiting import wait_until

from mcp_adapter.catalog import Toolset
from mcp_adapter.protocol import build
from mcp_adapter.tools import Tools
from sandbox_ops.machine.sandboxes import Sandboxes

ERAS = ("auto", "legacy")
COMMAND = (str(Path(sys.executable).with_name("sandbox-ops-mcp")),)


def parameters(
    environment: Mapping[str, str], cwd: Path, *arguments: str
) -> StdioServerParameters:
    """Return how the SDK's client starts the server."""
    return StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], *arguments],
        env={**os.environ, **environment},
        cwd=cwd,
    )


def text(result: CallToolResult) -> str:
    """Return the text of a result, which has nothing else."""
    assert result.structured_content is None
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


Ask = Callable[..., tuple[str, bool]]
"""Calls a tool by name with arguments; returns its text and whether it is an error."""


def asker(
    sandboxes: Sandboxes, era: str, toolsets: Sequence[Toolset] = ("remote",)
) -> Ask:
    """Return what calls the tools on these sandboxes, in this process."""

    def ask(tool: str, **arguments: object) -> tuple[str, bool]:
        async def main() -> tuple[str, bool]:
            async with Client(build(Tools(sandboxes, toolsets)), mode=era) as client:
                result = await client.call_tool(tool, arguments)
                return text(result), result.is_error

        return asyncio.run(main())

    return ask


def started(answer: str) -> str:
    """Return the id of the job that an answer says was started."""
    named = re.match(r"(remote-\d+) started in the background\.\n", answer)
    assert named, answer
    assert f'remote_bash_output(bash_id="{named[1]}")' in answer
    return named[1]


def cursor(answer: str) -> str:
    """Return the cursor in an answer."""
    match = re.search(r"^cursor: (\S+)$", answer, re.MULTILINE)
    assert match, answer
    return match[1]


def output(answer: str) -> str:
    """Return what a job said, of an answer about it."""
    return answer.partition("\n---\n")[2]


def ended(ask: Ask, command: str, **more: object) -> str:
    """Run a job to its end; return its id."""
    job = started(
        ask("remote_bash", command=command, run_in_background=True, **more)[0]
    )
    over = re.compile(f"{job}: (?!running|starting|stopping)")
    wait_until(lambda: over.match(ask("remote_bash_output", bash_id=job)[0]), what=job)
    return job


@dataclass
class Wire:
    """A server spoken to in lines of JSON."""

    process: subprocess.Popen[bytes]

    def send(self, method: str, request_id: int | None = None, **params: Any) -> None:  # noqa: ANN401
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if request_id is not None:
            message["id"] = request_id
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Return the next message; fails where the line is none."""
        assert self.process.stdout
        message = json.loads(self.process.stdout.readline())
        assert isinstance(message, dict)
        return message

    def answer(self, request_id: int) -> dict[str, Any]:
        """Return the answer to a request, passing over what comes before."""
        while True:
            message = self.receive()
            if message.get("id") == request_id:
                return message

    def begin(self) -> dict[str, Any]:
        """Shake hands; return the server's side of it."""
        self.send(
            "initialize",
            1,
            protocolVersion="2025-11-25",
            capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )
        answer = self.answer(1)
        self.send("notifications/initialized")
        return answer

    def leave(self) -> int:
        """Close its stdin; return its exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(5)

    def call(self, request_id: int, tool: str, **arguments: Any) -> None:  # noqa: ANN401
        self.send("tools/call", request_id, name=tool, arguments=arguments)


@contextmanager
def wire(environment: Mapping[str, str], cwd: Path, *arguments: str) -> Iterator[Wire]:
    """Start a server; end it at the end, if it still lives."""
    with talk([*COMMAND, *arguments], cwd, {**os.environ, **environment}) as server:
        yield server


@contextmanager
def talk(
    arguments: Sequence[str | Path], cwd: Path, environment: Mapping[str, str]
) -> Iterator[Wire]:
    """Start a program that speaks in lines of JSON; end it at the end."""
    with (cwd / "stderr").open("ab") as stderr:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=dict(environment),
            cwd=cwd,
        )
    try:
        yield Wire(process)
    finally:
        process.kill()
        for stream in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        process.wait(5)
