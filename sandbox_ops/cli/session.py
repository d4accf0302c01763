"""Which machine and which project a task is about, and the machine opened for it."""

import contextlib
import dataclasses
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import fabric_context, next_steps, shared_connection
from sandbox_ops.cli.face import say
from sandbox_ops.errors import RefusedError, SandboxError

if TYPE_CHECKING:
    from sandbox_ops.config.discover import Settings
    from sandbox_ops.links import Links
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Project, SandboxConfig
    from sandbox_ops.models.cancellation import CancelToken


_cancel: "ContextVar[CancelToken | None]" = ContextVar("cancel", default=None)
_direct: ContextVar[bool] = ContextVar("direct", default=False)


def cancelled_by(token: "CancelToken") -> None:
    """Let a token cancel what is done on the sandboxes that are opened from now on."""
    _cancel.set(token)


_among_several: ContextVar[bool] = ContextVar("among_several", default=False)


def one_of_several() -> None:
    """Say that other machines are asked the same at the same time."""
    _among_several.set(True)


def among_several() -> bool:
    """Whether other machines are asked the same at the same time."""
    return _among_several.get()


def connect_directly() -> None:
    """Have the sandboxes that are opened from now on connect from this process."""
    _direct.set(True)


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

    def environment(self, folder: str, env: "Mapping[str, str]") -> dict[str, Any]:
        """Options of a command in a folder: in the project it uses what `setup` made there."""
        root = self.sandbox.project_path(self.project) if self.project.name else ""
        if not root or not f"{folder}/".startswith(f"{root}/"):
            return {"env": env}
        from sandbox_ops.machine import environment

        return {
            "env": environment.variables(self.project, env),
            "environment": environment.use(self.project, root),
        }


def settings_here() -> "Settings":
    """What is configured for the working directory.

    Raises:
        ConfigError: A file or a variable is wrong.
    """
    from sandbox_ops.config import discover

    return discover.settings(Path(), os.environ)


@contextlib.contextmanager
def opened(context: Any, name: str) -> Iterator[Session]:  # noqa: ANN401 - Invoke's or Fabric's context
    """Open the sandbox called `name`, the context's own machine, or the default.

    Raises:
        ConfigError: There is no such sandbox, or none at all.
    """
    from sandbox_ops.machine.sandbox import Sandbox

    settings = settings_here()
    if name and name != _default(settings):
        next_steps.choose_sandbox(name)
    of_fabric = not name and fabric_context.host_of(context)
    config = (
        fabric_context.config_of(context, settings)
        if of_fabric
        else settings.sandbox(name)
    )
    with Sandbox(config, links=_kept_links(config)) as sandbox:
        yield Session(sandbox=sandbox.cancelled_by(_cancel.get()), settings=settings)


@contextlib.contextmanager
def opened_all(context: Any, name: str) -> Iterator[tuple["Sandbox", ...]]:  # noqa: ANN401 - Invoke's or Fabric's context
    """Open every sandbox that is configured; the one called `name`, if one is named.

    Nobody waits long for their closing: a machine that does not answer takes its time.

    Raises:
        ConfigError: There is no such sandbox, or none at all.
        RefusedError: The user has not allowed it; of several, any of them.
    """
    from sandbox_ops.links.agent_files import MOST
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.machine.sandboxes import close_all

    settings = settings_here()
    if not name and fabric_context.host_of(context):
        configs = [fabric_context.config_of(context, settings)]
    else:
        names = [name] if name or not settings.sandbox_names else settings.sandbox_names
        configs = list(_allowed(settings, names))
    if len(configs) > MOST:
        connect_directly()
    sandboxes = tuple(Sandbox(config, links=_kept_links(config)) for config in configs)
    try:
        yield sandboxes
    finally:
        close_all(sandboxes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FleetSession:
    """The sandboxes that `--on` names, closed at the task's end.

    Attributes:
        open_other: Opens one more, by its name; None: there is none that may be used.
    """

    sandboxes: tuple["Sandbox", ...]
    settings: "Settings"
    open_other: "Callable[[str], Sandbox | None]"


@contextlib.contextmanager
def opened_on(on: str) -> Iterator[FleetSession]:
    """Open every sandbox that `--on` names.

    Raises:
        ConfigError: One of them is not described.
        RefusedError: The user has not allowed one.
    """
    from sandbox_ops.links.agent_files import MOST
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.machine.sandboxes import close_all

    settings = settings_here()
    names = settings.config.names(on)
    if len(names) > MOST:
        connect_directly()
    opened_now: list[Sandbox] = []

    def open_one(name: str) -> Sandbox:
        config = settings.sandbox(name)
        opened_now.append(Sandbox(config, links=_kept_links(config)))
        return opened_now[-1]

    def open_other(name: str) -> Sandbox | None:
        try:
            return open_one(name)
        except SandboxError as error:
            say(f"{name} is left out: {error.message}")
            return None

    try:
        named = tuple(map(open_one, names))
        yield FleetSession(sandboxes=named, settings=settings, open_other=open_other)
    finally:
        close_all(opened_now)


def _kept_links(config: "SandboxConfig") -> "Links | None":
    """Return links through the process that keeps the connection; None: connect directly."""
    return None if _direct.get() else shared_connection.links(config, os.environ)


def _allowed(settings: "Settings", names: Sequence[str]) -> Iterator["SandboxConfig"]:
    """Those that the user allows; which are left out is said, if any is left."""
    refusals: list[RefusedError] = []
    n_allowed = 0
    for name in names:
        try:
            yield settings.sandbox(name)
        except RefusedError as error:
            refusals.append(error)
        else:
            n_allowed += 1
    if refusals and not n_allowed:
        raise refusals[0]
    for refusal in refusals:
        say(f"left out: {refusal}")


def _default(settings: "Settings") -> str:
    default = settings.config.default
    return str(default.value) if default else ""
