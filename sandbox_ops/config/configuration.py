"""What is configured, asked by a sandbox's name, and what is said where nothing is. Pure.

(A few lines over 250: a third of it are the words of errors.)
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox_ops.config.fleet import Fleet
from sandbox_ops.config.sources import Origin, SettingValue, near_match, shown
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import Project, SandboxConfig, policy
from sandbox_ops.models import settings as model_settings
from sandbox_ops.models.notifications import NotifySettings

ALL = "all"
"""What `--on` calls every sandbox that is not avoided."""
ANY = "any"
"""The same, where one of them is enough."""

_ADDRESS = ("host", "user", "port")


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
class MachinePolicy:
    """What one place of the user's own says may be done and read on a machine."""

    name: str
    hosts: frozenset[str]
    settings: Mapping[str, SettingValue]

    def fits(self, name: str, host: str) -> bool:
        """Whether it is about that sandbox, or about that host under another name."""
        return name == self.name or same_host(host) in self.hosts


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
        fleet: Groups of sandboxes, and which are preferred or left out.
        notify: Whom to tell what happens, and how.
    """

    source: str
    searched: str
    user_file: str
    default: SettingValue | None
    sandboxes: Mapping[str, Mapping[str, SettingValue]]
    project_settings: Mapping[str, SettingValue]
    known_addresses: frozenset[str] = frozenset()
    policies: tuple[MachinePolicy, ...] = ()
    fleet: Fleet = dataclasses.field(default_factory=Fleet)
    notify: NotifySettings = dataclasses.field(default_factory=NotifySettings)

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
        values = _values(settings)
        if values.get("link", model_settings.FABRIC) not in {
            model_settings.FABRIC,
            model_settings.OPENSSH,
        }:
            values.setdefault("host", name)
        if "host" not in values:
            raise self._no_host(name, settings)
        host = str(values["host"])
        fitting = [each for each in self.policies if each.fits(name, host)]
        for field in ("read_roots", "deny_read"):
            set_values = [
                each.settings[field].value for each in fitting if field in each.settings
            ]
            if set_values:
                values.setdefault(field, set_values[0])
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
        wanted = name or default_name(self.default, self.sandboxes)
        if not self.sandboxes and not wanted:
            raise self._none_at_all()
        if not wanted:
            raise self._no_default()
        if wanted not in self.sandboxes:
            raise self._unknown(wanted)
        return wanted, self.sandboxes[wanted]

    def names(self, on: str) -> tuple[str, ...]:
        """Return the sandboxes that `--on` means: names, groups, `all`, with commas between.

        Raises:
            ConfigError: One is neither a sandbox nor a group, or there is none.
        """
        names: dict[str, None] = {}
        for word in filter(None, map(str.strip, on.split(","))):
            if word in {ALL, ANY}:
                names.update(dict.fromkeys(self.fleet.preferred(self.sandboxes)))
            elif word in self.fleet.groups:
                names.update(dict.fromkeys(self.fleet.groups[word]))
            else:
                names[word] = None
        for name in names:
            if name not in self.sandboxes:
                raise self._unknown_of_fleet(name)
        if not names:
            raise self._none_at_all()
        return tuple(names)

    def _unknown_of_fleet(self, name: str) -> ConfigError:
        known = {each: each for each in (*self.sandboxes, *self.fleet.groups, ALL)}
        return ConfigError(
            f"{shown(name)} is neither a sandbox nor a group: expected one of "
            f"{', '.join(known)}",
            near_match(name, known)
            or f"Describe it in {self.user_file}, in a table [sandboxes.{name}].",
        )

    def origins_of(self, name: str = "") -> Mapping[str, Origin]:
        """Return where each setting of a sandbox is from, by its field.

        One that no configuration describes has none.
        """
        settings = self.sandboxes.get(
            name or default_name(self.default, self.sandboxes)
        )
        return {field: each.origin for field, each in (settings or {}).items()}

    def unconfirmed(self, name: str = "") -> Unconfirmed | None:
        """Return what of a sandbox's address only a project says; None: nothing."""
        _, settings = self.settings(name)
        address_text = address_of(settings)
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


def default_name(
    default: SettingValue | None, sandboxes: Mapping[str, Mapping[str, SettingValue]]
) -> str:
    """Return the name of the default sandbox; the only one needs no word."""
    if default is not None:
        return str(default.value)
    return next(iter(sandboxes)) if len(sandboxes) == 1 else ""


def same_host(host: str) -> str:
    """Return a host as it is compared: two names that DNS takes for one are one."""
    return host.lower().rstrip(".")


def address_of(settings: Mapping[str, SettingValue]) -> str:
    """Return the machine that settings mean, as `user@host:port`."""
    host, user, port = (
        str(settings[field].value) if field in settings else "" for field in _ADDRESS
    )
    bracketed = f"[{host}]" if ":" in host else host
    return f"{user}@" * bool(user) + bracketed + f":{port}" * bool(port)


def _values(settings: Mapping[str, SettingValue]) -> dict[str, Any]:
    return {field: setting.value for field, setting in settings.items()}
