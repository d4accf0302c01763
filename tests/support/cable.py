"""A cable to a server, which can be cut as networks cut connections."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST


@dataclass
class Cable:
    """Passes bytes on, both ways, until told to cut.

    Attributes:
        port: Where it begins, on loopback.
        links: How many connections it carried so far.
    """

    listener: socket.socket
    target: tuple[str, int]
    links: int = 0
    _ends: list[socket.socket] = field(default_factory=list)
    _cut: set[socket.socket] = field(default_factory=set)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def cut(self, *, reset: bool) -> None:
        """End every connection, for both sides at once: by RST, or by FIN."""
        ends, self._ends = self._ends, []
        self._cut.update(ends)
        for end in ends:
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # wakes who reads it: while somebody does, a close ends nothing
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        for end in ends:
            end.close()

    def carry(self) -> None:
        """Carry what comes, until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                local, _ = self.listener.accept()
                try:
                    there = socket.create_connection(self.target)
                except OSError:  # nobody is there: not here either
                    local.close()
                    continue
                self.links += 1
                self._ends += [local, there]
                for pair in ((local, there), (there, local)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, local: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := local.recv(1 << 16):
                there.sendall(data)
            if local not in self._cut:
                there.shutdown(socket.SHUT_WR)


@contextmanager
def cable(host: str, port: int) -> Iterator[Cable]:
    """Lay a cable to a port, until the end of the `with`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        laid = Cable(listener, (host, port))
        thread = threading.Thread(target=laid.carry, daemon=True)
        thread.start()
        yield laid
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        laid.cut(reset=True)
