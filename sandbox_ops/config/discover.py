"""The only reader of this machine's configuration files and of its git's facts.

What the texts mean is decided in pure modules beside it. A sandbox is looked up without
git; the project asks git, twice, when it is first needed. (Over 250 lines: this is the
whole order of precedence, from where files are looked for to what they allow.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sandbox_ops.config import (
    KEYS,
    Config,
    Layer,
    Source,
    Unconfirmed,
    allowed,
    combine,
    files,
    from_environment,
    from_registration,
    from_toml,
    project_name,
    secret_values,
)
from sandbox_ops.errors import ConfigError, NextStep, RefusedError
from sandbox_ops.guard import acts
from sandbox_ops.guard.user_folders import home_of, state_folder
from sandbox_ops.models import Project, SandboxConfig
from sandbox_ops.text import remote_text

_FILE = "sandbox.toml"
_FILE_VARIABLE = "SANDBOX_OPS_CONFIG"
_REGISTRATIONS = (".mcp.json", ".claude/mcp_settings.json")
_PATHS = tuple(key.field for key in KEYS if key.is_path)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is configured for a working directory.

    Attributes:
        config: All sources together.
        file: The project's file that was read; None where there is none.
        cwd: The working directory, absolute.
        environ: The environment that was read.
    """

    config: Config
    file: Path | None
    cwd: Path
    environ: Mapping[str, str]

    @property
    def sandbox_names(self) -> tuple[str, ...]:
        """The names of all sandboxes, the user's own first."""
        return tuple(self.config.sandboxes)

    def sandbox(self, name: str = "") -> SandboxConfig:
        """Return a sandbox by its name, or the default one.

        Raises:
            ConfigError: There is no such sandbox, no default, or one of its files is
                not a plain file.
            RefusedError: Only the project names that machine, and the user has not
                allowed it yet.
        """
        sandbox = self.config.sandbox(name)
        self._check_files(sandbox.name)
        unconfirmed = self.config.unconfirmed(sandbox.name)
        if unconfirmed and not self._is_allowed(unconfirmed):
            raise RefusedError(
                f"{unconfirmed.where} names the machine {unconfirmed.address}, and only "
                "this project does: you have not allowed it yet",
                NextStep(
                    "allow",
                    {"sandbox": sandbox.name},
                    f"If {unconfirmed.project} may use that machine, say so once, in "
                    "that folder",
                ),
            )
        return sandbox

    def sandbox_at(self, host: str) -> SandboxConfig:
        """Return what is configured of a machine that the user names: by host or name.

        Raises:
            ConfigError: One of its files is not a plain file.
        """
        for name, settings in self.config.sandboxes.items():
            if "host" in settings and host in {name, settings["host"].value}:
                self._check_files(name)
                return self.config.sandbox(name)
        return SandboxConfig(name=host, host=host)

    def unconfirmed(self, name: str = "") -> Unconfirmed | None:
        """Return the machine that only the project names; None where the user's words do.

        Raises:
            ConfigError: There is no such sandbox, or no default.
        """
        return self.config.unconfirmed(self.config.sandbox(name).name)

    def allow(self, name: str = "", *, forget: bool = False) -> Unconfirmed | None:
        """Remember that this project may use a sandbox's machine, or forget it.

        Returns:
            The machine and the project; None where the user's own words name it, so
            that nothing has to be allowed.

        Raises:
            ConfigError: There is no such sandbox, or no default.
            RefusedError: It cannot be written down.
        """
        unconfirmed = self.unconfirmed(name)
        if unconfirmed:
            state = state_folder(self.environ)
            change = allowed.forget if forget else allowed.allow
            what = (
                f"{'forget ' * forget}{unconfirmed.address} for {unconfirmed.project}"
            )
            sandbox = self.config.sandbox(name)
            with acts.act(sandbox, "allow", what, mask=remote_text.masked):
                change(state, unconfirmed.project, unconfirmed.address)
        return unconfirmed

    @cached_property
    def project(self) -> Project:
        """What is configured of the project, and else what the local clone says.

        Raises:
            ConfigError: Git refuses to answer, or the URL gives the project no name.
        """
        from sandbox_ops.config import local_clone

        configured = self.config.project
        clone = local_clone.look(self.cwd, self.environ)
        repo = configured.repo or clone.origin
        return replace(
            configured,
            root=clone.root,
            repo=repo,
            name=project_name(repo) if repo else "",
            branch=configured.branch or clone.branch,
        )

    def _is_allowed(self, machine: Unconfirmed) -> bool:
        state = state_folder(self.environ)
        return allowed.is_allowed(state, machine.project, machine.address)

    def _check_files(self, name: str) -> None:
        """Refuse a FIFO, a device or a huge file where ssh would read one."""
        _, settings = self.config.settings(name)
        for setting in (settings[field] for field in _PATHS if field in settings):
            file = Path(str(setting.value))
            try:
                files.check_plain(file, file.stat())
            except OSError:  # what is not there, ssh will say
                continue
            except ConfigError as error:
                message = f"{setting.where}: {error.message}"
                raise ConfigError(message, *error.hints) from error


