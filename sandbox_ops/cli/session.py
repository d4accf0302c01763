"""Which machine and which project a task is about, and the machine opened for it."""

import contextlib
import dataclasses
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import fabric_context, next_steps, shared_connection

if TYPE_CHECKING:
    from sandbox_ops.config.discover import Settings
    from sandbox_ops.models import Project
    from sandbox_ops.sandbox import Sandbox


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sandbox that is closed at the task's end, and the settings around us."""

    sandbox: "Sandbox"
    settings: "Settings"

    @property
    def project(self) -> "Project":
        """The project around us. Asks git, so what needs none does not ask for it."""
        return self.settings.project

    @property
    def known_project(self) -> "Project | None":
        """The project; None outside of every clone and configuration."""
        return self.project if self.project.name else None

    def folder(self, cwd: str) -> str:
        """Where a command runs: `cwd`, from the project on; the project; or the home."""
        if cwd.startswith(("/", "~")) or not self.project.name:
            return cwd
        root = self.sandbox.project_path(self.project)
        return posixpath.join(root, cwd) if cwd else root


def settings_here() -> "Settings":
    """What is configured for the working directory.

    Raises:
        ConfigError: A file or a variable is wrong.
    """
    from sandbox_ops.config import discover

    return discover.settings(Path.cwd(), os.environ)


@contextlib.contextmanager
def opened(context: Any, name: str) -> Iterator[Session]:  # noqa: ANN401 - Invoke's or Fabric's context
    """Open the sandbox called `name`, the context's own machine, or the default.

    Raises:
        ConfigError: There is no such sandbox, or none at all.
    """
    from sandbox_ops.sandbox import Sandbox

    settings = settings_here()
    if name and name != _default(settings):
        next_steps.choose_sandbox(name)
    of_fabric = not name and fabric_context.host_of(context)
    config = (
        fabric_context.config_of(context, settings)
        if of_fabric
        else settings.sandbox(name)
    )
    kept = shared_connection.links(config, os.environ)
    with Sandbox(config, links=kept) as sandbox:
        yield Session(sandbox=sandbox, settings=settings)


def _default(settings: "Settings") -> str:
    default = settings.config.default
    return str(default.value) if default else ""
