"""The configured machines, for a program that works with them for long: each opened once.

A wrong configuration must not stop a server, which could not say why. So it is read on
first use, again each time until it is right, and kept from then on.
"""

import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops.errors import SandboxError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.models import job_ids
from sandbox_ops.models.closing import Closing

if TYPE_CHECKING:
    from sandbox_ops.config.discover import Settings
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Project

log = logging.getLogger(__name__)
_ONE = 1
_NAMED = 12
"""So many machines are named to a model, and so many groups."""
_CLOSE_S = 0.5
_PLAIN = re.compile(r"[\w./@:~+-]{1,120}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Which machine is meant where none is named, and what lies where on it.

    Fit to be said to a model: nothing in it can be read as a sentence.

    Attributes:
        project_path: Where the project lies there; "" where there is none.
        machines: All that can be named, and their groups, in a line; "" where it is one.
    """

    sandbox: str
    host: str
    workspace: str
    project_path: str = ""
    machines: str = ""


def _plain(text: str) -> str:
    """Return what a project's file says, unless it could be read as a sentence."""
    return text if _PLAIN.fullmatch(text) else ""


def _listed(settings: "Settings", default: str) -> str:
    """Return the names of several machines and of their groups; "" where there is one."""
    names = [each for each in settings.sandbox_names if _plain(each)]
    if len(names) <= _ONE:
        return ""
    shown = [f"{each} (default)" if each == default else each for each in names]
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    groups = [each for each in settings.config.fleet.groups if _plain(each)][:_NAMED]
    of_groups = f"; groups: {', '.join(groups)}" if groups else ""
    return ", ".join(shown[:_NAMED]) + more + of_groups


def close_all(sandboxes: Iterable["Sandbox"]) -> None:
    """Close them at once; one whose machine does not answer is not waited for long."""
    closing = [threading.Thread(target=s.close, daemon=True) for s in sandboxes]
    for thread in closing:
        thread.start()
    until = time.monotonic() + _CLOSE_S
    for thread in closing:
        thread.join(max(0.0, until - time.monotonic()))


class Sandboxes(Closing):
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

    def offered(self) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return choices and modes as far as they can be had: a call says what is wrong."""
        try:
            return self.choices(), self.modes()
        except SandboxError as problem:
            log.info("nobody can say which machines there are: %s", problem)
        except Exception:
            log.exception("the configuration cannot be read")
        return (), frozenset()

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

    def targets(
        self, *, sandbox: str = "", on: str = "", jobs: Sequence[str] = ()
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the machines that are meant, each with the jobs asked for there.

        Raises:
            ConfigError: As `config.targets.targets` has it.
            UsageError: The same.
        """
        from sandbox_ops.config.targets import targets

        config = self._read().config
        if self._only:  # no word of a caller leads to another machine
            there = (job_ids.on_machine(job, (self._only,))[1] for job in jobs)
            return {"": tuple(there)}
        return targets(config, sandbox=sandbox, on=on, jobs=jobs)

    def find(self, name: str) -> "Sandbox | None":
        """Return a sandbox; None where there is none of that name that may be used."""
        try:
            return self.get(name)
        except SandboxError as problem:
            log.info("%s is not asked: %s", name, problem)
            return None

    @property
    def reliability(self) -> ReliabilityFile:
        """What is remembered of how reliable the machines were."""
        return ReliabilityFile(self._environ)

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
            machines="" if self._only else _listed(settings, config.name),
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

    def _read(self) -> "Settings":
        with self._lock:
            if self._settings is None:
                from sandbox_ops.config import discover

                self._settings = discover.settings(self._cwd, self._environ)
            return self._settings
