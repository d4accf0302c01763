"""How our MCP server is configured in each agent host: files, keys, limits, notes. Pure.

What a host does not do for us is said: a host that cuts calls short, or strips the
environment, or wants to be asked before it starts a project's server. Where each format
is from: docs/how-to/register-mcp.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Scope = Literal["project", "user"]

NAME = "sandbox-ops"
TIMEOUT_MS = 3_700_000
"""An hour of foreground work, and time to say so."""

_RUN_LONG = (
    "has no setting for how long a call may take: run what lasts in the background"
)
_NO_AGENT = (
    "does not hand SSH_AUTH_SOCK on: for a key in an agent, name the agent's socket "
    "with IdentityAgent in ~/.ssh/config"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A program that starts MCP servers.

    Attributes:
        title: As people know it.
        files: Where it reads them, by scope: below the project, or below the home.
            The first scope is the usual one.
        mac_file: The user's file on macOS, where it is another one.
        variable: What overrides the user's file: a variable, and the file's name in the
            folder that it names ("" where it names the file).
        key: Of the table of servers in that file.
        command: The setting for the program; its arguments are in `args`.
        joined: Whether program and arguments are one list.
        env: The setting for variables.
        timeout: The setting for the longest call; {} where there is none.
        ssh_agent: The entry that hands SSH_AUTH_SOCK on. The socket's path changes
            with each login, so the host has to fill it in.
        project_words: Arguments that tell the server where the project is, where the
            host starts it elsewhere.
        extra: What else its entries have.
        notes: What to do afterwards.
        project_notes: What else, for a project's file.
    """

    title: str
    files: Mapping[Scope, str]
    mac_file: str = ""
    variable: tuple[str, str] | None = None
    key: str = "mcpServers"
    command: str = "command"
    joined: bool = False
    env: str = "env"
    timeout: Mapping[str, int] = field(default_factory=dict)
    ssh_agent: Mapping[str, Any] = field(default_factory=dict)
    project_words: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str]
    project_notes: Sequence[str] = ()


