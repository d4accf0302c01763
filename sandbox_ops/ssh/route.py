"""How one machine is reached: by TCP, a ProxyCommand or jump hosts, as ssh_config says.

A route makes sockets and transports, and explains why one of them failed. Logging in
and keeping a connection open are `connection`'s.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import paramiko

from sandbox_ops.errors import ConnectError, HostKeyError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import algorithms, deciding_files, dial, failures, jump_hosts
from sandbox_ops.ssh.algorithms import Algorithms
from sandbox_ops.ssh.budget import Budget
from sandbox_ops.ssh.early_start import EarlyStart
from sandbox_ops.ssh.host_keys import HostKeys
from sandbox_ops.ssh.jump_hosts import Hop
from sandbox_ops.ssh.proxy import Proxy
from sandbox_ops.ssh.resolved_host import ResolvedHost
from sandbox_ops.ssh.transport import AVAILABLE, Transport
from sandbox_ops.text.address import Address


@dataclass(slots=True)
class Route:
    """The way to one machine, and what the attempt under way has made.

    Attributes:
        config: Which machine.
        resolved: What ssh_config says of it.
        host_keys: What known_hosts says of it.
        connect_hop: Makes the connection to a jump host, from the one before it.
        early: A socket that may be on its way already.
        proxy: The ProxyCommand that runs, if one does.
        transport: The newest that was made.
    """

    config: SandboxConfig
    resolved: ResolvedHost
    host_keys: HostKeys
    connect_hop: "Callable[[SandboxConfig, Hop | None], Hop]"
    early: EarlyStart | None = None
    proxy: Proxy | None = None
    transport: Transport | None = None
    _via: Hop | None = field(default=None)
    _borrowed: Hashable = field(default=None)

    @property
    def via(self) -> Hop | None:
        """The last jump host, as a connection of our own; None where there is no ProxyJump.

        `dial` uses one that is shared with other machines; see `jump_hosts`.
        """
        if self._via is None:
            for hop in self.resolved.hops:
                self._via = self.connect_hop(_hop_config(self.config, hop), self._via)
        return self._via

    def start_from(self, via: Hop | None) -> None:
        """Say that this machine is reached from another, already chosen one."""
        self._via = via

    def dial(self, budget: Budget) -> Any:  # noqa: ANN401
        """Return a socket, or what paramiko takes for one, that leads to sshd.

        Raises:
            ConnectError: Says which step failed: the name, the port, a jump host.
        """
        where = self.resolved
        if self.early is not None and (sock := self.early.take(budget)) is not None:
            return sock
        if self.via is not None:
            hop = self._open_hop(self.via, budget)
            return _open_stream(hop, where.hostname, where.port, budget)
        if where.proxy_command:
            self.proxy = Proxy(where.proxy_command)
            return self.proxy.sock
        return dial.tcp(
            where.hostname,
            where.port,
            budget,
            family=where.address_family,
            bind=where.bind_address,
        )

    def key(self) -> Hashable:
        """Return all that decides how this machine is reached and checked now."""
        config = self.config
        return (
            (config.host, config.port, config.user),
            (config.known_hosts, config.ssh_config),
            self.resolved,
            deciding_files.states(config, self.resolved),
            os.environ.get("SSH_AUTH_SOCK"),
            self.via.route.key() if self.via is not None else None,
        )

    def _open_hop(self, own: Hop, budget: Budget) -> Hop:
        """Return a jump host that is open: shared with those who reach it as we do."""
        config, before = own.route.config, own.route.via
        key = own.route.key()
        hop = jump_hosts.OF_THIS_PROCESS.borrow(
            key, self, lambda: self.connect_hop(config, before)
        )
        if self._borrowed not in {None, key}:
            jump_hosts.OF_THIS_PROCESS.give_back(self._borrowed, self)
        self._borrowed = key
        try:
            hop.open(budget.left_s)
        except HostKeyError:
            if hop.route.config.name == config.name:
                raise
            own.open(budget.left_s)  # refuses it in this machine's own words
            return own
        return hop

    @contextlib.contextmanager
    def dialled(self, budget: Budget) -> Iterator[Any]:
        """Give a socket of its own, beside the connection there may be."""
        before, self.proxy = self.proxy, None
        try:
            yield self.dial(budget)
        finally:
            self.close_proxy()
            self.proxy = before

    def allowed(self) -> Algorithms:
        """Return the algorithms that may be used, host keys in the order to ask.

        Raises:
            ConfigError: ssh_config allows none of a kind.
        """
        algorithms_allowed = algorithms.allowed(self.resolved, AVAILABLE)
        ordered = self.host_keys.order(algorithms_allowed.host_keys)
        return dataclasses.replace(algorithms_allowed, host_keys=ordered)

    def new_transport(
        self,
        sock: Any,  # noqa: ANN401
        allowed: Algorithms,
        **options: Any,  # noqa: ANN401
    ) -> Transport:
        """Return a transport over a socket, and keep it for `explain`."""
        self.transport = transport = Transport(sock, allowed, **options)
        return transport

    def explain(self, error: Exception, sock: Any, budget: Budget) -> Exception:  # noqa: ANN401
        """Return the error to raise for what an attempt to connect raised."""
        where, transport = self.resolved, self.transport
        shared_nothing = isinstance(error, paramiko.ssh_exception.IncompatiblePeer)
        attempt = failures.Attempt(
            where=f"{where.user}@{where.hostname}:{where.port}",
            host=self.config.host,
            proxy_complaint=self.proxy.complaint() if self.proxy is not None else "",
            early=budget.spent_s < budget.whole_s / 2,
            unacknowledged=getattr(sock, "unacknowledged", None),
            jump_host=self._via.route.config.host if self._via is not None else "",
            first_line=transport.first_line if transport is not None else "",
            mismatches=algorithms.mismatches(transport.allowed, transport.offered)
            if transport is not None and shared_nothing
            else (),
        )
        return failures.explain(error, attempt)

    def close_proxy(self) -> None:
        """End the ProxyCommand, if one runs."""
        if self.proxy is not None:
            self.proxy.close()
            self.proxy = None

    def close(self) -> None:
        """End it all, jump hosts too."""
        self.close_proxy()
        if self.early is not None:
            self.early.close()
        if self._borrowed is not None:
            jump_hosts.OF_THIS_PROCESS.give_back(self._borrowed, self)
            self._borrowed = None
        if self._via is not None:
            self._via.close()


def _open_stream(via: Hop, host: str, port: int, budget: Budget) -> Any:  # noqa: ANN401
    """Return a channel from an open jump host to a port (RFC 4254, 7.2)."""
    try:
        return via.transport.open_channel(
            "direct-tcpip",
            (host, port),
            ("127.0.0.1", 0),
            timeout=max(budget.left_s, 0.1),
        )
    except paramiko.SSHException as error:
        raise ConnectError(
            f"the jump host {via.route.config.host} cannot reach {host}:{port}: {error}",
            f"Try it there: ssh -W {host}:{port} {via.route.config.host}",
        ) from error


def _hop_config(config: SandboxConfig, hop: Address) -> SandboxConfig:
    """Return how a jump host is reached: by the same files, at its own address."""
    return SandboxConfig(
        name=config.name,
        host=hop.host,
        port=hop.port,
        user=hop.user,
        known_hosts=config.known_hosts,
        ssh_config=config.ssh_config,
    )
