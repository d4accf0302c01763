"""The MCP server over HTTP, as a process."""

import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp_server import COMMAND

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of a test
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@dataclass
class Served:
    process: subprocess.Popen[str]
    port: int

    def post(self, *, path: str = "/mcp", **headers: str) -> tuple[int, str]:
        """Send an initialize with these headers; return status and body."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **{name.capitalize(): value for name, value in headers.items()},
        }
        link.request("POST", path, json.dumps(INITIALIZE), sent)
        answer = link.getresponse()
        output = answer.read().decode()
        link.close()
        return answer.status, output


@contextmanager
def served(folder: Path, *arguments: str, **env: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [*COMMAND, "--http", "--port", "0", *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **env},
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        match = re.fullmatch(r"sandbox-ops-mcp: http://127.0.0.1:(\d+)/mcp\n", line)
        assert match, line
        yield Served(process, int(match[1]))
    finally:
        process.kill()
        process.wait(5)
        if process.stderr is not None:
            process.stderr.close()
