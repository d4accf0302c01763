"""mcp-install: tell an agent host of our MCP server, by its own file.

Nothing here needs the server or its protocol: a registration is a few lines of text.
"""

import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sandbox_ops.cli import entry_edit, mcp_hosts, mcp_start, replacing
from sandbox_ops.cli.face import Answer, say
from sandbox_ops.cli.mcp_hosts import HOSTS, NAME, Host, Scope
from sandbox_ops.cli.terminal import tell
from sandbox_ops.errors import ConfigError, NextStep, RefusedError, UsageError
from sandbox_ops.guard.user_folders import home_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a registration would make of a file.

    Attributes:
        entry: How the host is configured to start the server.
        notes: What the person has to do or know.
    """

    host: str
    file: Path
    before: str
    after: str
    entry: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def diff(self) -> str:
        """The lines that change, without those around them: they may hold secrets."""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            str(self.file),
            str(self.file),
            n=0,
            lineterm="",
        )
        return "\n".join(lines)

    def as_json(self, *, written: bool, backup: Path | None) -> dict[str, Any]:
        """The change as `mcp-install --json` shows it."""
        return {
            "host": self.host,
            "file": str(self.file),
            "entry": dict(self.entry),
            "diff": self.diff,
            "written": written,
            "backup": str(backup) if backup else None,
            "notes": list(self.notes),
        }


def install(
    host: str,
    scope: str,
    *,
    toolsets: str,
    sandbox: str,
    dry_run: bool,
    yes: bool,
    ask: bool,
) -> Answer:
    """Show the change, ask if `ask` and not `yes`, write it; see `planned`.

    Raises:
        RefusedError: Nobody agreed.
    """
    change = planned(host, scope, toolsets=toolsets, sandbox=sandbox)
    if change.before == change.after or dry_run:
        written, backup = False, None
        lines = [change.diff or f"{change.file} has it already"]
    else:
        if not yes:
            _agree(change, ask=ask)
        written, backup = True, replacing.write(change.file, change.after)
        kept = [f"what was there: {backup}"] if backup else []
        shown = [change.diff] if yes else []
        lines = [*shown, f"wrote {change.file}", *kept]
    notes = [f"next: {note}" for note in change.notes]
    return Answer(
        value=change.as_json(written=written, backup=backup),
        show=lambda: tell(*lines, *notes),
    )


def planned(name: str, scope: str, *, toolsets: str, sandbox: str) -> Change:
    """Return what a registration would change, here and now.

    Raises:
        UsageError: There is no such host, scope or toolset.
        ConfigError: The host's file cannot be read or edited; says what to paste.
    """
    host, place = _host(name, scope)
    command, command_notes = mcp_start.command(place, toolsets, sandbox)
    environment, environment_notes = mcp_start.environment(place)
    file = _file(host, place)
    before = replacing.read(file)
    new = mcp_hosts.entry(host, place, command, environment)
    entry, after = _edited(host, file, before, new)
    project_notes = host.project_notes if place == "project" else ()
    return Change(
        host=name,
        file=file,
        before=before,
        after=after,
        entry=entry,
        notes=(*host.notes, *project_notes, *command_notes, *environment_notes),
    )


def _host(name: str, scope: str) -> tuple[Host, Scope]:
    if name not in HOSTS:
        raise UsageError(
            f"there is no host {name!r}" if name else "`mcp-install` needs a host",
            NextStep("mcp-install", {"host": "claude"}, "For example"),
            f"known hosts: {', '.join(HOSTS)}",
        )
    host = HOSTS[name]
    place = scope or next(iter(host.files))
    if place not in {"project", "user"}:
        raise UsageError(f"--scope takes project or user, not {scope!r}")
    if place not in host.files:
        raise UsageError(
            f"{host.title} has no file for a single project that is known here",
            NextStep("mcp-install", {"host": name, "scope": "user"}),
        )
    return host, cast("Scope", place)


def _edited(
    host: Host, file: Path, before: str, new: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    path, file_format = (host.key, NAME), entry_edit.of_file(file.name)
    try:
        old = entry_edit.entry(before, path, file_format)
        if address := old.get("url") or old.get("httpUrl") or old.get("serverUrl"):
            raise RefusedError(
                f"{NAME} in {file} is a server that is reached at {address}",
                "Remove that entry first, if the host is to start the server itself.",
            )
        entry = mcp_hosts.merged(host, old, new)
        if old == entry:
            return entry, before
        return entry, entry_edit.edited(before, path, entry, file_format)
    except ValueError as error:
        raise ConfigError(
            f"{file} cannot be edited: {error}",
            "Put this into it yourself:\n"
            f"{entry_edit.edited('', path, new, file_format)}",
        ) from error


def _file(host: Host, scope: Scope) -> Path:
    if scope == "user":
        file = mcp_hosts.user_file(host, home_of(os.environ), sys.platform, os.environ)
    else:
        from sandbox_ops.config import discover

        root = discover.settings(Path(), os.environ).project.root
        file = Path(root or Path.cwd()) / host.files[scope]
    with_comments = file.with_suffix(".jsonc")
    return with_comments if with_comments.exists() else file


def _agree(change: Change, *, ask: bool) -> None:
    if not ask or not sys.stdin.isatty():
        install_it = {"host": change.host}
        raise RefusedError(
            f"nothing was written to {change.file}: there is no terminal to ask at",
            NextStep("mcp-install", {**install_it, "dry_run": True}, "See the change"),
            NextStep("mcp-install", {**install_it, "yes": True}, "Write it"),
        )
    say(change.diff)
    say("Write this? Write yes:")
    if sys.stdin.readline().strip() not in {"yes", "y"}:
        raise RefusedError(f"nothing was written to {change.file}: you said no")
