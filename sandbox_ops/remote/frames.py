r"""A worker's answers, bytes to values: segments, and the replies that they make up. Pure.

A segment is some bytes and the line after them that says what they were:
`\n<nonce> <what> ...\\n`. The nonce is random, new for each channel and never in an
argument list or a file, so that no output can pose as a trailer.
"""

import functools
from dataclasses import dataclass


@dataclass(frozen=True)  # no slots: there is no place for what is computed once
class Segment:
    """Some bytes, and the words of their trailer."""

    data: bytes
    what: str
    words: tuple[str, ...]

    @functools.cached_property
    def fields(self) -> dict[str, str]:
        """The `key=value` words of the trailer."""
        return dict(word.split("=", 1) for word in self.words if "=" in word)


class OversizeError(Exception):
    """More came than was asked for: the sender is not our worker."""


class Frames:
    """Cuts a byte stream into segments, in time linear in its length.

    Args:
        nonce: What trailers begin with.
        limit_bytes: How much an answer may hold.
    """

    def __init__(self, nonce: str, limit_bytes: int = 16 << 20) -> None:
        self.limit_bytes = limit_bytes
        self._taken = 0
        self._mark = f"\n{nonce} ".encode()
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[Segment]:
        """Take in a chunk; return the segments that are now whole.

        Raises:
            OversizeError: The answer is longer than `limit_bytes`.
        """
        self._taken += len(chunk)
        if self._taken > self.limit_bytes:
            raise OversizeError
        self._buffer += chunk
        segments = []
        while (segment := self._next()) is not None:
            segments.append(segment)
        return segments

    def begin(self, limit_bytes: int) -> None:
        """Begin another answer, which may hold so much."""
        self.limit_bytes = limit_bytes
        self._taken = len(self._buffer)

    @property
    def rest(self) -> bytes:
        """The bytes that no trailer has followed yet."""
        return bytes(self._buffer)

    def _next(self) -> Segment | None:
        at = self._buffer.find(self._mark, self._searched)
        if at < 0:
            self._searched = max(0, len(self._buffer) - len(self._mark))
            return None
        end = self._buffer.find(b"\n", at + len(self._mark))
        if end < 0:
            self._searched = at
            return None
        trailer = self._buffer[at + len(self._mark) : end].decode("utf-8", "replace")
        with memoryview(self._buffer) as view:  # a slice of the buffer is a copy more
            data = bytes(view[:at])
        del self._buffer[: end + 1]
        self._searched = 0
        what, *trailer_words = trailer.split() or [""]
        return Segment(data, what, tuple(trailer_words))
