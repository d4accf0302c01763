"""The process that keeps one machine's connection for the commands that come after.

Started by the first of them (`links.agent_files`), ends when it was not used for a while.
Everything that decides which machine is trusted stays as it is: ssh_config, known_hosts, keys and
SSH_ASKPASS are those of the process that started it, in the same environment. Each command has
ssh_config asked again; where that or a file of it changed, a new connection is made. (Over
250 lines: one process, from its start to its end.)
"""

import contextlib
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox_ops.errors import SandboxError
from sandbox_ops.links import LinkEnd, LinkError, SessionLimitError
from sandbox_ops.links.agent_files import (
    UnusableError,
    check_peer,
    locked,
    receive_message,
    send_message,
)
from sandbox_ops.links.shared import Unframer, frame, packed
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import deciding_files
from sandbox_ops.ssh.channel import ChannelLink
from sandbox_ops.ssh.kept_connection import KeptConnection
from sandbox_ops.ssh.resolve import resolve

_MESSAGE_S = 10.0
_SEND_S = 30.0
_LOOK_S = 3600.0
_LOOK_ROUND_S = 60.0
_FRESH_S = 5.0  # so long an answer of the machine is taken for the present


class ConnectionAgent:
    """Answers those who connect to the listening socket.

    Args:
        config: The machine.
        listener: Where they come.
        idle_s: End when no client came for so long, and none is connected.
        keeps_all: Also a connection whose login asked a person for something.
    """

    def __init__(
        self,
        config: SandboxConfig,
        listener: socket.socket,
        idle_s: float,
        *,
        keeps_all: bool = True,
    ) -> None:
        self._config = config
        self._listener = listener
        self._path = Path(listener.getsockname()).with_suffix(".sock")
        self._inode = self._path.stat().st_ino
        self._idle_s = idle_s
        self._keeps_all = keeps_all
        self._used_at = time.time()  # of day: it goes on while the computer sleeps
        self._lock = threading.Lock()
        self._present = 0
        self._ending = threading.Event()
        self._links: dict[int, int] = {}
        self._kept: KeptConnection | None = None
        self._warnings = _Warnings()

    def serve(self) -> None:
        """Answer until it is time to end."""
        last_used = time.monotonic()
        self._listener.settimeout(min(self._idle_s, _LOOK_ROUND_S))
        while True:
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                if self._ending.is_set():
                    break
                if self._present:
                    last_used = time.monotonic()
                elif time.monotonic() - last_used >= self._allowed_s():
                    break
                continue
            if self._ending.is_set():
                sock.close()
                break
            last_used = time.monotonic()
            with self._lock:
                self._present += 1
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()
        # a client that comes between here and the end is not answered, and starts another
        self._remove_socket()
        if self._kept is not None:
            self._kept.connection.close()

    def _allowed_s(self) -> float:
        """Return how long we may idle: not at all where no client can find us any more."""
        try:
            is_listed = self._path.stat().st_ino == self._inode
        except OSError:  # the user logged out, or took our socket away
            is_listed = False
        return self._idle_s if is_listed and not self._asked_a_person() else 0

    def _wake(self) -> None:
        """End the wait for the next client: not every system ends it by a shutdown."""
        with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
            sock.connect(str(self._path))

    def _remove_socket(self) -> None:
        """Remove our socket; not that of another process that took our place."""
        with contextlib.suppress(OSError, UnusableError), locked(self._path.parent):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _answer(self, sock: socket.socket) -> None:
        was_link = False
        try:
            with sock, contextlib.suppress(LinkError, UnusableError, OSError):
                check_peer(sock)
                sock.settimeout(_MESSAGE_S)
                message = receive_message(sock)
                sock.settimeout(_SEND_S)
                was_link = message["op"] == "open"
                self._do(sock, message)
        finally:
            with self._lock:
                self._present -= 1
                alone = not self._present
            if was_link and alone and self._asked_a_person():
                self._ending.set()
                self._wake()

    def _asked_a_person(self) -> bool:
        """Whether the login asked a person, who has not asked us to keep it."""
        kept = None if self._keeps_all else self._kept
        return kept is not None and kept.connection.asked_a_person

    def _do(self, sock: socket.socket, message: Mapping[str, Any]) -> None:
        if message["op"] == "connect":
            send_message(sock, self._connect(message["within_s"]))
        elif message["op"] == "open":
            self._open(sock, str(message["command"]))
        else:
            facts = {"pid": os.getpid(), "host": self._config.host}
            send_message(sock, {**facts, "clients": self._present - 1})
            if message["op"] == "stop":
                self._ending.set()
                self._wake()

    def _connect(self, within_s: float | None) -> dict[str, object]:
        with self._warnings.collected() as warnings:
            try:
                self._current().connection.connect(within_s)
            except SandboxError as error:
                return {"failure": packed(error), "warnings": warnings}
            return {"warnings": warnings}

    def _current(self) -> KeptConnection:
        """Return the connection, or one that is not open yet where its facts changed."""
        resolved = resolve(self._config)
        facts = (resolved, deciding_files.states(self._config, resolved))
        kept = self._kept
        if kept is not None and abs(time.time() - self._used_at) > _FRESH_S:
            # the computer may have slept: another is opened beside one that is silent
            kept.verify()
        self._used_at = time.time()
        with self._lock:
            before = current = self._kept
            if current is None or current.facts != facts or current.is_silent:
                current = self._kept = KeptConnection(self._config, facts)
                if before is not None and not self._links.get(id(before)):
                    before.connection.close()
            return current

    def _open(self, sock: socket.socket, command: str) -> None:
        with self._lock:
            kept = self._kept
            if kept is not None:
                self._links[id(kept)] = self._links.get(id(kept), 0) + 1
        if kept is None:
            send_message(sock, {"failure": "not connected"})
            return
        try:
            link = kept.open_link(command)
        except (SessionLimitError, LinkError, SandboxError) as error:
            limit = isinstance(error, SessionLimitError)
            self._left(kept)
            send_message(sock, {"failure": str(error), "limit": limit})
            return
        try:
            send_message(sock, {})
            _carry(sock, link, lambda: kept.heard_at)
        finally:  # mostly by an error: the client left, which is its last word
            link.close()
            self._left(kept)
            kept.prepare()

    def _left(self, kept: KeptConnection) -> None:
        with self._lock:
            self._links[id(kept)] -= 1
            retired = kept is not self._kept and not self._links[id(kept)]
        if retired:
            kept.connection.close()