HOSTS: Mapping[str, Host] = {
    "claude": Host(
        title="Claude Code",
        files={"project": ".mcp.json", "user": ".claude.json"},
        variable=("CLAUDE_CONFIG_DIR", ".claude.json"),
        timeout={"timeout": TIMEOUT_MS},
        ssh_agent={"SSH_AUTH_SOCK": "${SSH_AUTH_SOCK:-}"},
        extra={"type": "stdio"},
        notes=("restart Claude Code",),
        project_notes=("Claude Code asks once whether the server may be used",),
    ),
    "codex": Host(
        title="Codex",
        files={"user": ".codex/config.toml", "project": ".codex/config.toml"},
        variable=("CODEX_HOME", "config.toml"),
        key="mcp_servers",
        timeout={"tool_timeout_sec": TIMEOUT_MS // 1000},
        extra={"env_vars": ["SSH_AUTH_SOCK"]},
        notes=("restart Codex",),
        project_notes=("Codex reads this file where you trust the project",),
    ),
    "cursor": Host(
        title="Cursor",
        files={"project": ".cursor/mcp.json", "user": ".cursor/mcp.json"},
        ssh_agent={"SSH_AUTH_SOCK": "${env:SSH_AUTH_SOCK}"},
        project_words=("--project", "${workspaceFolder}"),
        extra={"type": "stdio"},
        notes=(
            "restart Cursor, and switch the server on in its settings",
            f"Cursor {_RUN_LONG}",
        ),
    ),
    "vscode": Host(
        title="VS Code",
        files={
            "project": ".vscode/mcp.json",
            "user": ".config/Code/User/mcp.json",
        },
        mac_file="Library/Application Support/Code/User/mcp.json",
        key="servers",
        ssh_agent={"SSH_AUTH_SOCK": "${env:SSH_AUTH_SOCK}"},
        project_words=("--project", "${workspaceFolder}"),
        extra={"type": "stdio"},
        notes=(
            "restart VS Code; it asks once whether you trust the server",
            f"VS Code {_RUN_LONG}",
        ),
    ),
    "gemini": Host(
        title="Gemini CLI",
        files={"project": ".gemini/settings.json", "user": ".gemini/settings.json"},
        timeout={"timeout": TIMEOUT_MS},
        ssh_agent={"SSH_AUTH_SOCK": "$SSH_AUTH_SOCK"},
        notes=("restart Gemini CLI",),
        project_notes=("Gemini CLI reads this file in a folder that it trusts",),
    ),
    "opencode": Host(
        title="opencode",
        files={"project": "opencode.json", "user": ".config/opencode/opencode.json"},
        key="mcp",
        joined=True,
        env="environment",
        ssh_agent={"SSH_AUTH_SOCK": "{env:SSH_AUTH_SOCK}"},
        extra={"type": "local", "enabled": True},
        notes=("restart opencode", f"opencode {_RUN_LONG}"),
        project_notes=("opencode may ask whether the project's server is approved",),
    ),
    "copilot": Host(
        title="Copilot CLI",
        files={"user": ".copilot/mcp-config.json", "project": ".github/mcp.json"},
        variable=("COPILOT_HOME", "mcp-config.json"),
        timeout={"timeout": TIMEOUT_MS},
        ssh_agent={"SSH_AUTH_SOCK": "${SSH_AUTH_SOCK}"},
        extra={"type": "local", "tools": ["*"]},
        notes=("restart Copilot CLI",),
        project_notes=("Copilot CLI reads this file in a folder that it trusts",),
    ),
    "windsurf": Host(
        title="Windsurf",
        files={"user": ".codeium/windsurf/mcp_config.json"},
        ssh_agent={"SSH_AUTH_SOCK": "${env:SSH_AUTH_SOCK}"},
        notes=("refresh Windsurf's list of MCP servers", f"Windsurf {_RUN_LONG}"),
    ),
    "zed": Host(
        title="Zed",
        files={"user": ".config/zed/settings.json"},
        key="context_servers",
        timeout={"timeout": TIMEOUT_MS // 1000},
        notes=(
            "look for the server in Zed's agent settings",
            "Zed lets a call take ten minutes at most: wait again where one was not enough",
            f"Zed {_NO_AGENT}",
        ),
    ),
    "cline": Host(
        title="Cline",
        files={"user": ".cline/data/settings/cline_mcp_settings.json"},
        variable=("CLINE_MCP_SETTINGS_PATH", ""),
        timeout={"timeout": 3600},
        extra={"disabled": False},
        notes=(
            "restart Cline; its editor extension has its own file: Configure MCP Servers",
            "Cline lets a call take an hour at most: run what lasts in the background",
            f"Cline {_NO_AGENT}",
        ),
    ),
    "goose": Host(
        title="Goose",
        files={"user": ".config/goose/config.yaml"},
        key="extensions",
        command="cmd",
        env="envs",
        timeout={"timeout": TIMEOUT_MS // 1000},
        extra={"enabled": True, "type": "stdio", "name": NAME},
        notes=("start a new Goose session", f"Goose {_NO_AGENT}"),
    ),
}


def user_file(
    host: Host, home: Path, platform: str, environ: Mapping[str, str]
) -> Path:
    """Return the user's file of a host. Pure."""
    if host.variable and (named := environ.get(host.variable[0])):
        return Path(named) / host.variable[1]
    if platform == "darwin" and host.mac_file:
        return home / host.mac_file
    below, configs = host.files["user"], environ.get("XDG_CONFIG_HOME")
    if configs and below.startswith(".config/") and platform != "darwin":
        return Path(configs) / below.removeprefix(".config/")
    return home / below


def entry(
    host: Host,
    scope: Scope,
    command: Sequence[str],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return what the host is to know of our server.

    Args:
        host: Which host.
        scope: For the project, or for all of the user's.
        command: Program and arguments that start the server.
        environment: Variables that it needs, beside the agent's socket.
    """
    arguments = [*command, *(host.project_words if scope == "project" else ())]
    start = (
        {host.command: arguments}
        if host.joined
        else {
            host.command: arguments[0],
            "args": arguments[1:],
        }
    )
    variables = {**environment, **host.ssh_agent}
    return {
        **host.extra,
        **start,
        **({host.env: variables} if variables else {}),
        **host.timeout,
    }


def merged(
    host: Host, old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the new entry with what people added to the old one.

    Their variables and a longer timeout stay; how the server is started is ours.
    """
    kept = {**old, **new}
    for name in host.timeout:
        if isinstance(old.get(name), (int, float)):
            kept[name] = max(old[name], new[name])
    if isinstance(old.get(host.env), dict):
        kept[host.env] = {**new.get(host.env, {}), **old[host.env]}
    return kept
