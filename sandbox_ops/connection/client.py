"""One SSH connection to one machine: a `fabric.Connection`, hardened.

Opened on first use, shared by threads. Host keys are checked before a single command
byte; every wait is bounded; a probe that wants an answer finds the dead and the frozen.
"""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection

from sandbox_ops import hostkeys
from sandbox_ops.address import Address
from sandbox_ops.connection import askpass, dial, failures, keys, pipe, probe
from sandbox_ops.connection.resolve import resolve
from sandbox_ops.connection.runner import Runner, Transport
from sandbox_ops.errors import ConnectError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh_config import ResolvedHost

CONNECT_TIMEOUT_S = 8.0
_ATTEMPTS = 6
"""MaxStartups of sshd_config(5) drops connections at random when many come at once."""
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


@dataclass(slots=True)
class _Link:
    """What a connection knows besides Fabric's own attributes."""

    config: SandboxConfig
    resolved: ResolvedHost
    trusted: tuple[hostkeys.Entry, ...]
    via: "SandboxConnection | None" = None
    proxy: dial.Proxy | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)


class SandboxConnection(Connection):  # type: ignore[misc]
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
        self._set(_link=_Link(config, resolved, keys.on_record(resolved), via))
        self.client.set_missing_host_key_policy(keys.CheckedPolicy(self.check_host_key))

    def open(self) -> None:
        """Open the connection, if it is not; of many threads one does.

        Raises:
            ConnectError: Says what failed and what to do: name, route, refusal,
                authentication, host key.
        """
        with self._link.lock:
            if self.is_connected:
                return
            self._clean_up()
            for attempt in range(_ATTEMPTS):
                try:
                    self._open_once()
                    break
                except failures.DroppedError:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    # jitter by identity: many clients must not come back together
                    pause_s = 0.1 * 2**attempt * (0.5 + (id(self) >> 4) % 100 / 100)
                    threading.Event().wait(min(pause_s, 2))
            probe.begin(self.transport)

    def _open_once(self) -> None:
        try:
            self._log_in()
        except failures.LockedKeyError:
            secret = next(
                filter(None, map(askpass.passphrase, self._key_files())), None
            )
            if secret is None:
                raise
            self._log_in(passphrase=secret)

    def _log_in(self, **secrets: str) -> None:
        started = time.monotonic()
        sock = self._dial()
        self.connect_kwargs.update(
            sock=sock,
            timeout=CONNECT_TIMEOUT_S,
            banner_timeout=CONNECT_TIMEOUT_S,
            auth_timeout=CONNECT_TIMEOUT_S,
            channel_timeout=CONNECT_TIMEOUT_S,
            transport_factory=self._transport,
            key_filename=self._key_files(),
            allow_agent=not self._link.resolved.identities_only,
            look_for_keys=False,
            **secrets,
        )
        try:
            super().open()
        except Exception as error:
            explained = self._explained(error, time.monotonic() - started)
            self._clean_up()
            raise explained from error
        finally:
            self.connect_kwargs.clear()

    def _explained(self, error: Exception, after_s: float) -> Exception:
        agent = "" if self._link.resolved.identities_only else " and the agent's keys"
        proxy = self._link.proxy
        return failures.explain(
            error,
            where=f"{self.user}@{self.host}:{self.port}",
            host=self._link.config.host,
            tried=(", ".join(self._key_files()) or "no key file") + agent,
            proxy_said=proxy.complaint() if proxy is not None else "",
            early=after_s < CONNECT_TIMEOUT_S / 2,
        )

    def _key_files(self) -> list[str]:
        paths = (Path(file).expanduser() for file in self._link.resolved.identity_files)
        return [str(path) for path in paths if path.is_file()]

    def _dial(self) -> Any:  # noqa: ANN401
        """Return a socket, or what paramiko takes for one, that leads to sshd."""
        link = self._link
        if link.via is None and link.resolved.proxy_jump:
            link.via = self._last_hop()
        if link.via is not None:
            return link.via.open_stream(self.host, self.port)
        if link.resolved.proxy_command:
            link.proxy = dial.Proxy(link.resolved.proxy_command)
            return link.proxy.sock
        return dial.tcp(self.host, self.port, CONNECT_TIMEOUT_S)

    def _last_hop(self) -> "SandboxConnection | None":
        via: SandboxConnection | None = None
        for hop in self._link.resolved.hops:
            via = SandboxConnection(_hop_config(self._link.config, hop), via)
        return via

    def open_stream(self, host: str, port: int) -> Any:  # noqa: ANN401
        """Return a channel from this machine to a port (RFC 4254, 7.2)."""
        self.open()
        try:
            return self.transport.open_channel(
                "direct-tcpip",
                (host, port),
                ("127.0.0.1", 0),
                timeout=CONNECT_TIMEOUT_S,
            )
        except paramiko.SSHException as error:
            raise ConnectError(
                f"the jump host {self.host} cannot reach {host}:{port}: {error}",
                f"Try it there: ssh -W {host}:{port} {self.original_host}",
            ) from error

    def _transport(self, sock: Any, **kwargs: Any) -> Transport:  # noqa: ANN401
        transport = Transport(sock, **kwargs)
        alias = self._link.resolved.host_key_alias
        known = hostkeys.key_types_known(
            self._link.trusted, self.host, self.port, alias=alias
        )
        keys.prefer(transport, known)
        return transport

    def verdict(self, key_type: str, key_base64: str) -> hostkeys.Verdict:
        """Say what known_hosts holds against a key, or for it."""
        alias = self._link.resolved.host_key_alias
        return hostkeys.check(
            self._link.trusted, self.host, self.port, key_type, key_base64, alias=alias
        )

    def check_host_key(self, key_type: str, key_base64: str) -> None:
        """Refuse a key that known_hosts does not vouch for.

        Raises:
            HostKeyError: Unknown, changed or revoked.
        """
        verdict = self.verdict(key_type, key_base64)
        if not verdict.ok:
            raise hostkeys.refusal(
                verdict,
                machine=self._link.config.host,
                trust_command=f"sandbox-ops trust --sandbox {self._link.config.name}",
            )

    def shown_keys(self) -> tuple[tuple[str, str], ...]:
        """Return the host keys that the machine shows now: types and base64.

        Raises:
            ConnectError: It cannot be reached, or shows none.
        """
        found: dict[str, str] = {}
        for key_type in _KEY_TYPES:
            with self._link.lock:
                sock = self._dial()
                key = keys.shown(sock, key_type, CONNECT_TIMEOUT_S)
                self._clean_up()
            found.update([key] if key else [])
        if not found:
            raise ConnectError(
                f"{self.host}:{self.port} showed no host key: is it an SSH server?"
            )
        return tuple(found.items())

    def trust_file(self) -> Path:
        """Return the known_hosts file that a trusted key is added to."""
        return Path(self._link.resolved.user_known_hosts_files[0]).expanduser()

    @property
    def host_key_alias(self) -> str:
        """HostKeyAlias of ssh_config(5), or ""."""
        return str(self._link.resolved.host_key_alias)

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

    def shell(self, command: str) -> "pipe.Pipe":
        """Return a new session that runs the command, as bytes in and out.

        Raises:
            SessionLimitError: The server allows no further session now.
            LinkError: The connection died.
        """
        self.open()
        return pipe.open_pipe(self.transport, command)

    def kill_marked(self, marker: str) -> None:
        """End every process there whose environment carries the marker."""
        with contextlib.closing(self.shell(_KILL_MARKED.format(marker=marker))) as end:
            while end.receive(10):
                pass


_KILL_MARKED = """exec /bin/sh -c 'f() {{ grep -lzxFs SANDBOX_JOB={marker} \
/proc/[0-9]*/environ | while read -r p; do p=${{p#/proc/}}; echo "${{p%/environ}}"; done; }}
kill -s TERM $(f); i=0
while [ -n "$(f)" ] && [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done
kill -s KILL $(f)' 2>/dev/null"""


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
