"""A server far away: counts the round trips that a client waits for, whatever the load.

What the client sends after an answer has reached it may depend on that answer: one round
trip more. What it sends meanwhile is none. So that the two can be told apart, every piece is
on its way for a while. A client slow to send what waits for nothing looks as if it had
waited: of several tries the least counts (`least`).
"""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sshd import SshServer
from waiting import wait_until

_PIECE_BYTES = 1 << 16
_Pieces = queue.SimpleQueue[tuple[float, int, bytes]]


@dataclass
class FarServer:
    """A relay to a server; everything takes a while to get through.

    Attributes:
        server: As clients find it: by `config`, `ssh_config` and `known_hosts`.
        round_trips: How many answers, each to what was sent after the one before, have
            reached the client so far. TCP's own at a connect is not counted.
    """

    server: SshServer
    listener: socket.socket
    target: tuple[str, int]
    one_way_s: float
    round_trips: int = 0
    _asked: int = 0
    _last_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ends: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def count(self, work: Callable[[], object]) -> int:
        """Return how many round trips some work waits for, once nothing else is on its way."""
        wait_until(self._is_quiet)
        before = self.round_trips
        work()
        return self.round_trips - before

    def least(self, work: Callable[[], object], tries: int = 5) -> int:
        """Return how many it waits for, without those that only a busy machine makes."""
        least = self.count(work)
        for _ in range(tries - 1):
            if least > 1:
                least = min(least, self.count(work))
        return least

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._last_at > 4 * self.one_way_s

    def carry(self) -> None:
        """Carry what comes, until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
                self._ends += [client, server]
                self._start(self._ask, client, server)
                self._start(self._answer, server, client)

    def close(self) -> None:
        """End every connection."""
        self.listener.shutdown(socket.SHUT_RDWR)
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for end in self._ends:
            end.close()

    def _start(
        self,
        arrives: Callable[[int], None],
        source: socket.socket,
        to: socket.socket,
    ) -> None:
        pieces: _Pieces = queue.SimpleQueue()
        for work in (
            lambda: self._take(source, pieces, is_client=arrives == self._ask),
            lambda: self._deliver(to, pieces, arrives),
        ):
            thread = threading.Thread(target=work, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _take(self, source: socket.socket, pieces: _Pieces, *, is_client: bool) -> None:
        data = b"."
        while data:
            try:
                data = source.recv(_PIECE_BYTES)
            except OSError:
                data = b""
            with self._lock:
                number = self.round_trips + 1 if is_client else self._asked
            self._last_at = time.monotonic()
            pieces.put((self._last_at + self.one_way_s, number, data))

    def _deliver(
        self, to: socket.socket, pieces: _Pieces, arrives: Callable[[int], None]
    ) -> None:
        data = b"."
        with contextlib.suppress(OSError):
            while data:
                due, number, data = pieces.get()
                threading.Event().wait(max(0.0, due - time.monotonic()))
                if data:
                    arrives(number)
                    to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def _ask(self, number: int) -> None:
        with self._lock:
            self._asked = max(self._asked, number)

    def _answer(self, number: int) -> None:
        with self._lock:
            self.round_trips = max(self.round_trips, number)


@contextlib.contextmanager
def far_away(server: SshServer, one_way_s: float = 0.05) -> Iterator[FarServer]:
    """Put a server so far away that what waits for an answer can be told from what does not."""
    direct = server.port
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = FarServer(server, listener, (server.host, direct), one_way_s)
        threading.Thread(target=far.carry, daemon=True).start()
        try:
            _move(server, listener.getsockname()[1])
            yield far
        finally:
            _move(server, direct)
            far.close()


def _move(server: SshServer, port: int) -> None:
    """Let clients know the server by another port."""
    for file, before in (
        (server.known_hosts, f"]:{server.port} "),
        (server.ssh_config, f"Port {server.port}\n"),
    ):
        text = file.read_text("utf-8")
        assert before in text, text
        after = before.replace(str(server.port), str(port))
        file.write_text(text.replace(before, after), "utf-8")
    server.port = port
