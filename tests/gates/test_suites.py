"""The public conformance suite and the Inspector, in both eras of the protocol."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from mcp_server import COMMAND

from mcp_adapter import catalog, http_server, workflow_catalog
from mcp_adapter.tools import Tools
from sandbox_ops.guard import http_serving
from sandbox_ops.machine.sandboxes import Sandboxes

from .conftest import HERE, output

pytestmark = [pytest.mark.gates, pytest.mark.timeout(600)]

NodeTool = Callable[[str], tuple[Path, Path]]
SERVER = (*COMMAND, "--toolsets", "remote,workflow")
NAMES = [tool.tool_name for tool in (*catalog.TOOLS, *workflow_catalog.TOOLS)]

# Scenarios with how many of their checks pass and fail. Those that fail at all are in
# the baseline too, with the reason; how many checks of them do is held to here.
APPLICABLE = {
    "2025-11-25": {
        "server-initialize": (3, 0),
        "server-session-lifecycle": (3, 0),
        "ping": (2, 0),
        "tools-list": (3, 0),
        "prompts-list": (2, 0),
        "server-sse-multiple-streams": (2, 0),
        "dns-rebinding-protection": (2, 0),
    },
    "2026-07-28": {
        "server-stateless": (21, 4),
        "tools-list": (4, 0),
        "prompts-list": (2, 0),
        "server-sse-multiple-streams": (1, 0),
        "dns-rebinding-protection": (2, 0),
        "http-header-validation": (14, 0),
        "caching": (5, 2),
    },
}


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """The server over HTTP, without the token: the suite cannot send one."""
    listening = http_serving.bound("127.0.0.1", 0)
    tools = Tools(Sandboxes(folder, {}), catalog.TOOLSETS)
    app = http_server.protocol(tools, listening)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize("revision", APPLICABLE)
def test_the_conformance_suite_passes_but_for_what_does_not_apply(
    revision: str, node_tool: NodeTool, url: str, tmp_path: Path
) -> None:
    baseline = HERE / f"conformance-baseline-{revision}.yml"
    words = ("server", "--url", url, "--requirements", revision)
    shown = output(
        [*node_tool(".bin/conformance"), *words, "--expected-failures", baseline],
        tmp_path,
    )
    scores = re.findall(
        r"^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed", shown, re.MULTILINE
    )
    counted = {name: (int(passed), int(failed)) for name, passed, failed in scores}
    wanted = APPLICABLE[revision]
    assert {name: counted.get(name) for name in wanted} == wanted
    assert "Baseline check passed" in shown


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_no_fault_with_the_tools(
    era: str, node_tool: NodeTool, folder: Path
) -> None:
    words = ("--cli", *SERVER, "--method", "tools/list", "--strict")
    inspector = node_tool(".bin/inspector")
    shown = output([*inspector, *words, "--protocol-era", era], folder)
    listed = json.loads(shown[shown.index("{") :])
    assert [tool["name"] for tool in listed["tools"]] == NAMES


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(("command", "code"), [("echo hello", 0), ("exit 3", 5)])
def test_the_inspector_calls_a_tool(
    era: str, command: str, code: int, node_tool: NodeTool, folder: Path
) -> None:
    words = ("--cli", *SERVER, "--method", "tools/call", "--tool-name", "remote_bash")
    argument = ("--tool-arg", f"command={command}", "--protocol-era", era)
    inspector = node_tool(".bin/inspector")
    shown = output([*inspector, *words, *argument], folder, code=code)
    assert ("hello" if code == 0 else "exit code 3") in shown
