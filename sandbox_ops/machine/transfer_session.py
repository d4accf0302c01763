"""A session that carries a file's bytes: opened, its beginning found, its answer read.

Bulk takes a session of its own; the workers stay free for short requests.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from sandbox_ops.errors import ConnectionLostError, DeniedError, ProtocolError
from sandbox_ops.links import Link, LinkEnd, LinkError, SessionLimitError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.remote import machine_errors, scripts

CHUNK_BYTES = 1 << 18
STALL_S = 30.0
_LONGEST_PREAMBLE_BYTES = 16 << 20
_SLOWEST_SUM_BYTES_S = 20e6
"""The last bytes of a resumed file come long before the checksum of all of it does."""


def checksum_patience_s(size_bytes: int) -> float:
    """Return how long to wait for the checksum of so much."""
    return STALL_S + size_bytes / _SLOWEST_SUM_BYTES_S


@contextmanager
def opened(sandbox: Sandbox) -> Iterator[Link]:
    """Open a session; on a connection of its own, where the workers hold all of one."""
    with ExitStack() as ends:
        sandbox.cancel_token.check()
        sandbox.connect()  # without /proc a script needs the library there
        links = sandbox.links
        links.connect()
        try:
            link = links.open_link(scripts.bootstrap("stream"))
        except SessionLimitError:
            spare = ends.enter_context(closing(links.another()))
            spare.connect()
            link = spare.open_link(scripts.bootstrap("stream"))
        ends.callback(link.close)
        yield link


def after_mark(link: Link, mark: str) -> bytes:
    """Return what has come behind the mark: start-up files may print before it."""
    seen = b""
    start = f"\n{mark}\n".encode()
    while start not in seen:
        if f"\n{mark} denied\n".encode() in seen:
            raise DeniedError(
                "reading this file is not allowed", machine_errors.hint("policy")
            )
        _refuse_endless(seen)
        piece = link.receive(STALL_S, CHUNK_BYTES)
        if not piece and link.end() is LinkEnd.DIED:
            raise LinkError("the session for a file ended before it began")
        if not piece:
            raise ProtocolError(
                "the session for a file ended before it began: " + link.complaint()
            )
        seen += piece
    return seen.split(start, 1)[1]


def line(link: Link, seen: bytes, patience_s: float = STALL_S) -> bytes:
    """Return what has come, at least a line of it."""
    while b"\n" not in seen:
        _refuse_endless(seen)
        piece = link.receive(patience_s)
        if not piece:
            raise LinkError("the session for a file ended before it answered")
        seen += piece
    return seen


def _refuse_endless(seen: bytes) -> None:
    if len(seen) > _LONGEST_PREAMBLE_BYTES:
        raise ProtocolError("the session for a file sends no end of something else")


def lost(remote: str, have: int, size_bytes: int) -> ConnectionLostError:
    """Return the error that the link was lost under way."""
    return ConnectionLostError(
        f"the connection was lost at {have} of {size_bytes} bytes of {remote}",
        "Do it again: it goes on where it stopped.",
    )


def refuse(answer: bytes) -> None:
    """Raise the error that a script answered with, if it did."""
    if answer.startswith(b"error="):
        kind, _, message = answer[6:].decode(errors="replace").strip().partition(" ")
        raise machine_errors.machine_error(kind, message)
