"""mcp-install, as a process: what it shows, writes and keeps, for each host."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from mcp_server import Wire, wire
from processes import Child

from sandbox_ops.cli import entry_edit, install_tasks
from sandbox_ops.cli.mcp_hosts import HOSTS

FILES = {
    "claude": (".mcp.json", "mcpServers"),
    "codex": (".codex/config.toml", "mcp_servers"),
    "cursor": (".cursor/mcp.json", "mcpServers"),
    "vscode": (".vscode/mcp.json", "servers"),
    "gemini": (".gemini/settings.json", "mcpServers"),
    "opencode": ("opencode.json", "mcp"),
    "copilot": (".copilot/mcp-config.json", "mcpServers"),
    "windsurf": (".codeium/windsurf/mcp_config.json", "mcpServers"),
    "zed": (".config/zed/settings.json", "context_servers"),
    "cline": (".cline/data/settings/cline_mcp_settings.json", "mcpServers"),
    "goose": (".config/goose/config.yaml", "extensions"),
}
IN_HOME = {"codex", "copilot", "windsurf", "zed", "cline", "goose"}  # by default


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    (path / "sandbox.toml").write_text('[sandboxes.gpu1]\nhost = "gpu1"\n', "utf-8")
    return path


def install(
    *words: str, home: Path, cwd: Path, **env: str
) -> subprocess.CompletedProcess[str]:
    return cli(
        "mcp-install",
        *words,
        cwd=cwd,
        env={"HOME": str(home), "XDG_CONFIG_HOME": "", **env},
    )


def entry(path: Path, key: str) -> dict[str, Any]:
    file_format = entry_edit.of_file(path.name)
    return entry_edit.entry(path.read_text("utf-8"), (key, "sandbox-ops"), file_format)


def program_of(matches: dict[str, Any]) -> str:
    """What the host starts, by whatever name its settings have for it."""
    command = matches.get("command") or matches["cmd"]
    return str(command[0] if isinstance(command, list) else command)


@pytest.mark.parametrize("host", HOSTS)
def test_each_host_finds_the_server_in_its_own_file(
    host: str, home: Path, project: Path
) -> None:
    done = install("--host", host, "--yes", home=home, cwd=project)
    assert done.returncode == 0, done
    name, key = FILES[host]
    path = (home if host in IN_HOME else project) / name
    assert Path(program_of(entry(path, key))).name == "sandbox-ops-mcp"
    assert str(path) in done.stdout
    assert "next: " in done.stdout
    assert f"+++ {path}" in done.stdout
    with_it = install("--host", host, "--yes", home=home, cwd=project)
    assert f"{path} has it already" in with_it.stdout
    assert not list(path.parent.glob("*.bak*"))


@pytest.mark.parametrize("host", HOSTS)
def test_an_hours_call_survives_or_the_user_is_warned(
    host: str, home: Path, project: Path
) -> None:
    done = install("--host", host, "--yes", "--json", home=home, cwd=project)
    output = json.loads(done.stdout)
    in_seconds = host in {"codex", "zed", "cline", "goose"}
    times = [value for name, value in output["entry"].items() if "timeout" in name]
    reported = any(
        "run what lasts in the background" in note for note in output["notes"]
    )
    assert reported or max(times) * (1000 if in_seconds else 1) >= 3_700_000


@pytest.mark.parametrize("host", HOSTS)
def test_the_agents_socket_is_handed_on_by_the_host_or_the_user_is_warned(
    host: str, home: Path, project: Path
) -> None:
    text = ("--host", host, "--yes")
    done = install(*text, home=home, cwd=project, SSH_AUTH_SOCK="/tmp/a.7")
    name, _ = FILES[host]
    raw = ((home if host in IN_HOME else project) / name).read_text("utf-8")
    output = f"{HOSTS[host].title} does not hand SSH_AUTH_SOCK on" in done.stdout
    assert "SSH_AUTH_SOCK" in raw or output
    assert "/tmp/a.7" not in raw  # another one after the next login


def test_what_is_in_the_file_stays_and_is_backed_up(home: Path, project: Path) -> None:
    path = project / ".mcp.json"
    old = {
        "mcpServers": {"other": {"command": "y", "env": {"TOKEN": "s3cret"}}},
        "z": 1,
    }
    path.write_text(json.dumps(old, indent=4), "utf-8")
    path.chmod(0o600)
    done = install("--host", "claude", "--yes", home=home, cwd=project)
    new = json.loads(path.read_text("utf-8"))
    ours = new["mcpServers"].pop("sandbox-ops")
    assert new == old
    assert ours["timeout"] == 3_700_000
    assert (project / ".mcp.json.bak").read_text("utf-8") == json.dumps(old, indent=4)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "s3cret" not in done.stdout + done.stderr


def test_what_people_added_to_our_entry_stays(home: Path, project: Path) -> None:
    install("--host", "claude", "--yes", home=home, cwd=project)
    path = project / ".mcp.json"
    edited = json.loads(path.read_text("utf-8"))
    edited["mcpServers"]["sandbox-ops"] |= {"alwaysLoad": True, "timeout": 9_000_000}
    edited["mcpServers"]["sandbox-ops"]["env"]["SSH_HOST"] = "mine"
    path.write_text(json.dumps(edited, indent=2), "utf-8")
    text = ("--toolsets", "remote,workflow", "--sandbox", "gpu1")
    install("--host", "claude", "--yes", *text, home=home, cwd=project)
    result = entry(path, "mcpServers")
    assert result["alwaysLoad"] is True
    assert result["timeout"] == 9_000_000
    assert result["env"]["SSH_HOST"] == "mine"
    assert result["args"] == ["--toolsets", "remote,workflow", "--sandbox", "gpu1"]


def test_nothing_is_written_without_a_yes(home: Path, project: Path) -> None:
    done = install("--host", "cursor", home=home, cwd=project)
    assert done.returncode == 75
    assert "there is no terminal to ask at" in done.stderr
    done = install("--host", "cursor", "--dry-run", home=home, cwd=project)
    assert done.returncode == 0
    assert '+    "sandbox-ops": {' in done.stdout
    assert not (project / ".cursor").exists()


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("no\n", 75)])
def test_on_a_terminal_it_shows_the_change_and_asks(
    typed: str, code: int, home: Path, project: Path
) -> None:
    ours, theirs = pty.openpty()
    with Child(
        [PROGRAM, "mcp-install", "--host", "claude"],
        cwd=project,
        env={**os.environ, "HOME": str(home)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(ours, typed.encode())
        _, asked = process.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert '+    "sandbox-ops": {' in asked
    assert "Write yes:" in asked
    assert (project / ".mcp.json").exists() is (code == 0)


def test_without_a_file_the_variables_that_name_the_machine_are_handed_on(
    home: Path, project: Path
) -> None:
    (project / "sandbox.toml").unlink()
    done = install("--host", "codex", "--yes", home=home, cwd=project)
    assert "each project's sandbox.toml says which machine is used" in done.stdout
    env = {"SSH_HOST": "gpu7", "SSH_KEY_PATH": "/home/me/key"}
    install("--host", "codex", "--yes", home=home, cwd=project, **env)
    result = entry(home / ".codex/config.toml", "mcp_servers")
    assert result["env"] == env
    assert result["env_vars"] == ["SSH_AUTH_SOCK"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "`mcp-install` needs a host"),
        (("--host", "emacs"), "there is no host 'emacs'"),
        (("--host", "claude", "--scope", "all"), "--scope takes project or user"),
        (("--host", "claude", "--toolsets", "x"), "there is no toolset 'x'"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    words: tuple[str, ...], message: str, home: Path, project: Path
) -> None:
    done = install(*words, home=home, cwd=project)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("host", "name", "text"),
    [
        ("vscode", ".vscode/mcp.json", '{\n  "servers": {}\n'),
        ("claude", ".mcp.json", '{"mcpServers": [1]}'),
    ],
)
def test_a_file_that_cannot_be_edited_is_left_and_the_lines_to_paste_are_reported(
    host: str, name: str, text: str, home: Path, project: Path
) -> None:
    path = project / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    done = install("--host", host, "--yes", home=home, cwd=project)
    assert done.returncode == 78
    assert str(path) in done.stderr
    assert '"sandbox-ops": {' in done.stderr
    assert path.read_text("utf-8") == text


def test_an_entry_that_is_reached_by_its_address_is_not_mixed_with_ours(
    home: Path, project: Path
) -> None:
    old = '{"mcpServers": {"sandbox-ops": {"url": "http://127.0.0.1:8931/mcp"}}}'
    (project / ".mcp.json").write_text(old, "utf-8")
    done = install("--host", "claude", "--yes", home=home, cwd=project)
    assert done.returncode == 75
    assert "http://127.0.0.1:8931/mcp" in done.stderr
    assert (project / ".mcp.json").read_text("utf-8") == old


def test_comments_of_the_file_stay(home: Path, project: Path) -> None:
    path = project / ".vscode/mcp.json"
    path.parent.mkdir()
    path.write_text('{\n  // mine\n  "servers": {}, // none yet\n}\n', "utf-8")
    done = install("--host", "vscode", "--yes", home=home, cwd=project)
    assert done.returncode == 0, done
    assert "// mine\n" in path.read_text("utf-8")
    assert "// none yet\n" in path.read_text("utf-8")
    assert entry(path, "servers")["type"] == "stdio"


def test_a_projects_file_names_no_path_and_no_key_of_this_computer(
    home: Path, project: Path
) -> None:
    (project / "sandbox.toml").unlink()
    env = {"SSH_HOST": "gpu7", "SSH_KEY_PATH": "/home/me/key"}
    text = ("--host", "claude", "--yes")
    done = install(*text, home=home, cwd=project, **env, PATH="/usr/bin:/bin")
    result = entry(project / ".mcp.json", "mcpServers")
    assert result["command"] == "sandbox-ops-mcp"
    assert result["env"]["SSH_HOST"] == "gpu7"
    assert "/" not in json.dumps({**result, "env": {"SSH_HOST": "gpu7"}})
    assert "SSH_KEY_PATH is a path of this computer" in done.stdout
    assert "sandbox-ops-mcp is not on the PATH here" in done.stdout
    assert "/home/me/key" not in (project / ".mcp.json").read_text("utf-8")


def test_the_users_file_says_nothing_of_the_project_around(
    home: Path, project: Path
) -> None:
    text = ("--host", "claude", "--scope", "user", "--yes")
    done = install(*text, home=home, cwd=project)
    result = entry(home / ".claude.json", "mcpServers")
    assert set(result["env"]) == {"SSH_AUTH_SOCK"}
    assert "asks once whether the server may be used" not in done.stdout
    assert str(project) not in json.dumps(result)


@pytest.mark.parametrize(
    ("host", "variable", "value", "name"),
    [
        ("claude", "CLAUDE_CONFIG_DIR", "claude", "claude/.claude.json"),
        ("codex", "CODEX_HOME", "codex", "codex/config.toml"),
        ("copilot", "COPILOT_HOME", "copilot", "copilot/mcp-config.json"),
        ("cline", "CLINE_MCP_SETTINGS_PATH", "cline.json", "cline.json"),
        ("zed", "XDG_CONFIG_HOME", "configs", "configs/zed/settings.json"),
    ],
)
def test_a_variable_that_moves_the_users_file_is_honoured(
    host: str, variable: str, value: str, name: str, home: Path, project: Path
) -> None:
    env = {variable: str(home / value)}
    text = ("--host", host, "--scope", "user", "--yes")
    assert install(*text, home=home, cwd=project, **env).returncode == 0
    assert entry(home / name, HOSTS[host].key)


def test_a_host_without_files_of_a_project_refuses_that_scope(
    home: Path, project: Path
) -> None:
    text = ("--host", "zed", "--scope", "project", "--yes")
    done = install(*text, home=home, cwd=project)
    assert done.returncode == 2
    assert "mcp-install --host zed --scope user" in done.stderr


def test_an_existing_file_with_comments_in_its_name_is_taken(
    home: Path, project: Path
) -> None:
    (project / "opencode.jsonc").write_text("// mine\n{}\n", "utf-8")
    install("--host", "opencode", "--yes", home=home, cwd=project)
    result = entry(project / "opencode.jsonc", "mcp")
    assert Path(result["command"][0]).name == "sandbox-ops-mcp"
    assert result["environment"] == {"SSH_AUTH_SOCK": "{env:SSH_AUTH_SOCK}"}
    assert not (project / "opencode.json").exists()


def test_a_link_to_the_file_stays_a_link(home: Path, project: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text("{}", "utf-8")
    (project / ".mcp.json").symlink_to(real)
    install("--host", "claude", "--yes", home=home, cwd=project)
    assert (project / ".mcp.json").is_symlink()
    assert entry(real, "mcpServers")


def test_the_command_that_is_written_starts_the_server(
    home: Path, project: Path
) -> None:
    text = ("--scope", "user", "--toolsets", "remote,workflow")
    install("--host", "claude", "--yes", *text, home=home, cwd=project)
    result = entry(home / ".claude.json", "mcpServers")
    assert Path(result["command"]).is_absolute()
    process = subprocess.Popen(
        [result["command"], *result["args"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=project,
    )
    server = Wire(process)
    try:
        server.begin()
        server.send("tools/list", 2)
        assert len(server.answer(2)["result"]["tools"]) == 12
        assert server.leave() == 0
    finally:
        process.kill()
        assert process.stdout
        process.stdout.close()
        process.wait(5)


def test_the_server_finds_the_project_that_is_named(
    project: Path, tmp_path: Path
) -> None:
    toml = project / "sandbox.toml"
    toml.write_text(f"{toml.read_text('utf-8')}[sandboxes.gpu2]\nhost = 'b'\n", "utf-8")
    with wire({}, tmp_path, "--project", str(project)) as server:
        server.begin()
        server.send("tools/list", 2)
        tools = json.dumps(server.answer(2)["result"]["tools"])
        assert "gpu1, gpu2" in tools


def test_neither_the_server_nor_its_protocol_is_imported() -> None:
    code = (
        "import sys, sandbox_ops.cli.installing as t; t.planned"
        "; assert not {'mcp', 'mcp_adapter'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_help_names_every_host_that_is_known() -> None:
    assert set(install_tasks.HOSTS) == set(HOSTS)
