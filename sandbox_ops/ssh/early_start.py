"""The first steps of a connection, taken while paramiko is imported, which takes longer.

`ssh -G` is asked and TCP connects in a thread: sshd begins its part meanwhile. Nothing is
sent before the connection itself goes on from here.
"""

import contextlib
import sys
import threading
from concurrent.futures import Future

from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import dial
from sandbox_ops.ssh.budget import CONNECT_S, Budget
from sandbox_ops.ssh.dial import TcpSocket
from sandbox_ops.ssh.resolve import resolve
from sandbox_ops.ssh.resolved_host import ResolvedHost


def begin(config: SandboxConfig) -> "EarlyStart | None":
    """Take the first steps to a machine; None where paramiko is here, so that they gain nothing."""
    return None if "paramiko" in sys.modules else EarlyStart(config)


class EarlyStart:
    """Begins at once.

    Args:
        config: Which machine.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._resolved: Future[ResolvedHost] = Future()
        self._sock: Future[TcpSocket | None] = Future()
        self._lock = threading.Lock()
        self._taken = False
        thread = threading.Thread(target=self._work, name="ssh-early", daemon=True)
        thread.start()

    def _work(self) -> None:
        try:
            resolved = resolve(self._config)
        except BaseException as error:  # noqa: BLE001 - raised where it is asked for
            self._resolved.set_exception(error)
            self._sock.set_result(None)
            return
        self._resolved.set_result(resolved)
        try:
            self._sock.set_result(_dialled(resolved))
        except BaseException as error:  # noqa: BLE001 - the same
            self._sock.set_exception(error)

    def resolved(self) -> ResolvedHost:
        """Return how the machine is reached.

        Raises:
            ConfigError: As `resolve` has it.
        """
        return self._resolved.result()

    def take(self, budget: Budget) -> TcpSocket | None:
        """Return the socket that leads to the machine; None: there is none, or no more.

        Raises:
            ConnectError: As `dial.tcp` has it.
        """
        with self._lock:
            if self._taken:
                return None
            self._taken = True
        try:
            return self._sock.result(budget.left_s)
        except TimeoutError:
            self._sock.add_done_callback(_close)
            return None

    def close(self) -> None:
        """Close the socket, if nobody took it."""
        with self._lock:
            taken, self._taken = self._taken, True
        if not taken:
            self._sock.add_done_callback(_close)


def _dialled(resolved: ResolvedHost) -> TcpSocket | None:
    if resolved.proxy_command or resolved.proxy_jump:
        return None
    return dial.tcp(
        resolved.hostname,
        resolved.port,
        Budget.of(resolved.connect_timeout_s or CONNECT_S),
        family=resolved.address_family,
        bind=resolved.bind_address,
    )


def _close(sock: "Future[TcpSocket | None]") -> None:
    with contextlib.suppress(Exception):
        if opened := sock.result():
            opened.close()
