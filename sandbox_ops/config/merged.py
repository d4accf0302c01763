"""The layers laid over each other: which sandbox, how it is reached, which project. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sandbox_ops.config.configuration import (
    Config,
    MachinePolicy,
    address_of,
    default_name,
    same_host,
)
from sandbox_ops.config.fleet import Fleet
from sandbox_ops.config.sources import Layer, SettingValue
from sandbox_ops.models.notifications import NotifySettings
from sandbox_ops.text import address

_FROM_VARIABLES = "default"  # the name of a sandbox that no file describes
_POLICY = ("mode", "read_roots", "deny_read")
_Settings = dict[str, SettingValue]


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
    fleet: _Settings = {}
    for layer in layers:
        project.update(layer.project)
        fleet.update(layer.fleet)
    return Config(
        source=source,
        searched=searched,
        user_file=user_file,
        default=merge.default,
        sandboxes=merge.sandboxes,
        project_settings=project,
        known_addresses=frozenset(
            address_of(settings)
            for each in trusted
            for settings in each.sandboxes.values()
            if "host" in settings
        ),
        fleet=Fleet.of(fleet),
        notify=_notify(fleet),
        policies=tuple(_policies(files, variables, (merge, *trusted))),
    )


def _notify(settings: Mapping[str, SettingValue]) -> NotifySettings:
    def text(field: str) -> str:
        return str(settings[field].value) if field in settings else ""

    events = settings["notify_events"].value if "notify_events" in settings else ()
    return NotifySettings(
        command=text("notify_command"),
        webhook=text("notify_webhook"),
        format=text("notify_format"),
        desktop=text("notify_desktop") == "yes",
        always=text("notify_always") == "yes",
        events=tuple(map(str, events)) if isinstance(events, tuple) else (),
    )


def _policies(
    files: Sequence[Layer], variables: Sequence[Layer], merges: Sequence["_Merge"]
) -> Iterable[MachinePolicy]:
    """Yield the policy of each place: one place does not undo what another sets."""
    default = default_name(merges[0].default, merges[0].sandboxes)
    places = [each for layer in files for each in layer.sandboxes.items()]
    places += [(default, layer.machine) for layer in variables]
    for name, settings in places:
        policy_fields = {
            field: settings[field] for field in _POLICY if field in settings
        }
        hosts = frozenset(
            same_host(str(merge.sandboxes[name]["host"].value))
            for merge in merges
            if "host" in merge.sandboxes.get(name, {})
        )
        if policy_fields:
            yield MachinePolicy(name=name, hosts=hosts, settings=policy_fields)


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
        name = default_name(default, sandboxes)
        if name in sandboxes:
            sandboxes[name].update(by_ours)
        return cls(default, sandboxes)


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
