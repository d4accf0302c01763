"""Whether a command uses the connection that an agent process keeps, and which it is.

One is kept for ten minutes; SANDBOX_OPS_AGENT_IDLE_S says for how long, and 0 for not at
all, as `--no-agent` does for one command. Nothing stays behind in CI.
"""

import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops.errors import ConfigError

if TYPE_CHECKING:
    from sandbox_ops.links import Links
    from sandbox_ops.models import SandboxConfig

VARIABLE = "SANDBOX_OPS_AGENT_IDLE_S"
IDLE_S = 600.0
_MODULE = "sandbox_ops.ssh.connection_agent"
_PACKAGE = Path(__file__).parents[1]
_OF_VERSION = ("", "config", "links", "models", "remote", "ssh")
"""Folders whose files are what the process runs."""


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
    identity = {
        "machine": dataclasses.asdict(machine),
        "version": [sys.executable, str(_PACKAGE), max(_changed())],
        # a login that asks a person for something is kept only for who asked for that
        "keeps_all": bool(environ.get(VARIABLE, "").strip()),
    }
    place = agent_files.place(environ, identity, _MODULE, idle_s)
    return SharedLinks(place, config.host, lambda: _direct(config))


def _direct(config: "SandboxConfig") -> "Links":
    from sandbox_ops.ssh.connection import SandboxConnection

    return SandboxConnection(config)


def _changed() -> Iterator[int]:
    """Yield when each file that matters was changed; the version's name takes 8 ms."""
    for name in _OF_VERSION:
        with os.scandir(_PACKAGE / name) as entries:
            yield from (
                entry.stat().st_mtime_ns
                for entry in entries
                if entry.name[-3:] == ".py"
            )


def _idle_s(environ: Mapping[str, str]) -> float:
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return 0 if environ.get("CI") else IDLE_S
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
