"""The public conformance suite, the Inspector, a bundle, and clients that are not ours."""

import asyncio
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from command_line import cli
from mcp_server import COMMAND
from sshd import SshServer

from mcp_adapter import catalog, over_http, prompts, workflow_catalog
from mcp_adapter.machines import Machines
from mcp_adapter.tools import Tools

from .conftest import HERE, output

pytestmark = [pytest.mark.gates, pytest.mark.timeout(600)]

NodeTool = Callable[[str], tuple[Path, Path]]
SERVER = (*COMMAND, "--toolsets", "remote,workflow")
NAMES = [tool.name for tool in (*catalog.TOOLS, *workflow_catalog.TOOLS)]


@pytest.fixture
def folder(sshd: SshServer, tmp_path: Path) -> Path:
    """A folder from which the server finds a machine."""
    sshd.write_toml(tmp_path)
    return tmp_path


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """The server over HTTP, without the token: the suite cannot send one."""
    listening = over_http.bound("127.0.0.1", 0)
    tools = Tools(Machines(folder, {}), catalog.TOOLSETS)
    app = over_http.protocol(tools, listening)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    server.should_exit = True
    thread.join(20)


def test_the_conformance_suite_passes_but_for_what_does_not_apply(
    node_tool: NodeTool, url: str, tmp_path: Path
) -> None:
    words = ("server", "--url", url, "--expected-failures")
    said = output(
        [*node_tool("conformance"), *words, HERE / "conformance-baseline.yml"], tmp_path
    )
    passed = dict(
        re.findall(r"^✓ ([\w-]+): (\d+) passed, 0 failed", said, re.MULTILINE)
    )
    assert passed == {
        "server-initialize": "1",
        "ping": "1",
        "tools-list": "1",
        "server-sse-multiple-streams": "2",
        "prompts-list": "1",
        "dns-rebinding-protection": "2",
    }
    assert "Baseline check passed" in said


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_no_fault_with_the_tools(
    era: str, node_tool: NodeTool, folder: Path
) -> None:
    words = ("--cli", *SERVER, "--method", "tools/list", "--strict")
    said = output([*node_tool("inspector"), *words, "--protocol-era", era], folder)
    listed = json.loads(said[said.index("{") :])
    assert [tool["name"] for tool in listed["tools"]] == NAMES


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(("command", "code"), [("echo hello", 0), ("exit 3", 5)])
def test_the_inspector_calls_a_tool(
    era: str, command: str, code: int, node_tool: NodeTool, folder: Path
) -> None:
    words = ("--cli", *SERVER, "--method", "tools/call", "--tool-name", "remote_bash")
    argument = ("--tool-arg", f"command={command}", "--protocol-era", era)
    said = output([*node_tool("inspector"), *words, *argument], folder, code=code)
    assert ("hello" if code == 0 else "exit code 3") in said


@pytest.mark.parametrize(
    ("script", "requirements"), [("v1.py", "v1"), ("fast.py", "fastmcp")]
)
def test_another_client_lists_calls_and_hears_the_heartbeat(
    script: str, requirements: str, client: Callable[[str], Path], folder: Path
) -> None:
    said = output([client(requirements), HERE / "clients" / script, *SERVER], folder)
    found: dict[str, Any] = json.loads(said[said.index('{"') :])
    assert found["tools"] == NAMES
    assert found["prompts"] == len(prompts.PROMPTS)
    assert found["text"] == "exit code 3\nbegun"
    assert found["is_error"] is True
    assert found["beats"]
    assert found.get("protocol", "2025-11-25") == "2025-11-25"


def isolated(home: Path, tool: Path) -> dict[str, str]:
    """Return the environment of a host that knows nobody and phones nobody."""
    paths = (tool.parent, Path(sys.executable).parent, "/usr/bin", "/bin")
    return {
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "PATH": ":".join(map(str, paths)),
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


@pytest.fixture
def installed(folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Register the server with a host; return the home in which that was done."""
    home = tmp_path / "home"
    output(["git", "init", "-q"], folder)  # whose settings count only in a repository
    approved = folder / ".claude" / "settings.local.json"
    approved.parent.mkdir()
    approved.write_text('{"enableAllProjectMcpServers": true}')
    (home / ".claude").mkdir(parents=True)

    def install(host: str) -> Path:
        words = ("mcp-install", "--host", host, "--yes")
        done = cli(*words, cwd=folder, env={"HOME": str(home)})
        assert done.returncode == 0, done
        return home

    return install


def test_claude_code_connects_by_the_file_that_we_write(
    node_tool: NodeTool, installed: Callable[[str], Path], folder: Path
) -> None:
    _, claude = node_tool("claude")
    env = isolated(installed("claude"), claude)
    said = output([claude, "mcp", "get", "sandbox-ops"], folder, env=env)
    assert "Connected" in said
    assert "Timeout: 3700000ms" in said


def test_codex_reads_the_table_that_we_write(
    node_tool: NodeTool, installed: Callable[[str], Path], folder: Path
) -> None:
    _, codex = node_tool("codex")
    env = isolated(installed("codex"), codex)
    said = output([codex, "mcp", "get", "sandbox-ops"], folder, env=env)
    assert "enabled: true" in said
    assert "tool_timeout_sec: 3700" in said
    assert "SSH_AUTH_SOCK" in said


def test_the_bundle_manifest_is_valid(node_tool: NodeTool, tmp_path: Path) -> None:
    manifest = HERE.parents[1] / "packaging" / "mcpb" / "manifest.json"
    said = output([*node_tool("mcpb"), "validate", manifest], tmp_path)
    assert "passes" in said
