"""Agents' own programs, with the files that `mcp-install` writes. Nobody logs in."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import cli
from mcp_server import talk
from sshagent import ssh_agent, write_keyless_toml
from sshd import SshServer

from mcp_adapter import catalog

from .conftest import isolated, output

pytestmark = [pytest.mark.gates, pytest.mark.timeout(600)]

NodeTool = Callable[[str], tuple[Path, Path]]


@pytest.fixture
def project(sshd: SshServer, home: Path, tmp_path: Path) -> Path:
    """A project whose machine lets in only who has an ssh agent."""
    path = tmp_path / "project"
    path.mkdir()
    output(["git", "init", "-q"], path)  # whose settings count only in a repository
    write_keyless_toml(sshd, path, home / ".config")
    return path


@pytest.fixture
def agent(sshd: SshServer, tmp_path: Path) -> Iterator[str]:
    with ssh_agent(tmp_path, sshd.identity_file) as socket:
        yield socket


def installed(host: str, home: Path, project: Path) -> None:
    words = ("mcp-install", "--host", host, "--yes")
    done = cli(*words, cwd=project, env={"HOME": str(home)})
    assert done.returncode == 0, done


def test_claude_code_connects_by_the_file_that_we_write(
    node_tool: NodeTool, home: Path, project: Path
) -> None:
    claude = node_tool("@anthropic-ai/claude-code/cli-wrapper.cjs")
    installed("claude", home, project)
    approved = project / ".claude" / "settings.local.json"
    approved.parent.mkdir()
    approved.write_text('{"enableAllProjectMcpServers": true}')
    env = isolated(home)
    shown = output([*claude, "mcp", "get", "sandbox-ops"], project, env=env)
    assert "Connected" in shown
    assert "Timeout: 3700000ms" in shown


def test_claude_code_takes_the_plugin_and_connects_to_its_server(
    node_tool: NodeTool, home: Path, project: Path
) -> None:
    claude = node_tool("@anthropic-ai/claude-code/cli-wrapper.cjs")
    words = ("plugin-install", "--host", "claude", "--json")
    done = cli(*words, cwd=project, env={"HOME": str(home)})
    installed = json.loads(done.stdout)
    env = isolated(home)
    for place in (Path(installed["folder"]), Path(installed["folder"]).parent):
        shown = output([*claude, "plugin", "validate", str(place)], project, env=env)
        assert "Validation passed" in shown
        assert "warning" not in shown
    for step in installed["next_steps"]:
        program, *rest = shlex.split(step)
        assert program == "claude"
        assert "Successfully" in output([*claude, *rest], project, env=env)
    shown = output([*claude, "mcp", "list"], project, env=env)
    assert "plugin:sandbox-ops:sandbox-ops" in shown
    assert "Connected" in shown


def test_gemini_connects_by_the_file_that_we_write_where_it_trusts_the_folder(
    node_tool: NodeTool, home: Path, project: Path
) -> None:
    gemini = node_tool(".bin/gemini")
    installed("gemini", home, project)
    env = isolated(home, gemini[0].parent)
    shown = output([*gemini, "mcp", "list"], project, env=env)
    assert "sandbox-ops" in shown
    assert "Disabled" in shown
    (home / ".gemini" / "trustedFolders.json").write_text(
        f'{{"{project}": "TRUST_FOLDER"}}', "utf-8"
    )
    shown = output([*gemini, "mcp", "list"], project, env=env)
    assert "sandbox-ops" in shown
    assert "Connected" in shown


def test_codex_reads_the_table_that_we_write(
    node_tool: NodeTool, home: Path, project: Path
) -> None:
    codex = node_tool(".bin/codex")
    installed("codex", home, project)
    shown = output([*codex, "mcp", "get", "sandbox-ops"], project, env=isolated(home))
    assert "enabled: true" in shown
    assert "tool_timeout_sec: 3700" in shown


def test_codex_runs_a_command_with_the_key_of_the_users_agent(
    node_tool: NodeTool, home: Path, project: Path, agent: str
) -> None:
    installed("codex", home, project)
    program: list[str | Path] = [*node_tool(".bin/codex"), "app-server"]
    with talk(program, project, isolated(home, SSH_AUTH_SOCK=agent)) as codex:
        codex.send("initialize", 1, clientInfo={"name": "test", "version": "1"})
        codex.answer(1)
        codex.send("initialized")
        codex.send("mcpServerStatus/list", 2)
        (server,) = codex.answer(2)["result"]["data"]
        assert set(server["tools"]) == {tool.tool_name for tool in catalog.TOOLS}
        codex.send("thread/start", 3)
        call = {
            "threadId": codex.answer(3)["result"]["thread"]["id"],
            "server": "sandbox-ops",
            "tool": "remote_bash",
            "arguments": {"command": "echo through the agent"},
        }
        codex.send("mcpServer/tool/call", 4, **call)
        answer = codex.answer(4)["result"]
        assert answer["content"] == [{"type": "text", "text": "through the agent"}]
