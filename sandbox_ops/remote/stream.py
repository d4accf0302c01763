"""Which bytes of a growing stream to ask for next, and what to keep of them. Pure.

Output reaches us only as ranges of files. Kept are the head and the tail; the middle
of a long output is never fetched, unless somebody listens to all of it. A file may be
truncated or replaced while we follow it, and grow past where we were: each question
begins a little before that place, and what comes has to begin with what was there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox_ops.models import Output

PIECE_BYTES = 9_000_000
"""At most so much is asked for at once: each asking costs a round trip and a process."""

END_BYTES = 1 << 16
"""So much of its end a stream keeps that outgrew its limit: see scripts/lib/limit.sh."""

KNOWN_BYTES = 256
"""So much of what lies before a place tells whether the file is still the same one."""


@dataclass(frozen=True, slots=True)
class Range:
    """Some bytes of a stream as the machine sent them.

    Attributes:
        offset: Where they begin, in bytes.
        size_bytes: How long the stream was; None where it was not asked.
        inode: Which file it was; None where it was not asked.
        gone: The file is not there any more.
    """

    data: bytes
    offset: int
    size_bytes: int | None = None
    inode: int | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """Where in a stream to begin.

    Attributes:
        offset: In bytes.
        known: What lies right before it, as far as it is known.
    """

    offset: int = 0
    known: bytes = b""


def _nothing() -> None:
    pass


class Collector:
    """Follows one stream of one command, from its beginning or from a place on.

    Args:
        keep_bytes: At most so much is kept, half of it head, half of it tail.
        listener: Called with every piece, in order; then everything is fetched.
        offset: Where to begin, in bytes.
        known: What lies right before that, as far as it is known.
        on_restart: Called where the file turns out to be another one, or cut: what the
            listener gets then begins at the start of the new one.
    """

    def __init__(
        self,
        keep_bytes: int,
        listener: Callable[[bytes], None] | None = None,
        *,
        offset: int = 0,
        known: bytes = b"",
        on_restart: Callable[[], None] = _nothing,
    ) -> None:
        self._half = max(1, keep_bytes // 2)
        self._listener = listener
        self._on_restart = on_restart
        self._head = bytearray()
        self._tail: bytes | bytearray = b""
        self._offset = offset
        self._known = known[-KNOWN_BYTES:]
        self._asked = 0
        self._from_end = False
        self._over_limit = False
        self.truncated = False
        """Whether bytes were lost: the file was cut or replaced meanwhile."""
        self.done = False
        self.behind = False
        """Whether there is more already than the last piece held."""

    def next_range(self, *, ended: bool, at_most: int = PIECE_BYTES) -> tuple[int, int]:
        """Return the offset (negative: from the end) and how many bytes to ask for."""
        self._from_end = False
        if self.done:
            self._asked = 0
        elif self._over_limit:
            self._asked, self._from_end = END_BYTES, True
            return -END_BYTES, END_BYTES
        elif self._listener or len(self._head) < self._half:
            room = at_most if self._listener else self._half - len(self._head)
            self._asked = min(room, at_most) + len(self._known)
            return self._offset - len(self._known), self._asked
        elif ended:
            self._asked, self._from_end = self._half, True
            return -self._half, self._half
        else:
            self._asked = 0
        return self._offset, self._asked

    def asked(self, size_bytes: int) -> None:
        """Say that `size_bytes` from the beginning were asked for by other means."""
        self._asked = size_bytes

    def take(self, piece: Range, *, ended: bool, cut_by_us: bool = False) -> None:
        """Take in the answer to `next_range`.

        Args:
            piece: The answer.
            ended: Whether the stream is complete.
            cut_by_us: Whether our own limit may have cut the file before its end.
        """
        if self.done:
            return
        if piece.gone:
            self.done = ended
            return
        if self._asked and not self._from_end:
            data = piece.data.removeprefix(self._known)
            if len(data) + len(self._known) != len(piece.data):
                self._restart(cut_by_us=cut_by_us)
                return
        else:
            data = self._after_gap(piece)
        self._keep(data)
        self._offset += len(data)
        self._known = (self._known + data[-KNOWN_BYTES:])[-KNOWN_BYTES:]
        at_end = piece.size_bytes is not None and self._offset >= piece.size_bytes
        short = len(piece.data) < self._asked
        self.behind = self._asked > 0 and not short
        self.done = ended and self._asked > 0 and (short or at_end)

    def _after_gap(self, piece: Range) -> bytes:
        """Return what is new of a piece from the end, which may overlap or lie apart."""
        if piece.size_bytes is None:
            return piece.data
        over_limit, self._over_limit = self._over_limit, False
        if over_limit:
            before, known, after = piece.data.rpartition(self._known)
            self._offset = piece.offset + len(before) + len(known)
            return after
        if piece.size_bytes < self._offset:  # all of it is another file's
            self.truncated = True
            self._offset = piece.offset
        if piece.offset < self._offset:
            return piece.data[self._offset - piece.offset :]
        if piece.offset > self._offset:
            self._offset = piece.offset
            self._tail = b""
        return piece.data

    def _restart(self, *, cut_by_us: bool) -> None:
        """Go on with a file that is not the one that we knew."""
        self.truncated = True
        self.behind = True
        if cut_by_us:  # go on at its end, behind what of that we had
            self._over_limit = True
            return
        self._known = b""
        self._on_restart()
        self._offset = 0

    def _keep(self, data: bytes) -> None:
        if self._listener and data:
            self._listener(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if len(data) >= self._half:
            self._tail = data[-self._half :]  # often the very piece: nothing is copied
        elif data:
            if isinstance(self._tail, bytes):
                self._tail = bytearray(self._tail)
            self._tail += data
            del self._tail[: -self._half]

    @property
    def size_bytes(self) -> int:
        """How far the stream was seen, in bytes."""
        return self._offset

    @property
    def output(self) -> Output:
        """What was kept."""
        return Output(
            head=bytes(self._head), tail=bytes(self._tail), size_bytes=self._offset
        )
