"""The host keys that a machine shows, looked at without logging in, and those it proves.

One connection shows one key. A look at another type is another connection, which may
lead to somebody else: what one look confirmed says nothing of the next. Further keys
are believed only where the connection whose key was confirmed proves them itself.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko

from sandbox_ops.errors import ConnectError
from sandbox_ops.ssh import host_keys
from sandbox_ops.ssh.algorithms import Algorithms
from sandbox_ops.ssh.budget import CONNECT_S, Budget
from sandbox_ops.ssh.connection import SandboxConnection

_ANNOUNCE_S = 1.0
"""sshd names its keys right after the login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A key as a machine showed it."""

    key_type: str
    key_base64: str
    certificate: bytes = b""


def machines_on_the_way(connection: SandboxConnection) -> tuple[SandboxConnection, ...]:
    """Return the jump hosts to a machine, the first first, and the machine itself."""
    via = connection.route.via
    before = machines_on_the_way(via) if isinstance(via, SandboxConnection) else ()
    return (*before, connection)


def look(connection: SandboxConnection) -> HostKey:
    """Return the key that a machine shows to a client that would connect now.

    Nothing is sent to it besides the key exchange: no user name, no command.

    Raises:
        ConnectError: It cannot be reached, or shows none; or a jump host before it.
        ConfigError: ssh_config allows no algorithm that there is.
    """
    return _shown(connection, connection.route.allowed())


def look_at_each_type(connection: SandboxConnection) -> Iterator[HostKey]:
    """Yield a machine's keys, one a type and a connection, as far as it has them."""
    allowed = connection.route.allowed()
    plain = [name for name in allowed.host_keys if "-cert-" not in name]
    groups = dict.fromkeys("rsa" if "rsa" in name else name for name in plain)
    for group in groups:
        names = tuple(name for name in plain if name == group or group in name[:3])
        try:
            yield _shown(connection, dataclasses.replace(allowed, host_keys=names))
        except ConnectError:
            continue


def _shown(connection: SandboxConnection, allowed: Algorithms) -> HostKey:
    budget = Budget.of(CONNECT_S)
    route = connection.route
    with route.dialled(budget) as sock:
        transport = route.new_transport(sock, allowed)
        transport.banner_timeout = budget.left_s
        try:
            transport.start_client(timeout=budget.left_s)
            key = transport.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise route.explain(error, sock, budget) from error
        finally:
            transport.close()
    return HostKey(
        key_type=key.get_name(),
        key_base64=key.get_base64(),
        certificate=host_keys.certificate_of(key),
    )


def prove(connection: SandboxConnection) -> tuple[HostKey, ...]:
    """Return the keys that a machine proves to have, over a connection that is verified.

    Logs in, for servers name their keys only after a login.

    Raises:
        ConnectError: It cannot be reached, or accepts no key of ours.
    """
    connection.open()
    transport = connection.transport
    return tuple(
        HostKey(key_type=key.get_name(), key_base64=key.get_base64())
        for key in transport.proven_host_keys(_ANNOUNCE_S)
    )
