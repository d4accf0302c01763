"""Whether a command uses the connection that an agent process keeps, and which it is.

None is used unless SANDBOX_OPS_AGENT_IDLE_S says for how long it is kept, for a process that
stays behind is the user's to ask for; `--no-agent` says no for one command.
"""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops.errors import ConfigError

if TYPE_CHECKING:
    from sandbox_ops.links import Links
    from sandbox_ops.models import SandboxConfig

VARIABLE = "SANDBOX_OPS_AGENT_IDLE_S"
_MODULE = "sandbox_ops.ssh.connection_agent"
_PACKAGE = Path(__file__).parents[1]
_OF_VERSION = ("__init__.py", "links/shared.py", "ssh/connection_agent.py")


def links(config: "SandboxConfig", environ: Mapping[str, str]) -> "Links | None":
    """Return links through the agent process; None where none is wanted.

    Raises:
        ConfigError: The variable is no number of seconds.
    """
    from sandbox_ops.models.settings import FABRIC

    idle_s = _idle_s(environ)
    if not idle_s or config.link != FABRIC:  # ssh keeps its own, others need none
        return None
    from sandbox_ops.links import agent_files
    from sandbox_ops.links.shared import SharedLinks

    machine = dataclasses.replace(config, workspace="/workspace")
    identity = {"machine": dataclasses.asdict(machine), "version": _version()}
    place = agent_files.place(environ, identity, _MODULE, idle_s)
    return SharedLinks(place, config.host, lambda: _direct(config))


def _direct(config: "SandboxConfig") -> "Links":
    from sandbox_ops.ssh.connection import SandboxConnection

    return SandboxConnection(config)


def _version() -> list[object]:
    """Return what differs between two installations; the version's name takes 8 ms."""
    changed = [(_PACKAGE / name).stat().st_mtime_ns for name in _OF_VERSION]
    return [sys.executable, str(_PACKAGE), *changed]


def _idle_s(environ: Mapping[str, str]) -> float:
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return 0
    try:
        idle_s = float(text)
    except ValueError:
        idle_s = -1
    if not 0 <= idle_s < 1e6:  # noqa: PLR2004  # eleven days
        raise ConfigError(
            f"environment variable {VARIABLE} is {text!r}: that is no number of seconds",
            "Set it to how long an unused connection is kept, 0 for not at all.",
        )
    return idle_s
