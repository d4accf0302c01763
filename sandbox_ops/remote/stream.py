"""Which bytes of a growing stream to ask for next, and what to keep of them.

Output reaches us only as ranges of files. Kept are the head and the tail; the middle
of a long output is never fetched, unless somebody listens to all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox_ops.models import Output

PIECE_BYTES = 9_000_000
"""At most so much is asked for at once: each asking costs a round trip and a process."""


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


class Collector:
    """Follows one stream of one command from its beginning.

    Args:
        keep_bytes: At most so much is kept, half of it head, half of it tail.
        listener: Called with every piece, in order; then everything is fetched.
    """

    def __init__(
        self, keep_bytes: int, listener: Callable[[bytes], None] | None = None
    ) -> None:
        self._half = max(1, keep_bytes // 2)
        self._listener = listener
        self._head = bytearray()
        self._tail: bytes | bytearray = b""
        self._offset = 0
        self._asked = 0
        self.done = False
        self.behind = False
        """Whether there is more already than the last piece held."""

    def next_range(self, *, ended: bool, at_most: int = PIECE_BYTES) -> tuple[int, int]:
        """Return the offset (negative: from the end) and how many bytes to ask for."""
        if self.done:
            self._asked = 0
        elif self._listener or len(self._head) < self._half:
            room = at_most if self._listener else self._half - len(self._head)
            self._asked = min(room, at_most)
        elif ended:
            self._asked = self._half
            return -self._half, self._half
        else:
            self._asked = 0
        return self._offset, self._asked

    def asked(self, size_bytes: int) -> None:
        """Say that `size_bytes` from the beginning were asked for by other means."""
        self._asked = size_bytes

    def take(self, piece: Range, *, ended: bool) -> None:
        """Take in the answer to `next_range`; `ended` says that the stream is complete."""
        if self.done:
            return
        if piece.gone:
            self.done = ended
            return
        skipped = piece.offset < self._offset  # the tail overlaps what we have
        data = piece.data[self._offset - piece.offset :] if skipped else piece.data
        if piece.size_bytes is not None and piece.offset > self._offset:
            self._offset = piece.offset
            self._tail = b""
        self._keep(data)
        self._offset += len(data)
        jumped = piece.size_bytes is not None and self._offset >= piece.size_bytes
        short = len(piece.data) < self._asked
        self.behind = self._asked > 0 and not short
        self.done = ended and self._asked > 0 and (short or jumped)

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
