"""How an agent host starts our MCP server, and on which machine it works.

A project's file is meant to be committed, so it names no path and no key of this
computer; the user's own file says nothing of the project that happens to be around.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

from sandbox_ops.cli.mcp_hosts import Scope
from sandbox_ops.config import installation
from sandbox_ops.errors import RefusedError, UsageError

_PROGRAM = "sandbox-ops-mcp"
_PORTABLE = ("SSH_HOST", "SSH_PORT")
_OF_THIS_COMPUTER = ("SSH_KEY_PATH",)
_CONFIG = "SANDBOX_OPS_CONFIG"
_NO_MACHINE = (
    "no machine is configured here: write a sandbox.toml, or set SSH_HOST and run this "
    "again"
)
_ANY_MACHINE = (
    "each project's sandbox.toml says which machine is used; for one without, set "
    "SSH_HOST and run this again"
)


def command(
    scope: Scope, toolsets: str, sandbox: str
) -> tuple[list[str], tuple[str, ...]]:
    """Return how the server is started, and what is needed for that.

    By name in a project's file, which others read on other computers; by its path in
    the user's own, which hosts read that were started without a shell.
    """
    unknown = {each.strip() for each in toolsets.split(",")} - {
        "remote",
        "workflow",
        "",
    }
    if unknown:
        raise UsageError(
            f"there is no toolset {min(unknown)!r}", "There are: remote, workflow."
        )
    options = ["--toolsets", toolsets] if toolsets else []
    options += ["--sandbox", sandbox] if sandbox else []
    ours = installation.current()
    if ours.runner:
        runner, *rest = ours.run_again(_PROGRAM)
        program = shutil.which(runner) if scope == "user" else None
        return [program or runner, *rest, *options], ()
    if scope == "project":
        where = "" if shutil.which(_PROGRAM) else _not_on_path(ours)
        return [_PROGRAM, *options], (where,) if where else ()
    beside = Path(sys.executable).with_name(_PROGRAM)
    if not beside.exists():
        raise RefusedError(
            f"{_PROGRAM} is not installed beside {sys.executable}",
            f"Install it there: {shlex.join([sys.executable, '-m', 'pip', 'install', ours.source])}",
        )
    return [str(beside), *options], ()


def _not_on_path(ours: installation.Installation) -> str:
    return (
        f"{_PROGRAM} is not on the PATH here, and has to be where an agent is started: "
        f"uv tool install {ours.source}, or pipx install {ours.source}"
    )


def environment(scope: Scope) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that say which machine, and what to do where none does."""
    return _shared_environment() if scope == "project" else _own_environment()


def _shared_environment() -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what a project's file says of the machine, where sandbox.toml does not."""
    from sandbox_ops.config import discover

    settings = discover.settings(Path(), os.environ)
    if settings.file and settings.sandbox_names and _CONFIG not in os.environ:
        return {}, ()
    variables = _set(*_PORTABLE)
    left_out = [name for name in (*_OF_THIS_COMPUTER, _CONFIG) if os.environ.get(name)]
    notes = [
        f"{name} is a path of this computer and is not written to a file that others "
        "read: use --scope user, or IdentityFile in ~/.ssh/config"
        for name in left_out
    ]
    if not variables and not settings.sandbox_names:
        notes.append(_NO_MACHINE)
    return variables, tuple(notes)


def _own_environment() -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what the user's file says of the machine: nothing of a single project."""
    if named := os.environ.get(_CONFIG):
        return {_CONFIG: str(Path(named).expanduser().absolute())}, ()
    if variables := _set(*_PORTABLE, *_OF_THIS_COMPUTER):
        return variables, ()
    return {}, (_ANY_MACHINE,)


def _set(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if os.environ.get(name)}
