"""The verbs that bring our MCP server and our plugin to an agent, as Invoke tasks."""

from invoke import Context

from sandbox_ops.cli.face import Answer, verb

HOSTS = (
    "claude", "codex", "cursor", "vscode", "gemini", "opencode", "copilot", "windsurf",
    "zed", "cline", "goose",
)  # fmt: skip
"""Repeated here, because --list does not wait for what knows all about them."""


@verb(
    "changes",
    host=f"Which agent: {', '.join(HOSTS)}.",
    scope="project or user; without it what is usual for the host.",
    toolsets="remote, or remote,workflow: setup, sync, train, ... as tools too.",
    yes="Write it without a question.",
    dry_run="Only show what would change.",
)
def mcp_install(
    context: Context,  # noqa: ARG001 - Invoke's
    *,
    host: str = "",
    scope: str = "",
    toolsets: str = "",
    yes: bool = False,
    dry_run: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Register the MCP server with an agent: shows the change, then asks."""
    from sandbox_ops.cli.installing import install

    return install(
        host,
        scope,
        toolsets=toolsets,
        sandbox=sandbox,
        dry_run=dry_run,
        yes=yes,
        ask=not json,
    )


@verb(
    "changes",
    host="Which agent: claude, cursor, vscode, or agents: any host of Agent Plugins 1.0.",
    into="The folder that the plugin's own is made in, in place of the host's.",
    dry_run="Only show what would be written, and where.",
)
def plugin_install(
    context: Context,  # noqa: ARG001 - Invoke's
    *,
    host: str = "",
    into: str = "",
    dry_run: bool = False,
    json: bool = False,  # noqa: ARG001 - the face's
) -> Answer:
    """Install our plugin for an agent: a skill, the MCP server, and what wakes it."""
    from sandbox_ops.cli.plugin_folder import install

    return install(host, into, dry_run=dry_run)
