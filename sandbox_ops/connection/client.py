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
from sandbox_ops.connection import dial, pipe
from sandbox_ops.connection.resolve import resolve
from sandbox_ops.connection.runner import Runner, Transport
from sandbox_ops.errors import ConnectError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh_config import ResolvedHost

CONNECT_TIMEOUT_S = 8.0
PROBE_EVERY_S = 5.0
PROBE_ANSWER_S = 5.0
_ATTEMPTS = 6
"""MaxStartups of sshd_config(5) drops connections at random when many come at once."""


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
        self._set(_link=_Link(config, resolved, _known_keys(resolved), via))
        self.client.set_missing_host_key_policy(_CheckedPolicy(self))

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
                except _DroppedError as dropped:
                    if attempt == _ATTEMPTS - 1:
                        raise ConnectError(str(dropped), dropped.hint) from None
                    # jitter by identity: many clients must not come back together
                    pause = 0.1 * 2**attempt * (0.5 + (id(self) >> 4) % 100 / 100)
                    threading.Event().wait(min(pause, 2))
                else:
                    break
            self.transport.set_keepalive(0)
            threading.Thread(
                target=_probe, args=(self.transport,), name="ssh-probe", daemon=True
            ).start()

    def _open_once(self) -> None:
        started = time.monotonic()
        sock = self._dial()
        self.connect_kwargs.update(
            sock=sock,
            timeout=CONNECT_TIMEOUT_S,
            banner_timeout=CONNECT_TIMEOUT_S,
            auth_timeout=CONNECT_TIMEOUT_S,
            channel_timeout=CONNECT_TIMEOUT_S,
            transport_factory=self._transport,
            key_filename=_existing(self._link.resolved.identity_files),
            allow_agent=not self._link.resolved.identities_only,
            look_for_keys=False,
        )
        try:
            super().open()
        except Exception as error:
            explained = self._explained(error, time.monotonic() - started)
            self._clean_up()
            raise explained from error
        finally:
            self.connect_kwargs.clear()

    def _dial(self) -> Any:  # noqa: ANN401
        """Return a socket, or what paramiko takes for one, that leads to sshd."""
        resolved = self._link.resolved
        if self._link.via is not None:
            return self._link.via.open_stream(resolved.hostname, resolved.port)
        if resolved.proxy_jump:
            return self._jump().open_stream(resolved.hostname, resolved.port)
        if resolved.proxy_command:
            proxy = dial.Proxy(resolved.proxy_command)
            self._link.proxy = proxy
            return proxy.sock
        return dial.tcp(resolved.hostname, resolved.port, CONNECT_TIMEOUT_S)

    def _jump(self) -> "SandboxConnection":
        """Return the connection to the last hop, made through those before it."""
        via: SandboxConnection | None = None
        for hop in self._link.resolved.hops:
            via = SandboxConnection(_hop_config(self._link.config, hop), via)
        self._link.via = via
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
        """Make the transport, asking first for the key types that are on record."""
        transport = Transport(sock, **kwargs)
        known = hostkeys.key_types_known(
            self._link.trusted,
            self.host,
            self.port,
            alias=self._link.resolved.host_key_alias,
        )
        rsa = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
        wanted = [t for k in known for t in (rsa if k == "ssh-rsa" else (k,))]
        options = transport.get_security_options()
        first = [t for t in wanted if t in options.key_types]
        options.key_types = first + [t for t in options.key_types if t not in first]
        return transport

    def check_host_key(self, key: paramiko.PKey) -> None:
        """Refuse a key that known_hosts does not vouch for.

        Raises:
            HostKeyError: Unknown, changed or revoked.
        """
        verdict = hostkeys.check(
            self._link.trusted,
            self.host,
            self.port,
            key.get_name(),
            key.get_base64(),
            alias=self._link.resolved.host_key_alias,
        )
        if verdict.trust is not hostkeys.Trust.TRUSTED:
            raise hostkeys.refusal(
                verdict,
                machine=self._link.config.host,
                trust_command=f"sandbox-ops trust --sandbox {self._link.config.name}",
            )

    def _explained(self, error: Exception, after_s: float) -> Exception:
        where = f"{self._link.resolved.user}@{self.host}:{self.port}"
        if isinstance(error, ConnectError):
            return error
        if isinstance(error, paramiko.AuthenticationException):
            tried = (
                ", ".join(_existing(self._link.resolved.identity_files))
                or "no key file"
            )
            agent = (
                "" if self._link.resolved.identities_only else " and the agent's keys"
            )
            return ConnectError(
                f"{where} does not let us in: tried {tried}{agent}",
                f"Is your public key in its ~/.ssh/authorized_keys? An encrypted key "
                f"must be in the agent (ssh-add). Try: ssh {self._link.config.host} true",
            )
        if self._link.proxy is not None:
            complaint = self._link.proxy.complaint()
            return ConnectError(
                f"cannot reach {where}: {complaint}",
                "Try it by hand: ssh " + self._link.config.host + " true",
            )
        if isinstance(error, EOFError | OSError | paramiko.SSHException):
            if after_s < CONNECT_TIMEOUT_S / 2:
                return _DroppedError(
                    f"{where} ended the connection before it was open: {error}",
                    "Is it an SSH server? It may be starting, or refusing new clients.",
                )
            return ConnectError(
                f"{where} accepted the connection, then did not answer: {error}",
                "The machine is frozen or overloaded: look at its console.",
            )
        return error

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


class _DroppedError(ConnectError):
    """The server hung up early: worth another try."""


class _CheckedPolicy(paramiko.MissingHostKeyPolicy):
    """Asks our reader of known_hosts; paramiko's own raises on lines it cannot read."""

    def __init__(self, connection: SandboxConnection) -> None:
        self._connection = connection

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        del client, hostname
        self._connection.check_host_key(key)


def _known_keys(resolved: ResolvedHost) -> tuple[hostkeys.Entry, ...]:
    entries: list[hostkeys.Entry] = []
    for name in (*resolved.user_known_hosts_files, *resolved.global_known_hosts_files):
        path = Path(name).expanduser()
        with contextlib.suppress(OSError):
            entries += hostkeys.read(path.read_text("utf-8", "replace"), str(path))
    return tuple(entries)


def _existing(files: tuple[str, ...]) -> list[str]:
    paths = (Path(name).expanduser() for name in files)
    return [str(path) for path in paths if path.is_file()]


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


def _probe(transport: Transport) -> None:
    """Close the transport when the machine owes an answer for too long.

    A host that is frozen still acknowledges at TCP's level: only an answer of sshd's
    own shows that somebody is there (RFC 4254, section 4).
    """
    idle = threading.Event()
    while transport.is_active():
        idle.wait(PROBE_EVERY_S)
        answered = threading.Event()
        threading.Thread(
            target=_ask, args=(transport, answered), name="ssh-probe-ask", daemon=True
        ).start()
        if not answered.wait(PROBE_ANSWER_S):
            transport.close()
            return


def _ask(transport: Transport, answered: threading.Event) -> None:
    with contextlib.suppress(Exception):
        transport.global_request("keepalive@openssh.com", wait=True)
    answered.set()
