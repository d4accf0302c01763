"""The configured machines, for a program that works with them for long: each opened once.

A wrong configuration must not stop a server, which could not say why. So it is read on
first use, again each time until it is right, and kept from then on.
"""

import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sandbox_ops.errors import SandboxError

if TYPE_CHECKING:
    from sandbox_ops.config.discover import Settings
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Project

log = logging.getLogger(__name__)
_ONE = 1
_CLOSE_S = 0.5
_PLAIN = re.compile(r"[\w./@:~+-]{1,120}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Which machine is meant where none is named, and what lies where on it.

    Fit to be said to a model: nothing in it can be read as a sentence.

    Attributes:
        project_path: Where the project lies there; "" where there is none.
    """

    sandbox: str
    host: str
    workspace: str
    project_path: str = ""


def _plain(text: str) -> str:
    """Return what a project's file says, unless it could be read as a sentence."""
    return text if _PLAIN.fullmatch(text) else ""


def close_all(sandboxes: Iterable["Sandbox"]) -> None:
    """Close them at once; one whose machine does not answer is not waited for long."""
    closing = [threading.Thread(target=s.close, daemon=True) for s in sandboxes]
    for thread in closing:
        thread.start()
    until = time.monotonic() + _CLOSE_S
    for thread in closing:
        thread.join(max(0.0, until - time.monotonic()))


class Sandboxes:
    """The sandboxes, by name. Threads may share it. `close` it, or use it in a `with`.

    Args:
        cwd: Where the search for `sandbox.toml` begins.
        environ: The variables of the process.
        only: The one sandbox there is to be, where not all that are configured.
        started_by: Who starts jobs; see `Sandbox`.
    """

    def __init__(
        self,
        cwd: Path,
        environ: Mapping[str, str],
        only: str = "",
        *,
        started_by: str = "",
    ) -> None:
        self._started_by = started_by
        self._cwd = cwd
        self._environ = environ
        self._only = only
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._open: dict[str, Sandbox] = {}

    def choices(self) -> tuple[str, ...]:
        """Return what a caller may choose from; nothing where the choice is made.

        Raises:
            ConfigError: The configuration is wrong.
        """
        known = self._read().sandbox_names
        return () if self._only or len(known) <= _ONE else known

    def modes(self) -> frozenset[str]:
        """Return the modes of the machines that a caller may choose.

        Raises:
            ConfigError: The configuration is wrong.
        """
        config = self._read().config
        names = self.choices() or (self._only,)
        return frozenset(config.sandbox(name).mode for name in names)

    def get(self, name: str = "") -> "Sandbox":
        """Return a sandbox; the default without a name. Does not connect yet.

        Raises:
            ConfigError: The configuration is wrong, or has no such sandbox.
        """
        config = self._read().sandbox(name or self._only)
        with self._lock:
            if config.name not in self._open:
                from sandbox_ops.machine.sandbox import Sandbox

                self._open[config.name] = Sandbox(config, started_by=self._started_by)
            return self._open[config.name]

    @property
    def started_by(self) -> str:
        """Who starts jobs through these, as their records say it."""
        return self._started_by

    def surroundings(self) -> Surroundings | None:
        """Return where a caller works that names no machine. Does not connect.

        None where nobody can say: a configuration that is wrong, or that the user has
        not allowed yet, is reported by the first call.
        """
        try:
            settings = self._read()
            config = settings.sandbox(self._only)
            name = settings.project.name
        except SandboxError as problem:
            log.info("nobody can say where the work goes on: %s", problem)
            return None
        except Exception:
            log.exception("the configuration cannot be read")
            return None
        top = config.workspace.rstrip("/")
        return Surroundings(
            sandbox=config.name,
            host=_plain(config.host) or "?",
            workspace=_plain(config.workspace) or "/workspace",
            project_path=_plain(f"{top}/{name}") if name else "",
        )

    def project(self) -> "Project":
        """Return the project around us as it is now: branches change.

        Raises:
            ConfigError: The configuration is wrong, or git does not answer.
        """
        from sandbox_ops.config import discover

        return discover.settings(self._cwd, self._environ).project

    @property
    def has_ssh_agent(self) -> bool:
        """Whether the environment says where the user's ssh agent is."""
        where = self._environ.get("SSH_AUTH_SOCK", "")
        return bool(where) and not where.startswith("$")  # "$": not filled in by a host

    def close(self) -> None:
        """Close the connections; what runs on the machines goes on."""
        with self._lock:
            close_all(self._open.values())
            self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> "Settings":
        with self._lock:
            if self._settings is None:
                from sandbox_ops.config import discover

                self._settings = discover.settings(self._cwd, self._environ)
            return self._settings
