"""One SSH connection to one machine: a `fabric.Connection`, hardened.

Opened on first use, shared by threads. Host keys are checked before a single command
byte; every wait is bounded; a probe that wants an answer finds the dead and the frozen.
"""

import contextlib
import copy
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import paramiko
from fabric import Config

from sandbox_ops.errors import AuthenticationError, ConnectError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import askpass, channel, dial, failures, host_keys, probe
from sandbox_ops.ssh.budget import Budget
from sandbox_ops.ssh.fabric_verbs import UserVerbs
from sandbox_ops.ssh.login import Keyring, LockedKeyError, Strategy
from sandbox_ops.ssh.openssh_config import ResolvedHost
from sandbox_ops.ssh.resolve import resolve
from sandbox_ops.ssh.runner import Runner, Transport
from sandbox_ops.text.address import Address

CONNECT_S = 9.0
"""What an attempt may take, all its steps together; ConnectTimeout says otherwise."""
_ATTEMPTS = 6
"""MaxStartups of sshd_config(5) drops connections at random when many come at once."""
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


@dataclass(slots=True)
class _Link:
    """What a connection knows besides Fabric's own attributes."""

    config: SandboxConfig
    resolved: ResolvedHost
    host_keys: host_keys.HostKeys
    keyring: Keyring
    via: "SandboxConnection | None" = None
    proxy: dial.Proxy | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    files: threading.RLock = field(default_factory=threading.RLock)
    failed: tuple[float, Exception] | None = None
    heard_at: float | None = None

    def hear(self) -> None:
        """Take note of a sign of life."""
        self.heard_at = time.monotonic()


