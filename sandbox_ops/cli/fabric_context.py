"""A machine as somebody's `fabric.Connection` describes it, as our own configuration.

What was said to Fabric holds: host, user, port, keys (`-i` too), gateway, ssh_config,
timeout, agent. What cannot be taken over is refused by its name, never dropped.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sandbox_ops.errors import ConfigError

if TYPE_CHECKING:
    from sandbox_ops.config.discover import Settings
    from sandbox_ops.models import SandboxConfig

_HARMLESS: Mapping[str, object] = {"allow_agent": True, "look_for_keys": True}
"""Of paramiko's arguments those that say what we do anyway."""


def host_of(context: Any) -> str | None:  # noqa: ANN401 - Invoke's or Fabric's context
    """The alias a fabric.Connection was made with; None for an Invoke context.

    Asked of the class, since an Invoke context looks unknown names up in somebody's
    configuration.
    """
    if not hasattr(type(context), "host"):
        return None
    host = getattr(context, "original_host", None) or context.host
    return str(host) if host else None


def config_of(context: Any, settings: "Settings") -> "SandboxConfig":  # noqa: ANN401 - a fabric.Connection
    """The machine of somebody's fabric.Connection.

    What our configuration says of the same host (workspace, keys) holds, where the
    connection says nothing of it.

    Raises:
        ConfigError: It says something that we cannot do; names it.
    """
    host = host_of(context) or ""
    base = settings.sandbox_at(host)
    keys = _key_files(context)
    return dataclasses.replace(
        base,
        host=host,
        user=context.user,
        port=context.port,
        identity_file=keys[0] if keys else base.identity_file,
        ssh_config=_runtime_ssh_config(context) or base.ssh_config,
        ssh_options=(
            *(f"IdentityFile={key}" for key in keys[1:]),
            *_gateway(context),
            *_others(context),
        ),
    )


def _key_files(context: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The keys of `-i` and connect_kwargs; Fabric adds those of ssh_config to them."""
    connect_kwargs = dict(context.connect_kwargs)
    keys = connect_kwargs.pop("key_filename", None) or ()
    for name, value in connect_kwargs.items():
        if _HARMLESS.get(name, not value) != value:
            raise ConfigError(
                f"the Fabric connection to {context.host} has connect_kwargs {name!r}, "
                "which is not taken over: we log in with key files, certificates and "
                "the agent",
                "Leave it out, or say it in your ssh_config (IdentityFile, "
                "IdentityAgent, CertificateFile).",
            )
    listed = (keys,) if isinstance(keys, str) else tuple(keys)
    of_ssh_config = context.ssh_config.get("identityfile", ())
    return tuple(dict.fromkeys(key for key in listed if key not in of_ssh_config))


def _runtime_ssh_config(context: Any) -> str | None:  # noqa: ANN401
    """The file of `fab -S`, or of `ssh_config_path`; None where Fabric reads the usual."""
    path = getattr(context.config, "_runtime_ssh_path", None)
    return str(path) if path else None


def _gateway(context: Any) -> Iterator[str]:  # noqa: ANN401
    """The gateway, if it is not one that ssh_config names: that we read ourselves."""
    gateway = context.gateway
    if gateway is None or _is_of_ssh_config(context):
        return
    if gateway is False:
        yield "ProxyJump=none"
        yield "ProxyCommand=none"
    elif isinstance(gateway, str):
        yield f"ProxyCommand={gateway}"
    else:
        yield f"ProxyJump={','.join(_hops(gateway))}"


def _is_of_ssh_config(context: Any) -> bool:  # noqa: ANN401
    gateway, ssh_config = context.gateway, context.ssh_config
    if isinstance(gateway, str):
        return bool(gateway == ssh_config.get("proxycommand"))
    if not gateway or "proxyjump" not in ssh_config:
        return False
    named = [hop.rpartition("@")[2] for hop in ssh_config["proxyjump"].split(",")]
    hosts = [hop.rpartition("@")[2].rpartition(":") for hop in _hops(gateway)]
    return [name.partition(":")[0] for name in named] == [host for host, _, _ in hosts]


def _hops(gateway: Any) -> list[str]:  # noqa: ANN401
    """The hops to a gateway and itself, as ProxyJump lists them."""
    before = gateway.gateway
    if isinstance(before, str):
        raise ConfigError(
            f"the Fabric gateway {gateway.host} has a ProxyCommand as its own gateway, "
            "which is not taken over",
            f"Write it in your ssh_config: Host {gateway.original_host}, ProxyCommand.",
        )
    if _key_files(gateway):
        raise ConfigError(
            f"the Fabric gateway {gateway.host} has a key_filename, which is not taken "
            "over: a jump host's keys are those of ssh_config",
            f"Write it in your ssh_config: Host {gateway.original_host}, IdentityFile.",
        )
    host = gateway.original_host
    place = f"[{host}]" if ":" in host else host
    hop = f"{gateway.user}@{place}:{gateway.port}"
    return [*(_hops(before) if before else ()), hop]


def _others(context: Any) -> Iterator[str]:  # noqa: ANN401
    if context.connect_timeout and "connecttimeout" not in context.ssh_config:
        yield f"ConnectTimeout={int(context.connect_timeout)}"
    if context.forward_agent and "forwardagent" not in context.ssh_config:
        yield "ForwardAgent=yes"
