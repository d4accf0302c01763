"""Links through a process of ours that keeps the connection for the next command.

It holds what a direct connection would (keys, host-key checks, the session); this end
passes bytes, and needs neither Fabric nor paramiko. Where the process cannot be used,
the connection is made directly, and that is said.

After the first two messages bytes go in frames: a letter, a length, the bytes. `i` is
input, `c` its end; `o` is output, `e` how it ended. (Over 250 lines: both ends of these
frames, and the errors that travel in them, are read together.)
"""

import contextlib
import copy
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable

from sandbox_ops import errors
from sandbox_ops.errors import ConnectError, NextStep, SandboxError
from sandbox_ops.links import (
    CHUNK_BYTES,
    Link,
    LinkEnd,
    LinkError,
    Links,
    SessionLimitError,
)
from sandbox_ops.links.agent_files import (
    AgentPlace,
    EnoughError,
    UnusableError,
    reach_or_start,
    receive_message,
    send_message,
)

HEADER = struct.Struct("!cI")
_SEND_S = 30.0
_ANSWER_S = 20.0
_CONNECT_S = 180.0
"""A human may be asked for a passphrase."""
_LOG = logging.getLogger(__name__)


def frame(kind: bytes, data: bytes = b"") -> bytes:
    """Return the frame of some bytes."""
    return HEADER.pack(kind, len(data)) + data