class SandboxConnection(UserVerbs):
    """A `fabric.Connection` for users' tasks, and the door for our workers.

    Args:
        config: Which machine; see `SandboxConfig`.
        via: The connection to jump from, where there is a ProxyJump.

    Raises:
        ConfigError: ssh_config cannot be read.
    """

    def __init__(
        self, config: SandboxConfig, via: "SandboxConnection | None" = None
    ) -> None:
        resolved = resolve(config)
        own = Config(
            ssh_config=paramiko.SSHConfig(),
            lazy=True,
            overrides={"run": {"in_stream": False}},  # stdin is empty, never ours
        )
        super().__init__(
            host=resolved.hostname,
            user=resolved.user,
            port=resolved.port,
            config=own,
            gateway=False,
            forward_agent=resolved.forward_agent,
            connect_kwargs={},
        )
        self.config.runners.remote = Runner
        # Fabric's class takes a plain attribute for a configuration value, but for this
        keys = host_keys.HostKeys.of(config, resolved)
        self._set(_link=_Link(config, resolved, keys, Keyring(resolved), via))
        self.client.set_missing_host_key_policy(host_keys.CheckedPolicy(keys.check))

    def open(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """Open the connection, if it is not; of many threads one does.

        Those who waited for it meanwhile share what came of it, also a failure.

        Args:
            within_s: Give up after so long. None: each attempt has its own bound, and
                a server that drops new clients gets several.
            asked_at: When it was asked for, by the monotonic clock: an attempt of
                another thread that failed later than that is not made again.

        Raises:
            ConnectError: Says what failed and what to do: name, route, refusal,
                authentication, host key.
        """
        began = time.monotonic()
        if not self._link.lock.acquire(timeout=-1 if within_s is None else within_s):
            raise ConnectError(
                f"cannot connect to {self.host}:{self.port}: no answer within "
                f"{within_s:.0f} s"
            )
        try:
            if self.is_connected:
                return
            if within_s is not None:
                within_s -= time.monotonic() - began
            self._open_for_all(began if asked_at is None else asked_at, within_s)
        finally:
            self._link.lock.release()

    def _open_for_all(self, asked_at: float, within_s: float | None) -> None:
        failed = self._link.failed
        if failed is not None and failed[0] > asked_at:
            raise copy.copy(failed[1])
        try:
            self._open_patiently(within_s)
        except Exception as error:
            self._link.failed = (time.monotonic(), error)
            raise

    def _open_patiently(self, within_s: float | None) -> None:
        """Try until the server lets one more client in, or the time is over."""
        self._clean_up()
        for attempt in range(_ATTEMPTS):
            patience_s = self._link.resolved.connect_timeout_s or CONNECT_S
            budget = Budget.of(patience_s if within_s is None else within_s)
            try:
                self._open_once(budget)
                break
            except failures.DroppedError:
                # jitter by identity: many clients must not come back together
                pause_s = 0.1 * 2**attempt * (0.5 + (id(self) >> 4) % 100 / 100)
                pause_s = min(pause_s, 2)
                if within_s is not None:
                    within_s = budget.left_s - pause_s
                if attempt == _ATTEMPTS - 1 or (within_s is not None and within_s <= 0):
                    raise
                threading.Event().wait(pause_s)
        self._link.hear()
        probe.begin(self.transport, self._link.hear)

    def _open_once(self, budget: Budget) -> None:
        try:
            self._log_in(budget)
        except LockedKeyError as error:
            began = time.monotonic()
            wrong = self._link.keyring.unlock(error.files, askpass.passphrase)
            if wrong or not self._link.keyring.opened:
                raise AuthenticationError(
                    error.message, *((wrong,) if wrong else error.hints)
                ) from error
            waited = time.monotonic() - began  # for a human: that is not the machine's
            self._log_in(Budget.of(budget.left_s + min(waited, CONNECT_S)))

    def _log_in(self, budget: Budget) -> None:
        where = f"{self.user}@{self.host}:{self.port}"
        sock = self._dial(budget)
        self.connect_kwargs.update(
            sock=sock,
            timeout=budget.left_s,
            banner_timeout=budget.left_s,
            auth_timeout=budget.left_s,
            channel_timeout=CONNECT_S,
            transport_factory=self._transport,
            auth_strategy=Strategy(self._link.keyring, self.user, where),
        )
        # each step has a bound; this is for their sum
        hang_up = threading.Timer(budget.left_s, dial.hang_up, (sock,))
        hang_up.daemon = True
        hang_up.start()
        try:
            super().open()
        except Exception as error:
            explained = self._explained(error, where, budget)
            self._clean_up()
            raise explained from error
        finally:
            hang_up.cancel()
            self.connect_kwargs.clear()

    def _explained(self, error: Exception, where: str, budget: Budget) -> Exception:
        proxy = self._link.proxy
        return failures.explain(
            error,
            where=where,
            host=self._link.config.host,
            proxy_said=proxy.complaint() if proxy is not None else "",
            early=budget.spent_s < budget.whole_s / 2,
        )

    def _dial(self, budget: Budget) -> Any:  # noqa: ANN401
        """Return a socket, or what paramiko takes for one, that leads to sshd."""
        link = self._link
        if link.via is None and link.resolved.proxy_jump:
            link.via = self._last_hop()
        if link.via is not None:
            return link.via.open_stream(self.host, self.port, budget.left_s)
        if link.resolved.proxy_command:
            link.proxy = dial.Proxy(link.resolved.proxy_command)
            return link.proxy.sock
        return dial.tcp(
            self.host,
            self.port,
            budget,
            family=link.resolved.address_family,
            bind=link.resolved.bind_address,
        )

    def _last_hop(self) -> "SandboxConnection | None":
        via: SandboxConnection | None = None
        for hop in self._link.resolved.hops:
            via = SandboxConnection(_hop_config(self._link.config, hop), via)
        return via

    def open_stream(self, host: str, port: int, within_s: float) -> Any:  # noqa: ANN401
        """Return a channel from this machine to a port (RFC 4254, 7.2)."""
        budget = Budget.of(within_s)
        self.open(within_s)
        try:
            return self.transport.open_channel(
                "direct-tcpip",
                (host, port),
                ("127.0.0.1", 0),
                timeout=max(budget.left_s, 0.1),
            )
        except paramiko.SSHException as error:
            raise ConnectError(
                f"the jump host {self.host} cannot reach {host}:{port}: {error}",
                f"Try it there: ssh -W {host}:{port} {self.original_host}",
            ) from error

    def _transport(self, sock: Any, **kwargs: Any) -> Transport:  # noqa: ANN401
        transport = Transport(sock, **kwargs)
        self.host_keys.prefer_known(transport)
        return transport

    @property
    def host_keys(self) -> host_keys.HostKeys:
        """What known_hosts says of this machine."""
        link: _Link = self._link
        return link.host_keys

    def shown_keys(self) -> tuple[tuple[str, str], ...]:
        """Return the host keys that the machine shows now: types and base64.

        Raises:
            ConnectError: It cannot be reached, or shows none.
        """
        found: dict[str, str] = {}
        for key_type in _KEY_TYPES:
            with self._link.lock:
                budget = Budget.of(CONNECT_S)
                sock = self._dial(budget)
                key = host_keys.shown(sock, key_type, budget.left_s)
                self._clean_up()
            found.update([key] if key else [])
        if not found:
            raise ConnectError(
                f"{self.host}:{self.port} showed no host key: is it an SSH server?"
            )
        return tuple(found.items())

    def _clean_up(self) -> None:
        with contextlib.suppress(Exception):
            self.client.close()
        if self._link.proxy is not None:
            self._link.proxy.close()
            self._link.proxy = None
        self._set(transport=None, _sftp=None)

    def close(self) -> None:
        """Close the connection; jobs on the machine go on."""
        with self._link.lock:
            self._clean_up()
            if self._link.via is not None:
                self._link.via.close()

    # -- as `sandbox_ops.links.Links`: what our workers know of it --------------------

    @property
    def description(self) -> str:
        """The machine, as messages name it."""
        return str(self.host)

    @property
    def heard_at(self) -> float | None:
        """When the machine last answered; see `probe`."""
        link: _Link = self._link
        return link.heard_at

    def connect(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """Open the connection, if it is not; see `open`."""
        self.open(within_s, asked_at=asked_at)

    def open_link(self, command: str) -> channel.ChannelLink:
        """Return a new session that runs the command, as bytes in and out.

        Raises:
            SessionLimitError: The server allows no further session now.
            LinkError: The connection died.
        """
        self.open()
        return channel.open_link(self.transport, command)


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
