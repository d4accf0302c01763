"""Rows about programs: how soon they are there, and how big."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench import OURS, Bench
from measure import Beside, Contenders, Row, compared, interleaved, mib
from references import peak_bytes

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}
_IMPORT_INVOKE = "`python -c 'import invoke'`"
_IMPORT_MCP = "`python -c 'import mcp.server'`"


def listed(bench: Bench) -> Iterator[Row]:
    """Say what the shortest word to the command line costs."""
    program = (str(Path(sys.executable).with_name("sandbox-ops")), "--list")
    imports = (sys.executable, "-c", "import invoke")
    contenders: Contenders = {
        OURS: lambda: _quietly(*program),
        _IMPORT_INVOKE: lambda: _quietly(*imports),
    }
    medians = interleaved(contenders, bench.fewer(3))
    yield compared("`sandbox-ops --list`", medians, {_IMPORT_INVOKE: 1.3})
    ours, theirs = peak_bytes(*program), peak_bytes(*imports)
    other = Beside(_IMPORT_INVOKE, mib(theirs), ours / theirs)
    yield Row("its peak memory", mib(ours), (other,))


def mcp(bench: Bench) -> Iterator[Row]:
    """Say how soon an agent's host has an answer of the MCP server."""
    (bench.folder / "cwd").mkdir()
    config_home = bench.folder / "config"
    bench.server.write_toml(bench.folder / "cwd", config_home=config_home)
    imports = (sys.executable, "-c", "import mcp.server")
    contenders: Contenders = {
        OURS: lambda: _initialize(bench.folder / "cwd"),
        _IMPORT_MCP: lambda: _quietly(*imports),
    }
    medians = interleaved(contenders, bench.fewer(6))
    yield compared(
        "MCP server, start to `initialize` reply", medians, {_IMPORT_MCP: 1.2}
    )


def _quietly(*command: str) -> None:
    subprocess.run(
        command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def _initialize(cwd: Path) -> None:
    """Start the server, shake hands, and let it go."""
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("sandbox-ops-mcp"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "XDG_CONFIG_HOME": str(cwd.parent / "config")},
    ) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        assert answer["result"]["serverInfo"], answer
        server.kill()