def settings(cwd: Path, environ: Mapping[str, str]) -> Settings:
    """Read what is configured for a working directory.

    Later wins: the user's own config.toml; the project's sandbox.toml, or the file that
    `$SANDBOX_OPS_CONFIG` names; where that describes no sandbox, the MCP registration in
    the project's root, and SSH_HOST; our own variables.

    Args:
        cwd: That directory; a relative one is below the process's own.
        environ: The variables of the process.

    Raises:
        ConfigError: A file cannot be read, is not to be trusted, or says what is not
            known; or a variable does. Or the working directory was removed.
    """
    try:
        cwd = cwd.absolute()
    except FileNotFoundError:
        raise ConfigError(
            "the working directory was removed", "Go to one that is there: cd"
        ) from None
    home = home_of(environ)
    own = files.user_file(environ)
    file = _named_file(cwd, environ) or _project_file(cwd, home)
    user_layer = _layer(own, home, "", own) if files.is_file(own) else Layer()
    project_layer = Layer()
    if file:
        project_layer = _layer(file, home, _project_of(file, own), own)
    alone = not project_layer.sandboxes
    registered = _registered(cwd, home, environ, own) if alone else ()
    variables = from_environment(
        environ, ssh_names=alone, folder=str(cwd), home=str(home)
    )
    ssh_layers = (*registered, *variables[:-1])
    _protect_secrets((user_layer, *ssh_layers, *variables), environ)
    described = [str(own)] * bool(user_layer.sandboxes) + [str(file)] * (not alone)
    place = f"{file} describes none" if file else f"no {_FILE} in {cwd} or above it"
    return Settings(
        config=combine(
            (user_layer, project_layer),
            ssh_layers,
            variables[-1:],
            source=" and ".join(described) or "the environment",
            searched=f"{own} describes none, {place}, and SSH_HOST is not set",
            user_file=str(own),
        ),
        file=file,
        cwd=cwd,
        environ=environ,
    )


def _protect_secrets(layers: tuple[Layer, ...], environ: Mapping[str, str]) -> None:
    configured = [layer.secrets for layer in layers]
    secret_values.protect(
        tuple(each["secrets"] for each in configured if "secrets" in each),
        tuple(each["secret_files"] for each in configured if "secret_files" in each),
        environ,
        tuple(
            layer.fleet["notify_webhook"]
            for layer in layers
            if "notify_webhook" in layer.fleet
        ),
    )


def _named_file(cwd: Path, environ: Mapping[str, str]) -> Path | None:
    named = environ.get(_FILE_VARIABLE, "")
    if not named:
        return None
    home = str(home_of(environ))
    file = Path(Source(name="", folder=str(cwd), home=home).resolve(named))
    if not files.is_file(file):
        raise ConfigError(
            f"environment variable {_FILE_VARIABLE} is {named!r}: there is no such file",
            f"Set it to the path of a {_FILE}, or unset it.",
        )
    return file


def _project_file(cwd: Path, home: Path) -> Path | None:
    places = (folder / _FILE for folder in files.searched(cwd, home))
    return next((file for file in places if files.is_file(file)), None)


def _project_of(file: Path, own: Path) -> str:
    """Return the folder of the project whose words a file is; "" for the user's own.

    A sandbox.toml is always a project's. Another file, which only a variable can name,
    is the user's own where it lies outside of every work tree.
    """
    if file == own:
        return ""
    resolved = file.resolve()
    if file.name == _FILE:
        return str(next(files.work_trees(file.parent), resolved.parent))
    around = next(files.work_trees(resolved.parent), None)
    return str(around) if around else ""


def _layer(file: Path, home: Path, project: str, own: Path) -> Layer:
    source = Source(
        name=str(file),
        project=project,
        folder=str(file.parent),
        home=str(home),
        text=files.read(file),
    )
    return from_toml(source, str(own))


def _registered(
    cwd: Path, home: Path, environ: Mapping[str, str], own: Path
) -> tuple[Layer, ...]:
    """Read the first registration of our MCP server in the project's root."""
    root = next(files.work_trees(cwd), cwd.resolve())
    for name in _REGISTRATIONS:
        file = root / name
        if files.is_file(file):
            source = Source(
                name=str(file),
                project=str(root),
                folder=str(root),
                home=str(home),
                text=files.read(file),
            )
            layers = from_registration(source, environ, str(own))
            if layers:
                return layers
    return ()
