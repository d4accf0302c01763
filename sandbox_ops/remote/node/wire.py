"""What the nodes of a run say to each other: JSON objects over TCP, a line each."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

HEARTBEATS = 6  # in the time after which a node without any is lost
CONNECT_TIMEOUT_S = 3  # of one try
POLL_S = 0.5  # between two looks at what may have happened
_LONGEST_LINE = 1 << 20
_PORTS = range(
    20000, 30000
)  # below those that the kernel gives to outgoing connections
_TRIES = 50


class Stream:
    """One connection, with what was read of it and not yet taken."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file, self._lock = connection.makefile("rb"), threading.Lock()

    def send(self, **message: Any) -> None:  # noqa: ANN401 - as JSON has it
        """Send a message, if it still can be."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):
            self.socket.sendall(data)

    def messages(self, silence_s: float) -> Iterator[dict[str, Any]]:
        """Yield what comes, until the connection ends or says nothing for so long."""
        with contextlib.suppress(OSError, ValueError):
            self.socket.settimeout(silence_s)
            while True:
                line = self._file.readline(_LONGEST_LINE)
                if not line.endswith(b"\n"):
                    return
                message = json.loads(line)
                if isinstance(message, dict):
                    yield message

    def close(self) -> None:
        """End it; whoever reads from it notices."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def listen(port: int) -> socket.socket:
    """Return a socket that listens at a port; 0: at one that is free.

    Raises:
        OSError: The port is taken.
    """
    ports = [port] if port else random.sample(_PORTS, _TRIES)
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    for each in ports[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_server(("", each), family=family, dualstack_ipv6=dual)
    return socket.create_server(("", ports[-1]), family=family, dualstack_ipv6=dual)


def plain(address: str) -> str:
    """Return an address without the form that IPv6 gives to those of IPv4."""
    mapped = "::ffff:"  # str.removeprefix came with 3.9
    return address[len(mapped) :] if address.startswith(mapped) else address  # noqa: FURB188


def reason(error: OSError) -> str:
    """Return why a connection could not be opened."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "timed out"
    return error.strerror or str(error)
