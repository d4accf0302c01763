"""The layers laid over each other: which sandbox, how it is reached, which project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sandbox_ops.config.layers import Given, Layer, near_match, shown
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import Project, SandboxConfig
from sandbox_ops.text import address

_FROM_VARIABLES = "default"  # the name of a sandbox that no file describes


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All sources together.

    Attributes:
        source: What describes the sandboxes: a file's name, or "the environment".
        searched: Why there may be none, for messages.
        default: The default sandbox's name; None where nothing says it.
        sandboxes: What is given of each, by name. `host`, `user` and `port` are apart.
        project: What is configured of the project.
    """

    source: str
    searched: str
    default: Given | None
    sandboxes: Mapping[str, Mapping[str, Given]]
    project: Project

    def given(self, name: str = "") -> tuple[str, Mapping[str, Given]]:
        """Return a sandbox's name and what is given of it; "" means the default one.

        Raises:
            ConfigError: There is no such sandbox, or no default.
        """
        if not self.sandboxes:
            raise self._none_at_all()
        wanted = name or (str(self.default.value) if self.default else "")
        if not wanted:
            raise self._no_default()
        if wanted not in self.sandboxes:
            raise self._unknown(wanted)
        return wanted, self.sandboxes[wanted]

    def sandbox(self, name: str = "") -> SandboxConfig:
        """Return a sandbox with its paths as they were written; "" is the default one.

        Raises:
            ConfigError: There is no such sandbox, or no default.
        """
        name, given = self.given(name)
        return as_sandbox(name, given)

    def _none_at_all(self) -> ConfigError:
        return ConfigError(
            f"no sandbox is configured: {self.searched}",
            "Write these three lines to sandbox.toml, with your machine for me@gpu1:\n"
            '    default = "gpu1"\n'
            "    [sandboxes.gpu1]\n"
            '    host = "me@gpu1"\n'
            "or name the machine in the environment: export SSH_HOST=me@gpu1",
        )

    def _no_default(self) -> ConfigError:
        names = ", ".join(self.sandboxes)
        first = next(iter(self.sandboxes))
        return ConfigError(
            f"{self.source}: key `default` is missing: expected one of {names}",
            f'Write it at the top, default = "{first}", or name one: --sandbox {first}',
        )

    def _unknown(self, name: str) -> ConfigError:
        by_default = self.default is not None and self.default.value == name
        where = f"{self.default.where} is" if self.default and by_default else "sandbox"
        names = {known: known for known in self.sandboxes}
        return ConfigError(
            f"{where} {shown(name)}: expected one of {', '.join(names)}, which "
            f"{self.source} describes",
            near_match(name, names)
            or f"Describe it in sandbox.toml, in a table [sandboxes.{name}].",
        )


def as_sandbox(name: str, given: Mapping[str, Given]) -> SandboxConfig:
    """Return what is given of a sandbox as one value."""
    values: dict[str, object] = {field: each.value for field, each in given.items()}
    return SandboxConfig(name=name, **values)  # type: ignore[arg-type]  # keys.py checked them


def combine(
    file: Layer, variables: Sequence[Layer], *, source: str, searched: str
) -> Config:
    """Lay the layers over each other: the file lowest, then each of the variables.

    What variables say of a machine is said of the default sandbox; where the file
    describes none, they make one that is named `default`.

    Args:
        file: What sandbox.toml says; an empty layer where there is none.
        variables: What variables say, the weakest first.
        source: What describes the sandboxes, for messages.
        searched: Why there may be none, for messages.

    Raises:
        ConfigError: A sandbox lacks its host.
    """
    project: dict[str, Given] = dict(file.project)
    machine: dict[str, Given] = {}
    default = file.default
    for layer in variables:
        project.update(layer.project)
        machine.update(_host_apart(layer.machine))
        default = layer.default or default
    sandboxes = {name: _host_apart(given) for name, given in file.sandboxes.items()}
    if not sandboxes and "host" in machine:
        sandboxes[_FROM_VARIABLES] = machine
    if len(sandboxes) == 1 and default is None:
        default = Given(next(iter(sandboxes)), source)
    if default is not None and default.value in sandboxes:
        sandboxes[str(default.value)].update(machine)
    _check_hosts(sandboxes, source)
    return Config(
        source=source,
        searched=searched,
        default=default,
        sandboxes=sandboxes,
        project=_as_project(project),
    )


def _host_apart(given: Mapping[str, Given]) -> dict[str, Given]:
    """Take `user@host:port` apart; within one source the separate keys win."""
    if "host" not in given:
        return dict(given)
    host = given["host"]
    machine = address.read(str(host.value))
    apart = {"host": machine.host, "user": machine.user, "port": machine.port}
    named = {
        field: replace(host, value=value)
        for field, value in apart.items()
        if value is not None
    }
    return {**named, **given, "host": named["host"]}


def _check_hosts(sandboxes: Mapping[str, Mapping[str, Given]], source: str) -> None:
    for name, given in sandboxes.items():
        if "host" not in given:
            raise ConfigError(
                f"{source}: key `sandboxes.{name}.host` is missing: expected an "
                "ssh_config alias, host, user@host or user@host:port",
                f'Write it below [sandboxes.{name}]. For example: host = "me@gpu1"',
            )


def _as_project(given: Mapping[str, Given]) -> Project:
    values: dict[str, object] = {field: each.value for field, each in given.items()}
    return Project(**values)  # type: ignore[arg-type]  # keys.py checked them
