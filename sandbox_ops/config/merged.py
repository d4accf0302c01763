"""The layers laid over each other: which sandbox, how it is reached, which project. Pure.

(Over 250 lines: which layer wins, and what is said where none decides, are one rule.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops import policy
from sandbox_ops.config.sources import Layer, SettingValue, near_match, shown
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import Project, SandboxConfig
from sandbox_ops.text import address

_FROM_VARIABLES = "default"  # the name of a sandbox that no file describes
_ADDRESS = ("host", "user", "port")
_POLICY = ("mode", "read_roots", "deny_read")
_Settings = dict[str, SettingValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfirmed:
    """A machine that only a project names.

    Attributes:
        project: The folder of that project.
        address: The machine: `user@host:port`.
        where: Where the project names it.
    """

    project: str
    address: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    """What one place of the user's own says may be done and read on a machine."""

    name: str
    hosts: frozenset[str]
    settings: Mapping[str, SettingValue]

    def fits(self, name: str, host: str) -> bool:
        """Whether it is about that sandbox, or about that host under another name."""
        return name == self.name or _same_host(host) in self.hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All sources together.

    Attributes:
        source: What describes the sandboxes: a file's name, or "the environment".
        searched: Why there may be none, for messages.
        user_file: Where the user's own file is or would be, for messages.
        default: What names the default sandbox; None where nothing does.
        sandboxes: The settings of each, by name. `host`, `user` and `port` are apart.
        project_settings: The settings of the project.
        known_addresses: The machines that the user's own words name.
        policies: What the user's own words say may be done and read, by sandbox and by
            host: no other name for a machine gets around it.
    """

    source: str
    searched: str
    user_file: str
    default: SettingValue | None
    sandboxes: Mapping[str, Mapping[str, SettingValue]]
    project_settings: Mapping[str, SettingValue]
    known_addresses: frozenset[str] = frozenset()
    policies: tuple["_Policy", ...] = ()

    @property
    def project(self) -> Project:
        """What is configured of the project."""
        return Project(**_values(self.project_settings))

    def sandbox(self, name: str = "") -> SandboxConfig:
        """Return a sandbox; "" is the default one.

        Raises:
            ConfigError: There is no such sandbox, no default, or nothing says its host.
        """
        name, settings = self.settings(name)
        if "host" not in settings:
            raise self._no_host(name, settings)
        host = str(settings["host"].value)
        fitting = [each for each in self.policies if each.fits(name, host)]
        values = _values(settings)
        for field in ("read_roots", "deny_read"):
            said = [
                each.settings[field].value for each in fitting if field in each.settings
            ]
            if said:
                values.setdefault(field, said[0])
        modes = [each.settings["mode"] for each in fitting if "mode" in each.settings]
        if modes:
            mode = policy.strictest(tuple(str(each.value) for each in modes))
            where = next(each.where for each in modes if each.value == mode)
            values |= {"mode": mode, "mode_set_in": where}
        return SandboxConfig(name=name, **values)

    def settings(self, name: str = "") -> tuple[str, Mapping[str, SettingValue]]:
        """Return a sandbox's name and its settings; "" means the default one.

        Raises:
            ConfigError: There is no such sandbox, or no default.
        """
        wanted = name or _default_name(self.default, self.sandboxes)
        if not self.sandboxes and not wanted:
            raise self._none_at_all()
        if not wanted:
            raise self._no_default()
        if wanted not in self.sandboxes:
            raise self._unknown(wanted)
        return wanted, self.sandboxes[wanted]

    def origins_of(self, name: str = "") -> Mapping[str, str]:
        """Return where each setting of a sandbox is from, by its field.

        One that no configuration describes has none.
        """
        settings = self.sandboxes.get(
            name or _default_name(self.default, self.sandboxes)
        )
        return {field: each.where for field, each in (settings or {}).items()}

    def unconfirmed(self, name: str = "") -> Unconfirmed | None:
        """Return what of a sandbox's address only a project says; None: nothing."""
        _, settings = self.settings(name)
        address_text = _address(settings)
        if address_text in self.known_addresses:
            return None
        for field in _ADDRESS:
            setting = settings.get(field)
            if setting and not setting.source.trusted:
                return Unconfirmed(
                    project=setting.source.project,
                    address=address_text,
                    where=setting.where,
                )
        return None

    def _none_at_all(self) -> ConfigError:
        return ConfigError(
            f"no sandbox is configured: {self.searched}",
            f"Write these three lines to {self.user_file}, with your machine for "
            "me@gpu1:\n"
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

    def _no_host(self, name: str, settings: Mapping[str, SettingValue]) -> ConfigError:
        where = next(iter(settings.values())).source.name if settings else self.source
        return ConfigError(
            f"{where}: key `sandboxes.{name}.host` is missing: expected an ssh_config "
            "alias, host, user@host or user@host:port",
            f'Write it below [sandboxes.{name}]. For example: host = "me@gpu1"',
        )

    def _unknown(self, name: str) -> ConfigError:
        names = {known: known for known in self.sandboxes}
        listed = ", ".join(names)
        expected = f"expected one of {listed}, which {self.source} describes"
        by_default = self.default is not None and self.default.value == name
        place = f"{self.default.where} is" if self.default and by_default else "sandbox"
        return ConfigError(
            f"{place} {shown(name)}: "
            f"{expected if names else 'no sandbox is described'}",
            near_match(name, names)
            or f"Describe it in {self.user_file}, in a table [sandboxes.{name}].",
        )


def combine(
    files: Sequence[Layer],
    ssh_layers: Sequence[Layer] = (),
    variables: Sequence[Layer] = (),
    *,
    source: str,
    searched: str,
    user_file: str = "~/.config/sandbox-ops/config.toml",
) -> Config:
    """Lay the layers over each other; later ones win.

    The variables of the original guide (`ssh_layers`) make a machine of their own, the
    default one, or mean the machine of that name or host; ours (`variables`) speak of the
    default sandbox, and make one where there is none.

    Args:
        files: What files say, the user's own first.
        ssh_layers: What SSH_HOST and the like say; none where the project describes a
            sandbox.
        variables: What SANDBOX_OPS_HOST and the like say.
        source: What describes the sandboxes, for messages.
        searched: Why there may be none, for messages.
        user_file: Where the user's own file is or would be, for messages.
    """
    layers = (*files, *ssh_layers, *variables)
    trusted = [_Merge.of(files, ssh_layers, variables, only_trusted=True)]
    merge = _Merge.of(files, ssh_layers, variables, only_trusted=False)
    project: _Settings = {}
    for layer in layers:
        project.update(layer.project)
    return Config(
        source=source,
        searched=searched,
        user_file=user_file,
        default=merge.default,
        sandboxes=merge.sandboxes,
        project_settings=project,
        known_addresses=frozenset(
            _address(settings)
            for each in trusted
            for settings in each.sandboxes.values()
            if "host" in settings
        ),
        policies=tuple(_policies(files, variables, (merge, *trusted))),
    )


def _policies(
    files: Sequence[Layer], variables: Sequence[Layer], merges: Sequence["_Merge"]
) -> Iterable[_Policy]:
    """Yield what is said in each place: one does not take back what another says."""
    default = _default_name(merges[0].default, merges[0].sandboxes)
    places = [each for layer in files for each in layer.sandboxes.items()]
    places += [(default, layer.machine) for layer in variables]
    for name, settings in places:
        said = {field: settings[field] for field in _POLICY if field in settings}
        hosts = frozenset(
            _same_host(str(merge.sandboxes[name]["host"].value))
            for merge in merges
            if "host" in merge.sandboxes.get(name, {})
        )
        if said:
            yield _Policy(name=name, hosts=hosts, settings=said)


def _same_host(host: str) -> str:
    return host.lower().rstrip(".")


@dataclass(frozen=True, slots=True)
class _Merge:
    """The sandboxes of some layers, and which is the default one."""

    default: SettingValue | None
    sandboxes: dict[str, _Settings]

    @classmethod
    def of(
        cls,
        files: Sequence[Layer],
        ssh_layers: Sequence[Layer],
        variables: Sequence[Layer],
        *,
        only_trusted: bool,
    ) -> "_Merge":
        sandboxes: dict[str, _Settings] = {}
        default: SettingValue | None = None
        for layer in files:
            default = layer.default or default
            for name, settings in layer.sandboxes.items():
                own = _kept(settings, only_trusted=only_trusted)
                sandboxes.setdefault(name, {}).update(own)
        by_ssh = _machine(ssh_layers, only_trusted=only_trusted)
        by_ours = _machine(variables, only_trusted=only_trusted)
        if "host" in by_ssh:
            name = _called(str(by_ssh["host"].value), sandboxes)
            sandboxes.setdefault(name, {}).update(by_ssh)
            default = replace(by_ssh["host"], value=name)
        else:
            by_ours = {**by_ssh, **by_ours}
        if not sandboxes and "host" in by_ours:
            sandboxes[_FROM_VARIABLES] = {}
        for layer in (*ssh_layers, *variables):
            default = layer.default or default
        name = _default_name(default, sandboxes)
        if name in sandboxes:
            sandboxes[name].update(by_ours)
        return cls(default, sandboxes)


def _default_name(
    default: SettingValue | None, sandboxes: Mapping[str, Mapping[str, SettingValue]]
) -> str:
    """Return the name of the default sandbox; the only one needs no word."""
    if default is not None:
        return str(default.value)
    return next(iter(sandboxes)) if len(sandboxes) == 1 else ""


def _machine(layers: Iterable[Layer], *, only_trusted: bool) -> _Settings:
    machine: _Settings = {}
    for layer in layers:
        machine.update(_kept(layer.machine, only_trusted=only_trusted))
    return machine


def _kept(
    settings: Mapping[str, SettingValue], *, only_trusted: bool
) -> Mapping[str, SettingValue]:
    kept = {
        field: setting
        for field, setting in settings.items()
        if setting.source.trusted or not only_trusted
    }
    return _host_apart(kept)


def _called(host: str, sandboxes: Mapping[str, Mapping[str, SettingValue]]) -> str:
    """Return the name of the sandbox that a host means; a new one's if none."""
    for name, settings in sandboxes.items():
        if host == name or ("host" in settings and settings["host"].value == host):
            return name
    return _FROM_VARIABLES


def _host_apart(settings: Mapping[str, SettingValue]) -> _Settings:
    """Take `user@host:port` apart; within one source the separate keys win."""
    if "host" not in settings:
        return dict(settings)
    host = settings["host"]
    machine = address.read(str(host.value))
    apart = {"host": machine.host, "user": machine.user, "port": machine.port}
    named = {
        field: replace(host, value=value)
        for field, value in apart.items()
        if value is not None
    }
    return {**named, **settings, "host": named["host"]}


def _address(settings: Mapping[str, SettingValue]) -> str:
    host, user, port = (
        str(settings[field].value) if field in settings else "" for field in _ADDRESS
    )
    bracketed = f"[{host}]" if ":" in host else host
    return f"{user}@" * bool(user) + bracketed + f":{port}" * bool(port)


def _values(settings: Mapping[str, SettingValue]) -> dict[str, Any]:
    return {field: setting.value for field, setting in settings.items()}
