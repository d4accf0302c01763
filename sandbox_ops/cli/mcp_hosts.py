"""How each agent host is told of our MCP server: files, keys, limits, words. Pure.

What a host does not do for us is told: a host that cuts calls short, or strips the
environment, or wants to be asked before it starts a project's server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Scope = Literal["project", "user"]

NAME = "sandbox-ops"
TIMEOUT_MS = 3_700_000
"""An hour of foreground work, and time to say so."""

_RUN_LONG = (
    "has no setting for how long a call may take: run what lasts in the background"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A program that starts MCP servers.

    Attributes:
        title: As people know it.
        files: Where it reads them, by scope: below the project, or below the home.
            The first scope is the usual one.
        key: Of the table of servers in that file.
        timeout: The setting for the longest call; {} where there is none.
        ssh_agent: The entry that hands SSH_AUTH_SOCK on. The socket's path changes
            with each login, so the host has to fill it in.
        here: Arguments that tell the server where the project is, where the host
            starts it elsewhere.
        extra: What else its entries have.
        words: What to do afterwards.
    """

    title: str
    files: Mapping[Scope, str]
    key: str
    timeout: Mapping[str, int] = field(default_factory=dict)
    ssh_agent: Mapping[str, Any]
    here: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    words: Sequence[str]

    @property
    def is_toml(self) -> bool:
        """Whether its file is TOML; else it is JSON."""
        return self.files["user"].endswith(".toml")


HOSTS: Mapping[str, Host] = {
    "claude": Host(
        title="Claude Code",
        files={"project": ".mcp.json", "user": ".claude.json"},
        key="mcpServers",
        timeout={"timeout": TIMEOUT_MS},
        ssh_agent={"env": {"SSH_AUTH_SOCK": "${SSH_AUTH_SOCK:-}"}},
        extra={"type": "stdio"},
        words=(
            "restart Claude Code; it asks once whether a project's server may be used",
        ),
    ),
    "codex": Host(
        title="Codex",
        files={"user": ".codex/config.toml", "project": ".codex/config.toml"},
        key="mcp_servers",
        timeout={"tool_timeout_sec": TIMEOUT_MS // 1000},
        ssh_agent={"env_vars": ["SSH_AUTH_SOCK"]},
        words=("restart Codex; a project's file is read where you trust the project",),
    ),
    "cursor": Host(
        title="Cursor",
        files={"project": ".cursor/mcp.json", "user": ".cursor/mcp.json"},
        key="mcpServers",
        ssh_agent={"env": {"SSH_AUTH_SOCK": "${env:SSH_AUTH_SOCK}"}},
        here=("--project", "${workspaceFolder}"),
        extra={"type": "stdio"},
        words=(
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
        key="servers",
        ssh_agent={"env": {"SSH_AUTH_SOCK": "${env:SSH_AUTH_SOCK}"}},
        here=("--project", "${workspaceFolder}"),
        extra={"type": "stdio"},
        words=(
            "restart VS Code; it asks once whether you trust the server",
            f"VS Code {_RUN_LONG}",
        ),
    ),
    "gemini": Host(
        title="Gemini CLI",
        files={"project": ".gemini/settings.json", "user": ".gemini/settings.json"},
        key="mcpServers",
        timeout={"timeout": TIMEOUT_MS},
        ssh_agent={"env": {"SSH_AUTH_SOCK": "$SSH_AUTH_SOCK"}},
        words=("restart Gemini CLI, in a folder that it trusts",),
    ),
}
_MAC_USER_FILES = {"vscode": "Library/Application Support/Code/User/mcp.json"}


def file_below(name: str, scope: Scope, platform: str) -> str:
    """Return a host's file, relative to the home or to the project."""
    if scope == "user" and platform == "darwin" and name in _MAC_USER_FILES:
        return _MAC_USER_FILES[name]
    return HOSTS[name].files[scope]


def entry(
    host: Host,
    scope: Scope,
    command: Sequence[str],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return what the host is to know of our server.

    Args:
        host: Who.
        scope: For the project, or for all of the user's.
        command: Program and arguments that start the server.
        environment: Variables that it needs, beside the agent's socket.
    """
    program, *arguments = command
    here = host.here if scope == "project" else ()
    made: dict[str, Any] = {
        **host.extra,
        "command": program,
        "args": [*arguments, *here],
        **host.ssh_agent,
        **host.timeout,
    }
    variables = {**environment, **made.get("env", {})}
    return made | ({"env": variables} if variables else {})


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new entry with what people added to the old one.

    Their variables and a longer patience stay; how the server is started is ours.
    """
    kept = {**old, **new}
    for name in ("timeout", "tool_timeout_sec"):
        if isinstance(old.get(name), (int, float)) and name in new:
            kept[name] = max(old[name], new[name])
    if isinstance(old.get("env"), dict):
        kept["env"] = {**new.get("env", {}), **old["env"]}
    return kept
