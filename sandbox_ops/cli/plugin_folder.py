"""plugin-install: our plugin for agent hosts, as a folder of files where a host finds it.

The files lie in `sandbox_ops/plugin`. What starts a program is written with its path:
hosts are often started without a shell, and find little by name.
"""

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sandbox_ops.cli import mcp_start
from sandbox_ops.cli.face import Answer
from sandbox_ops.cli.terminal import tell
from sandbox_ops.config import installation
from sandbox_ops.errors import ConfigError, RefusedError, UsageError
from sandbox_ops.guard.user_folders import home_of

_NAME = "sandbox-ops"
_MANIFEST = "plugin.json"
_MONITORS = "monitors/monitors.json"
_MARKETPLACE = ".claude-plugin/marketplace.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginHost:
    """Where a host looks for plugins.

    Attributes:
        folder: Below the home; the plugin's own is in it.
        steps: What the person does then; `{folder}` is the one with the plugin in it,
            `{plugin}` the plugin's own.
        is_marketplace: Whether the folder has to list its plugins.
    """

    folder: str
    steps: tuple[str, ...]
    is_marketplace: bool = False


_HOSTS = {
    "claude": PluginHost(
        folder=".local/share/sandbox-ops/marketplace",
        steps=(
            "claude plugin marketplace add {folder}",
            f"claude plugin install {_NAME}@{_NAME}",
        ),
        is_marketplace=True,
    ),
    "cursor": PluginHost(
        folder=".cursor/plugins/local", steps=("restart Cursor, or reload its window",)
    ),
    "vscode": PluginHost(
        folder=".local/share/sandbox-ops/plugins",
        steps=('in settings.json: "chat.pluginLocations": {{"{plugin}": true}}',),
    ),
    "agents": PluginHost(
        folder=".agents/plugins",
        steps=("any host of Agent Plugins 1.0: give it {plugin}",),
    ),
}


def install(host: str, into: str, *, dry_run: bool) -> Answer:
    """Write the plugin where a host finds it, whole or not at all; say what is left to do.

    Raises:
        UsageError: There is no such host.
        RefusedError: Something that is not our plugin is in the way.
        ConfigError: It cannot be written.
    """
    known = _known_host(host)
    folder = Path(into).expanduser() if into else home_of(os.environ) / known.folder
    plugin = folder.absolute() / _NAME
    files = _files()
    outcome = "unchanged" if _is_there(plugin, files) else "written"
    if outcome == "written" and plugin.exists() and not _is_ours(plugin):
        raise RefusedError(
            f"{plugin} is not the sandbox-ops plugin; it was not changed",
            "Move it away, or choose another folder: --into DIR",
        )
    if not dry_run:
        if outcome == "written":
            _write(plugin, files)
        if known.is_marketplace:
            _list(plugin.parent)
    steps = [
        step.format(folder=shlex.quote(str(plugin.parent)), plugin=plugin)
        for step in known.steps
    ]
    shown = "would be written" if dry_run and outcome == "written" else outcome
    return Answer(
        value={
            "host": host,
            "folder": str(plugin),
            "files": sorted(files),
            "written": outcome == "written" and not dry_run,
            "next_steps": steps,
        },
        show=lambda: tell(
            f"{shown}: {plugin} ({len(files)} files)", *(f"then: {s}" for s in steps)
        ),
    )


def _known_host(name: str) -> PluginHost:
    if name not in _HOSTS:
        problem = f"no host is called {name!r}" if name else "name a host"
        raise UsageError(
            problem, f"--host {', '.join(_HOSTS)}; with --into DIR any folder."
        )
    return _HOSTS[name]


def _files() -> dict[str, str]:
    """Return the plugin's files by their paths, with the programs of this installation."""
    root = resources.files("sandbox_ops") / "plugin"
    files = dict(_walk(root, ""))
    server, _ = mcp_start.command("user", "", "")
    for name in (".mcp.json", "mcp.json"):
        value = json.loads(files[name])
        entry = value["mcpServers"][_NAME]
        entry["command"], entry["args"] = server[0], server[1:]
        files[name] = _json(value)
    monitors = json.loads(files[_MONITORS])
    for monitor in monitors:
        _, _, rest = monitor["command"].partition(" ")
        monitor["command"] = f"{shlex.join(_program())} {rest}"
    files[_MONITORS] = _json(monitors)
    return files


def _program() -> list[str]:
    ours = installation.current()
    if ours.runner:
        runner, *rest = ours.run_again(_NAME)
        return [shutil.which(runner) or runner, *rest]
    return [str(Path(sys.executable).with_name(_NAME))]


def _walk(folder: Traversable, before: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{before}{entry.name}/")
        else:
            yield f"{before}{entry.name}", entry.read_text("utf-8")


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _is_there(plugin: Path, files: Mapping[str, str]) -> bool:
    try:
        there = {
            str(path.relative_to(plugin)): path.read_text("utf-8")
            for path in plugin.rglob("*")
            if path.is_file()
        }
    except (OSError, UnicodeDecodeError):
        return False
    return there == dict(files)


def _is_ours(plugin: Path) -> bool:
    try:
        manifest = json.loads((plugin / _MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("name") == _NAME


def _write(plugin: Path, files: Mapping[str, str]) -> None:
    """Write it beside its place, then put it there."""
    try:
        plugin.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=plugin.parent, prefix=".new-") as scratch:
            fresh, old = Path(scratch) / "fresh", Path(scratch) / "old"
            for name, text in files.items():
                file = fresh / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, "utf-8")
            if plugin.exists():
                os.replace(plugin, old)  # noqa: PTH105 - a folder, as a whole
            os.replace(fresh, plugin)  # noqa: PTH105
    except OSError as error:
        raise ConfigError(f"cannot write {plugin}: {error}") from error


def _list(folder: Path) -> None:
    """Write the list of plugins that a marketplace has to have."""
    listed = {
        "name": _NAME,
        "description": "sandbox-ops, as it is installed on this computer",
        "owner": {"name": "The sandbox-ops maintainers"},
        "plugins": [{"name": _NAME, "source": f"./{_NAME}"}],
    }
    file = folder / _MARKETPLACE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_json(listed), "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error}") from error