def _carry(
    sock: socket.socket, link: ChannelLink, heard_at: Callable[[], float | None]
) -> None:
    """Pass bytes both ways until the command has ended or its client has left."""

    def inwards() -> None:
        frames = Unframer()
        with contextlib.suppress(LinkError, OSError):
            while data := _receive(sock):
                for kind, content in frames.feed(data):
                    if kind == b"i":
                        link.send(content)
                    else:
                        link.end_input()
        link.close()  # the client is gone; `receive` below ends by it

    threading.Thread(target=inwards, daemon=True).start()
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                data = link.receive(_LOOK_S)
                if not data:
                    break
                sock.sendall(frame(b"o", data))
        end = link.end()
    except LinkError:
        end = LinkEnd.DIED
    end_message = {
        "end": end.value,
        "complaint": link.complaint(),
        "heard_at": heard_at(),
    }
    sock.sendall(frame(b"e", json.dumps(end_message).encode()))


def _receive(sock: socket.socket) -> bytes:
    while True:
        with contextlib.suppress(TimeoutError):
            return sock.recv(1 << 18)


class _Warnings(logging.Handler):
    """Keeps the warnings of a connect, for the command that asked for it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lists: list[list[str]] = []
        logging.getLogger("sandbox_ops").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning, for all clients that connect now."""
        for each in self._lists:
            each.append(record.getMessage())

    @contextlib.contextmanager
    def collected(self) -> Any:  # noqa: ANN401
        """Collect what comes meanwhile."""
        mine: list[str] = []
        self._lists.append(mine)
        try:
            yield mine
        finally:
            self._lists.remove(mine)


def main() -> None:
    """Serve on the listening socket whose number is our only argument."""
    message = json.load(sys.stdin)
    machine: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in message["identity"]["machine"].items()
    }
    config = SandboxConfig(**machine)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        idle_s, keeps_all = message["idle_s"], message["identity"]["keeps_all"]
        ConnectionAgent(config, listener, idle_s, keeps_all=keeps_all).serve()


if __name__ == "__main__":
    main()
