"""mcp-install: tell an agent host of our MCP server, by its own file.

Nothing here needs the server or its protocol: a registration is a few lines of text.
"""

import contextlib
import difflib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sandbox_ops.cli import config_edit, mcp_hosts
from sandbox_ops.cli.face import Answer
from sandbox_ops.cli.mcp_hosts import HOSTS, NAME, Host, Scope
from sandbox_ops.cli.streams import say
from sandbox_ops.cli.terminal import tell
from sandbox_ops.errors import ConfigError, RefusedError, UsageError
from sandbox_ops.text import clean

_PROGRAM = "sandbox-ops-mcp"
_HANDED_ON = ("SSH_HOST", "SSH_PORT", "SSH_KEY_PATH")
_CONFIG = "SANDBOX_OPS_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a registration would make of a file.

    Attributes:
        entry: What the host is told of the server.
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
        shown = change.diff or f"{change.file} has it already"
        tell_what = [shown]
    else:
        if not yes:
            _agree(change, ask=ask)
        written, backup = True, write(change.file, change.after)
        kept = [f"what was there: {backup}"] if backup else []
        shown = change.diff if yes else ""
        tell_what = [*([shown] if shown else []), f"wrote {change.file}", *kept]
    notes = [f"next: {note}" for note in change.notes]
    return Answer(
        value=change.as_json(written=written, backup=backup),
        show=lambda: tell(*(clean.clean(line) for line in (*tell_what, *notes))),
    )


def planned(name: str, scope: str, *, toolsets: str, sandbox: str) -> Change:
    """Return what a registration would change, here and now.

    Raises:
        UsageError: There is no such host, scope or toolset.
        ConfigError: The host's file cannot be read or edited; says what to paste.
    """
    if name not in HOSTS:
        known = ", ".join(HOSTS)
        raise UsageError(
            f"there is no host {name!r}" if name else "`mcp-install` needs a host",
            f"for example: sandbox-ops mcp-install --host claude   (known: {known})",
        )
    host = HOSTS[name]
    where = scope or next(iter(host.files))
    if where not in {"project", "user"}:
        raise UsageError(f"--scope takes project or user, not {scope!r}")
    place = cast("Scope", where)
    environment, notes = _environment()
    new = mcp_hosts.entry(host, place, _command(place, toolsets, sandbox), environment)
    file = _file(name, place)
    before = _read(file)
    entry, after = _edited(host, file, before, new)
    return Change(
        host=name,
        file=file,
        before=before,
        after=after,
        entry=entry,
        notes=(*host.words, *notes),
    )


def _edited(
    host: Host, file: Path, before: str, new: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    path = (host.key, NAME)
    try:
        if host.is_toml:
            old = _started_by_command(file, config_edit.toml_entry(before, path))
            entry = mcp_hosts.merged(old, new)
            return entry, _same_or(before, old, entry, config_edit.toml_with, path)
        old = _started_by_command(file, config_edit.json_entry(before, path))
        entry = mcp_hosts.merged(old, new)
        return entry, _same_or(before, old, entry, config_edit.json_with, path)
    except (ValueError, IndexError) as error:
        by_hand = config_edit.toml_with if host.is_toml else config_edit.json_with
        raise ConfigError(
            f"{file} cannot be edited: {error}",
            f"Put this into it yourself:\n{by_hand('', path, new)}",
        ) from error


def _started_by_command(file: Path, old: dict[str, Any]) -> dict[str, Any]:
    """Refuse an entry that reaches a server by its address: the two do not mix."""
    address = old.get("url") or old.get("httpUrl")
    if address:
        raise RefusedError(
            f"{NAME} in {file} is a server that is reached at {address}",
            "Take that entry out first, if this is to be one that the host starts.",
        )
    return old


def _same_or(
    before: str,
    old: Mapping[str, Any],
    entry: Mapping[str, Any],
    edit: Any,  # noqa: ANN401 - one of the two edits
    path: Sequence[str],
) -> str:
    return before if old == entry else str(edit(before, path, entry))


def _command(scope: Scope, toolsets: str, sandbox: str) -> list[str]:
    """Return how the server is started: by name where a project's file is shared."""
    unknown = {word.strip() for word in toolsets.split(",")} - {
        "remote",
        "workflow",
        "",
    }
    if unknown:
        raise UsageError(
            f"there is no toolset {min(unknown)!r}", "There are: remote, workflow."
        )
    beside = Path(sys.executable).with_name(_PROGRAM)
    if scope == "project" and shutil.which(_PROGRAM):
        program = [_PROGRAM]
    elif beside.exists():
        program = [str(beside)]
    else:
        program = [sys.executable, "-m", "mcp_adapter"]
    options = ["--toolsets", toolsets] if toolsets else []
    return [*program, *options, *(["--sandbox", sandbox] if sandbox else [])]


def _environment() -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that say which machine, where no file of the project does."""
    from sandbox_ops.config import discover

    if named := os.environ.get(_CONFIG):
        return {_CONFIG: str(Path(named).expanduser().absolute())}, ()
    found = discover.settings(Path.cwd(), os.environ)
    if found.file and found.sandbox_names:
        return {}, ()
    given = {name: os.environ[name] for name in _HANDED_ON if os.environ.get(name)}
    if "SSH_HOST" in given or found.sandbox_names:
        return given, ()
    unknown = "no machine is configured here: write a sandbox.toml, or set SSH_HOST"
    return given, (f"{unknown} and run this again",)


def _file(name: str, scope: Scope) -> Path:
    below = mcp_hosts.file_below(name, scope, sys.platform)
    if scope == "project":
        from sandbox_ops.config import discover

        root = discover.settings(Path.cwd(), os.environ).project.root
        return Path(root or Path.cwd()) / below
    if name == "codex" and os.environ.get("CODEX_HOME"):
        return Path(os.environ["CODEX_HOME"]) / "config.toml"
    return Path.home() / below


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read {file}: {error}", f"Look at it: ls -l {file}"
        ) from error


def _agree(change: Change, *, ask: bool) -> None:
    if not ask or not sys.stdin.isatty():
        raise RefusedError(
            f"nothing was written to {change.file}: there is nobody to ask",
            f"See the change: sandbox-ops mcp-install --host {change.host} --dry-run\n"
            "Write it: the same with --yes",
        )
    say(clean.clean(change.diff))
    say("Write this? Write yes:")
    if sys.stdin.readline().strip() not in {"yes", "y"}:
        raise RefusedError(f"nothing was written to {change.file}: you said no")


def write(file: Path, content: str) -> Path | None:
    """Replace a file whole or not at all; return the copy of what was there, if any.

    Raises:
        ConfigError: It cannot be written. What was there is there.
    """
    real = file.resolve()  # whoever links to a file elsewhere keeps the link
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        backup = _backed_up(real) if real.exists() else None
        handle, new = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(content.encode())
            mode = real.stat().st_mode & 0o777 if real.exists() else 0o644
            Path(new).chmod(mode)
            Path(new).replace(real)
        except OSError:
            with contextlib.suppress(OSError):
                Path(new).unlink()
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot write {file}: {error.strerror}",
            f"Look at it: ls -ld {real.parent}",
        ) from error
    return backup


def _backed_up(file: Path) -> Path:
    """Copy a file beside itself, over no copy of something else."""
    names = ("", *(f".{number}" for number in range(1, 1000)))
    places = (file.with_name(f"{file.name}.bak{name}") for name in names)
    place = next(
        each
        for each in places
        if not each.exists() or each.read_bytes() == file.read_bytes()
    )
    shutil.copy2(file, place)
    return place
