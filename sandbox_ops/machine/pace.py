"""A limit on the bytes a second that transfers take of the network."""

import threading
import time

from sandbox_ops.machine.transfer_session import CHUNK_BYTES

_BURST_S = 0.25


class Pace:
    """Holds up the sender or the receiver, so that the rate is kept on the average.

    One is shared by all files of a transfer. Use it in one thread at a time.

    Args:
        bytes_per_s: None: no limit.
    """

    def __init__(self, bytes_per_s: int | None = None) -> None:
        self._bytes_per_s = bytes_per_s
        self._due_at = 0.0

    @property
    def chunk_bytes(self) -> int:
        """How much to move at once, so that the rate is even and a cancel is soon seen."""
        if self._bytes_per_s is None:
            return CHUNK_BYTES
        return max(1, min(CHUNK_BYTES, int(self._bytes_per_s * _BURST_S)))

    def wait(self, size_bytes: int) -> None:
        """Wait until so many bytes may have been moved."""
        if self._bytes_per_s is None:
            return
        now = time.monotonic()
        self._due_at = max(self._due_at, now - _BURST_S)
        self._due_at += size_bytes / self._bytes_per_s
        if self._due_at > now:
            threading.Event().wait(self._due_at - now)


UNLIMITED = Pace()
