"""Sockets: to the machine itself, or to a ProxyCommand that leads there.

Ours rather than paramiko's, because of what they need: no Nagle (40 ms at every other
request), and a kernel that notices a dead peer.
"""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from typing import Any

from sandbox_ops.errors import ConnectError
from sandbox_ops.ssh.budget import Budget

DNS_TIMEOUT_S = 5.0
PEER_TIMEOUT_S = 10
_LEAST_S = 0.01
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


class _Prompt(socket.socket):
    """Acknowledges at once what comes.

    Until its first session begins sshd leaves Nagle's algorithm on: what it sends waits
    for our acknowledgement, which the kernel may hold back for 40 ms.
    """

    def recv(self, *arguments: int) -> bytes:
        data = super().recv(*arguments)
        if hasattr(socket, "TCP_QUICKACK"):  # Linux; it lasts until the next packet
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def tcp(
    host: str, port: int, budget: Budget, *, family: str = "any", bind: str = ""
) -> socket.socket:
    """Return a connected socket that notices a dead peer within ten seconds.

    Args:
        host: A name or an address.
        port: Where sshd listens.
        budget: Shared by the name and every address of it.
        family: AddressFamily of ssh_config(5).
        bind: BindAddress of ssh_config(5), or "".

    Raises:
        ConnectError: The name is unknown, or no address of it answers; says which.
    """
    failure: OSError | None = None
    found = _resolve(host, port, budget, _FAMILIES.get(family, socket.AF_UNSPEC))
    for tried, (kind_of, kind, protocol, _, address) in enumerate(found):
        sock = _Prompt(kind_of, kind, protocol)
        # an address that is a black hole must leave time for the next
        sock.settimeout(max(_LEAST_S, budget.left_s / (len(found) - tried)))
        try:
            if bind:
                sock.bind((bind, 0))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = failure if isinstance(failure, ConnectionRefusedError) else error
            continue
        _be_alert(sock)
        return sock
    raise _unreachable(host, port, failure, budget.whole_s)


def _resolve(
    host: str, port: int, budget: Budget, family: int
) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    """Look the name up; getaddrinfo(3) knows no timeout, so it waits in a thread."""
    answer: list[object] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except OSError as error:
            answer.append(error)

    thread = threading.Thread(target=ask, name=f"dns-{host}", daemon=True)
    thread.start()
    patience_s = min(DNS_TIMEOUT_S, budget.left_s)
    thread.join(patience_s)
    if not answer:
        raise ConnectError(
            f"cannot look up {host}: DNS did not answer within {patience_s:.0f} s",
            "Is the network up? Try: ssh -v " + host,
        )
    if isinstance(answer[0], OSError):
        raise ConnectError(
            f"cannot look up {host}: DNS knows no such name",
            "Check `host` in sandbox.toml, or the HostName of the alias in ssh_config.",
        )
    return answer[0]  # type: ignore[return-value]


def _be_alert(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", PEER_TIMEOUT_S * 1000),  # Linux alone has it
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def hang_up(sock: Any) -> None:  # noqa: ANN401
    """End a link from another thread: whoever waits for it wakes up."""
    with contextlib.suppress(Exception):
        sock.shutdown(socket.SHUT_RDWR)


def _unreachable(
    host: str, port: int, failure: OSError | None, timeout_s: float
) -> ConnectError:
    where = f"{host}:{port}"
    if isinstance(failure, ConnectionRefusedError):
        return ConnectError(
            f"cannot connect to {where}: connection refused",
            "The machine is up, but no SSH server listens there: is the port right, "
            "has the machine just been started?",
        )
    if isinstance(failure, TimeoutError):
        return ConnectError(
            f"cannot connect to {where}: no answer within {timeout_s:.0f} s",
            "Is the machine running, and may this network reach it (VPN, firewall)?",
        )
    cause = failure.strerror if failure and failure.strerror else str(failure)
    return ConnectError(
        f"cannot connect to {where}: {cause}",
        "Is the machine running, and may this network reach it (VPN, firewall)?",
    )


class Proxy:
    """A ProxyCommand: a process whose standard input and output are the link.

    Args:
        command: A shell line, its tokens expanded (ssh_config(5), ProxyCommand).
    """

    def __init__(self, command: str) -> None:
        self._command = command
        ours, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`
        with theirs:
            self._process = subprocess.Popen(
                f"exec {command}",
                shell=True,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._stderr,
                start_new_session=True,  # Ctrl-C is for us: the link outlives it
            )
        self.sock = ours

    def complaint(self) -> str:
        """Return what the command said on stderr, and how it ended if it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._stderr.seek(0)
        said = self._stderr.read(2000).decode("utf-8", "replace").strip()
        code = self._process.poll()
        ended = "" if code is None else f" (it exited {code})"
        return f"ProxyCommand `{self._command}`{ended}: {said or 'said nothing'}"

    def close(self) -> None:
        """End the process and the link."""
        self.sock.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 15)
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()
