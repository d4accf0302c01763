"""One SSH connection to one machine: a `fabric.Connection`, opened as OpenSSH opens one.

Opened on first use, shared by threads. Host keys are checked before a single command
byte; every wait is bounded; a probe that wants an answer finds the dead and the frozen.
(A few lines over 250: half of it says what each method promises.)
"""

import contextlib
import copy
import functools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import paramiko
from fabric import Config

from sandbox_ops.errors import AuthenticationError, ConnectError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import (
    askpass,
    dial,
    failures,
    host_keys,
    probe,
    session_setup,
)
from sandbox_ops.ssh.budget import CONNECT_S, Budget
from sandbox_ops.ssh.early_start import EarlyStart
from sandbox_ops.ssh.fabric_verbs import UserVerbs
from sandbox_ops.ssh.jump_hosts import Hop
from sandbox_ops.ssh.login import Keyring, LockedKeyError, Strategy
from sandbox_ops.ssh.resolve import resolve
from sandbox_ops.ssh.route import Route
from sandbox_ops.ssh.runner import Runner
from sandbox_ops.ssh.worker_links import WorkerLinks

_ATTEMPTS = 6
"""MaxStartups of sshd_config(5) drops connections at random when many come at once."""


@dataclass(slots=True)
class _Link:
    """What a connection knows besides Fabric's own attributes."""

    route: Route
    keyring: Keyring
    session_timeout_s: float
    lock: threading.RLock = field(default_factory=threading.RLock)
    files: threading.RLock = field(default_factory=threading.RLock)
    failed: tuple[float, Exception] | None = None
    heard_at: float | None = None

    def hear(self) -> None:
        """Take note of a sign of life."""
        self.heard_at = time.monotonic()


class SandboxConnection(UserVerbs, WorkerLinks):
    """A `fabric.Connection` for users' tasks, and the door for our workers.

    Args:
        config: Which machine; see `SandboxConfig`.
        via: The connection to jump from, where there is a ProxyJump.
        is_hop: Whether this one is a jump host on the way to `config`'s machine.
        session_timeout_s: How long a user's task waits for a session where the server
            allows no more now (MaxSessions).
        early: Its first steps, where they were taken already.

    Raises:
        ConfigError: ssh_config cannot be read.
    """

    def __init__(
        self,
        config: SandboxConfig,
        via: Hop | None = None,
        *,
        is_hop: bool = False,
        session_timeout_s: float = 30.0,
        early: EarlyStart | None = None,
    ) -> None:
        resolved = early.resolved() if early is not None else resolve(config)
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
            forward_agent=resolved.forward_agent is not None,
            connect_kwargs={},
        )
        self.config.runners.remote = Runner
        # Fabric's class takes a plain attribute for a configuration value, but for this
        keys = host_keys.HostKeys(config, resolved, is_hop)
        route = Route(config, resolved, keys, _connect_hop, early)
        if via is not None:
            route.start_from(via)
        self._set(_link=_Link(route, Keyring(resolved), session_timeout_s))
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
            patience_s = self.route.resolved.connect_timeout_s or CONNECT_S
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
        allowed = self.route.allowed()  # refused before a byte is sent
        sock = self.route.dial(budget)
        self.connect_kwargs.update(
            sock=sock,
            timeout=budget.left_s,
            banner_timeout=budget.left_s,
            auth_timeout=budget.left_s,
            channel_timeout=CONNECT_S,
            transport_factory=functools.partial(
                self.route.new_transport, allowed=allowed
            ),
            auth_strategy=Strategy(self._link.keyring, self.user, where, budget),
        )
        # each step has a bound; this is for their sum
        hang_up = threading.Timer(budget.left_s, dial.hang_up, (sock,))
        hang_up.daemon = True
        hang_up.start()
        try:
            super().open()
        except Exception as error:
            explained = self.route.explain(error, sock, budget)
            self._clean_up()
            raise explained from error
        finally:
            hang_up.cancel()
            self.connect_kwargs.clear()

    @property
    def route(self) -> Route:
        """How the machine is reached."""
        link: _Link = self._link
        return link.route

    @property
    def host_keys(self) -> host_keys.HostKeys:
        """What known_hosts says of this machine."""
        return self.route.host_keys

    @property
    def asked_a_person(self) -> bool:
        """Whether the login took a passphrase, or a touch of a security key."""
        link: _Link = self._link
        return link.keyring.asked_a_person

    def answers(self, within_s: float) -> bool:
        """Whether the machine answers on the open connection within some seconds."""
        with self._link.lock:
            transport = self.transport if self.is_connected else None
        return transport is not None and probe.answers(transport, within_s)

    def prepare_session(self, session: Any) -> None:  # noqa: ANN401
        """Give a session the variables and the agent that ssh_config says it gets."""
        session_setup.prepare(session, self.route.resolved)

    def _clean_up(self) -> None:
        with contextlib.suppress(Exception):
            self.client.close()
        self.route.close_proxy()
        self.route.transport = None
        self._set(transport=None, _sftp=None)

    def close(self) -> None:
        """Close the connection; jobs on the machine go on."""
        with self._link.lock:
            self._clean_up()
            self.route.close()


def _connect_hop(config: SandboxConfig, via: Hop | None) -> SandboxConnection:
    return SandboxConnection(config, via, is_hop=True)
