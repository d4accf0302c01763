"""Sockets that lead to the machine itself, over TCP.

Ours rather than paramiko's, because of what they need: no Nagle (40 ms at every other
request), and a kernel that notices a dead peer.
"""

import array
import contextlib
import fcntl
import socket
import sys
import termios
import threading
from typing import Any

from sandbox_ops.errors import ConnectError, NextStep
from sandbox_ops.ssh.budget import Budget

NETWORK_HINT = "Is the machine running, and may this network reach it (VPN, firewall)?"
DNS_TIMEOUT_S = 5.0
PEER_TIMEOUT_S = 10
_LEAST_S = 0.01
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


class TcpSocket(socket.socket):
    """Acknowledges at once what comes, and keeps whether what it sent was acknowledged.

    Until its first session begins sshd leaves Nagle's algorithm on: what it sends waits
    for our acknowledgement, which the kernel may hold back for 40 ms.
    """

    _unacknowledged: bool | None = None

    @property
    def unacknowledged(self) -> bool | None:
        """Whether bytes wait that the other kernel has not taken; None: not known.

        That tells a network that lost the machine from a machine that is frozen, whose
        kernel goes on taking them. Kept when the socket is shut or closed.
        """
        if self._unacknowledged is None and self.fileno() >= 0:
            self._unacknowledged = _waiting_bytes(self)
        return self._unacknowledged

    def shutdown(self, how: int) -> None:
        """End a direction of the link."""
        _ = self.unacknowledged
        super().shutdown(how)

    def close(self) -> None:
        """End the link."""
        _ = self.unacknowledged
        super().close()

    def recv(self, *arguments: int) -> bytes:
        """Return what has come, acknowledged."""
        data = super().recv(*arguments)
        if hasattr(socket, "TCP_QUICKACK"):  # Linux; it lasts until the next packet
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def _waiting_bytes(sock: socket.socket) -> bool | None:
    if not sys.platform.startswith("linux"):  # the request means other things elsewhere
        return None
    count = array.array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)  # SIOCOUTQ of tcp(7)
    except OSError:
        return None
    return count[0] > 0


def tcp(
    host: str, port: int, budget: Budget, *, family: str = "any", bind: str = ""
) -> TcpSocket:
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
    addresses = _resolve(host, port, budget, family)
    for tried, (kind_of, kind, protocol, _, address) in enumerate(addresses):
        sock = TcpSocket(kind_of, kind, protocol)
        # an address that is a black hole must leave time for the next
        sock.settimeout(max(_LEAST_S, budget.left_s / (len(addresses) - tried)))
        try:
            if bind:
                sock.bind((bind, 0))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = failure if isinstance(failure, ConnectionRefusedError) else error
            continue
        _set_keepalive(sock)
        return sock
    raise _unreachable(host, port, failure, budget.whole_s)


def _resolve(
    host: str, port: int, budget: Budget, family: str
) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    """Look the name up; getaddrinfo(3) knows no timeout, so it waits in a thread."""
    answer: list[object] = []

    def ask() -> None:
        try:
            answer.append(
                socket.getaddrinfo(
                    host, port, _FAMILIES.get(family, 0), socket.SOCK_STREAM
                )
            )
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
        raise _unknown_name(host, family, answer[0])
    return answer[0]  # type: ignore[return-value]


_NO_SUCH_NAME = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}


def _unknown_name(host: str, family: str, error: OSError) -> ConnectError:
    """Tell a name that is wrong from one of another family, and from no DNS at all."""
    if error.errno not in _NO_SUCH_NAME:
        return ConnectError(
            f"cannot look up {host}: DNS cannot be asked ({error.strerror})",
            "Is the network up, and the VPN if the name is one of its own?",
        )
    if family in _FAMILIES:
        kind = {"inet": "IPv4", "inet6": "IPv6"}[family]
        return ConnectError(
            f"{host} has no {kind} address, and AddressFamily of ssh_config is {family}",
            f"Take AddressFamily {family} out of ssh_config for it, or name its {kind} "
            "address as HostName.",
        )
    return ConnectError(
        f"cannot look up {host}: DNS knows no such name",
        "Correct it where it is named: SSH_HOST, `host` of the sandbox in config.toml or "
        "sandbox.toml, or HostName in ssh_config.",
        NextStep("doctor", purpose="`configuration` says which it was"),
    )


def _set_keepalive(sock: socket.socket) -> None:
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
    """End a link from another thread: what waits for it wakes up."""
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
            NETWORK_HINT,
        )
    cause = failure.strerror if failure and failure.strerror else str(failure)
    return ConnectError(
        f"cannot connect to {where}: {cause}",
        NETWORK_HINT,
    )