class Unframer:
    """Cuts what comes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Take in bytes; return the frames that are whole now."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= HEADER.size:
            kind, size = HEADER.unpack_from(self._buffer)
            end = HEADER.size + size
            if len(self._buffer) < end:
                break
            frames.append((kind, bytes(self._buffer[HEADER.size : end])))
            del self._buffer[:end]
        return frames


class SharedLink:
    """One command's bytes; see `sandbox_ops.links.Link`."""

    def __init__(
        self, sock: socket.socket, died: Callable[[float | None], None]
    ) -> None:
        self._sock = sock
        self._died = died
        self._frames = Unframer()
        self._output = bytearray()
        self._end: LinkEnd | None = None
        self._complaint = ""
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether neither the command has ended nor what carries it."""
        if self._closed or self._end is not None:
            return False
        try:
            self._sock.settimeout(
                0
            )  # with another, `recv` waits whatever its flags say
            next_byte = self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return next_byte not in {b"", b"e"}

    def send(self, data: bytes) -> None:
        """Send it all."""
        self._write(frame(b"i", data))

    def end_input(self) -> None:
        """Say that nothing more is sent."""
        with contextlib.suppress(LinkError):
            self._write(frame(b"c"))

    def _write(self, data: bytes) -> None:
        try:
            self._sock.settimeout(_SEND_S)
            self._sock.sendall(data)
        except OSError as error:
            self._died(None)
            raise LinkError(f"cannot send: {error}") from error

    def receive(self, timeout_s: float, size_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come; nothing at the command's end."""
        ends_at = time.monotonic() + timeout_s
        while not self._output and self._end is None:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._fill(left_s)
        piece = bytes(self._output[:size_bytes])
        del self._output[:size_bytes]
        return piece

    def _fill(self, timeout_s: float) -> None:
        try:
            self._sock.settimeout(timeout_s)
            data = self._sock.recv(CHUNK_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            self._died(None)
            raise LinkError(f"cannot receive: {error}") from error
        if not data:
            self._died(None)
            raise LinkError("the agent process ended")
        for kind, content in self._frames.feed(data):
            if kind == b"o":
                self._output += content
            else:
                self._take_end(json.loads(content))

    def _take_end(self, end: dict[str, object]) -> None:
        self._end = LinkEnd(end["end"])
        self._complaint = str(end["complaint"])
        if self._end is LinkEnd.DIED:
            heard_at = end.get("heard_at")
            self._died(heard_at if isinstance(heard_at, float) else None)

    def end(self) -> LinkEnd:
        """Say why it ended."""
        return self._end or LinkEnd.DIED

    def complaint(self) -> str:
        """Return what the command said on stderr, once it has ended."""
        return self._complaint

    def close(self) -> None:
        """End the link."""
        self._closed = True
        self._sock.close()


class SharedLinks:
    """Opens links through the process that keeps a machine's connection.

    Args:
        place: Where it is.
        description: The machine, as messages name it.
        direct: Makes the connection that is used where the process cannot be.
    """

    def __init__(
        self, place: AgentPlace, description: str, direct: Callable[[], Links]
    ) -> None:
        self._place = place
        self._make_direct = direct
        self._direct: Links | None = None
        self._lock = threading.RLock()
        self._connected = False
        self._opened = False
        self._heard_at: float | None = None
        self._failed: tuple[float, SandboxError] | None = None
        self.description = description

    @property
    def is_connected(self) -> bool:
        """Whether the process connected, and no link has died since."""
        return self._direct.is_connected if self._direct else self._connected

    @property
    def heard_at(self) -> float | None:
        """When the machine last gave a sign of life, before the last link died."""
        return self._direct.heard_at if self._direct else self._heard_at

    def connect(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """Have the process connect, if it has not.

        Raises:
            ConnectError: As it would be said of a direct connection.
        """
        asked_at = time.monotonic() if asked_at is None else asked_at
        with self._lock:
            if self._direct is None and not self._connected:
                if self._failed and self._failed[0] > asked_at:
                    raise copy.copy(self._failed[1])
                self._connect(within_s)
            direct = self._direct
        if direct is not None:
            direct.connect(within_s, asked_at=asked_at)

    def _connect(self, within_s: float | None) -> None:
        try:
            answer = self._ask({"op": "connect", "within_s": within_s}, _CONNECT_S)
        except UnusableError as error:
            level = logging.INFO if isinstance(error, EnoughError) else logging.WARNING
            _LOG.log(level, "connecting without the agent process: %s", error)
            self._direct = self._make_direct()
            return
        except LinkError as error:
            raise ConnectError(
                f"cannot reach {self.description}: {error}",
                NextStep("agent", {"stop": True}, "End it, and try again"),
            ) from error
        with answer[0]:
            for warning in _texts(answer[1].get("warnings")):
                _LOG.warning("%s", warning)
            if failure := answer[1].get("failure"):
                failed = unpacked(failure)
                self._failed = (time.monotonic(), failed)
                raise failed
        self._connected = True

    def _ask(
        self, message: dict[str, object], within_s: float
    ) -> tuple[socket.socket, dict[str, object]]:
        """Ask the process; once more where it was about to end when we came."""
        for last in (False, True):
            sock = reach_or_start(self._place)
            sock.settimeout(within_s)
            try:
                send_message(sock, message)
                return sock, receive_message(sock)
            except (LinkError, OSError) as error:
                sock.close()
                if last or isinstance(error.__cause__, TimeoutError):
                    raise LinkError(str(error)) from error
        raise AssertionError  # the second attempt returns or raises

    def open_link(self, command: str) -> Link:
        """Have the process run a command line of the machine's shell.

        A server that allows no further session beside those of other commands is
        connected to directly: they may last.

        Raises:
            SessionLimitError: No further link now.
            LinkError: The connection died.
        """
        if self._direct is None:
            try:
                sock, answer = self._ask({"op": "open", "command": command}, _ANSWER_S)
            except UnusableError as error:
                self._connected = False
                raise LinkError(str(error)) from error
            if not (failure := answer.get("failure")):
                self._opened = True
                return SharedLink(sock, self._link_died)
            sock.close()
            if not answer.get("limit"):
                self._connected = False
                raise LinkError(str(failure))
            if self._opened:
                raise SessionLimitError(str(failure))
            self._direct = self._make_direct()
            self._direct.connect()
        return self._direct.open_link(command)

    def _link_died(self, heard_at: float | None) -> None:
        self._connected = False
        self._heard_at = heard_at or self._heard_at

    def another(self) -> Links:
        """Return a direct connection, not open yet."""
        return self._make_direct()

    def close(self) -> None:
        """Close what is ours. The process keeps the connection."""
        self._connected = False
        if self._direct is not None:
            self._direct.close()


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def packed(error: SandboxError) -> dict[str, object]:
    """Return an error as a message carries it."""
    hints = [
        hint
        if isinstance(hint, str)
        else {"verb": hint.verb, "arguments": hint.arguments, "purpose": hint.purpose}
        for hint in error.hints
    ]
    name = type(error).__name__
    return {"class": name, "message": error.message, "hints": hints}


def unpacked(failure: object) -> SandboxError:
    """Return the error of a message: of the same class where that is one of `errors`."""
    fields = failure if isinstance(failure, dict) else {"message": str(failure)}
    kind: type[SandboxError] = ConnectError
    named_class = getattr(errors, str(fields.get("class")), None)
    if isinstance(named_class, type) and issubclass(named_class, SandboxError):
        kind = named_class
    hints = fields.get("hints") or ()
    return kind(
        str(fields.get("message")),
        *(NextStep(**hint) if isinstance(hint, dict) else str(hint) for hint in hints),
    )
