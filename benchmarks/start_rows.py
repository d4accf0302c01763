"""Rows about programs: how soon they are there, and how big."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import references
from bench import OURS, Bench
from far import far_server, round_trip_s
from measure import Beside, Contenders, Row, against, compared, interleaved, mib
from references import peak_bytes
from sshd import SshServer

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


_SSH = "`ssh`, connecting"
_RTT_S = 0.05


def program(bench: Bench) -> Iterator[Row]:
    """Say what one command costs from the prompt on: with a connection kept, and not."""
    with _typed(bench.server, bench.folder) as contenders:
        medians = interleaved(contenders, bench.fewer(3))
    yield from _program_rows(medians, "")


def program_far(bench: Bench) -> Iterator[Row]:
    """Say the same of a machine 50 ms away."""
    with far_server(bench.folder / "far", _RTT_S) as server:
        rtt_s = round_trip_s(server)
        with _typed(server, bench.folder) as contenders:
            medians = interleaved(contenders, bench.fewer(6))
    ours = (medians[OURS], medians[_DIRECT])
    for row, value_s in zip(_program_rows(medians, ", 50 ms away"), ours, strict=True):
        trip = against("a round trip", value_s, rtt_s, None)
        yield Row(row.what, row.shown, (*row.beside, trip))


def _program_rows(medians: dict[str, float], where: str) -> Iterator[Row]:
    kept = dict(medians)
    direct = {OURS: kept.pop(_DIRECT), _SSH: kept[_SSH]}
    yield compared(
        f"`sandbox-ops run -- true`, connection kept{where}", kept, {_SSH: 1.0}
    )
    yield compared(f"`sandbox-ops --no-agent run -- true`{where}", direct, {_SSH: 1.0})


_DIRECT = "ours, --no-agent"


@contextlib.contextmanager
def _typed(server: SshServer, folder: Path) -> Iterator[Contenders]:
    """Return what each does that is typed at a prompt, whole processes."""
    (folder / "cwd").mkdir()
    server.write_toml(folder / "cwd", config_home=folder / "config", host=server.host)
    program = str(Path(sys.executable).with_name("sandbox-ops"))
    # the path of a Unix socket may not be long
    with tempfile.TemporaryDirectory(prefix="run-") as runtime:
        env = {
            **os.environ,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_RUNTIME_DIR": runtime,
            "SANDBOX_OPS_AGENT_IDLE_S": "600",
        }
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # it compiles us anew at every start

        def typed(*words: str) -> None:
            subprocess.run(
                [program, *words], check=True, cwd=folder / "cwd", env=env,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip

        yield {
            OURS: lambda: typed("run", "--", "true"),
            _DIRECT: lambda: typed("--no-agent", "run", "--", "true"),
            _SSH: lambda: references.ssh(server, "true"),
        }
        typed("agent", "--stop")


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
