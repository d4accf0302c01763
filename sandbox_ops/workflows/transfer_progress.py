"""Counts what files of a transfer have come, and how fast."""

import time
from collections import deque
from collections.abc import Callable
from functools import partial

from sandbox_ops.models.transfers import OnTransfer, TransferProgress

_WINDOW_S = 5.0


class Meter:
    """Adds up the files of one transfer and tells of each piece.

    Args:
        total_bytes: Of all files that are missing.
        on_progress: Called for each piece; None: not reported.
        clock: In seconds.
    """

    def __init__(
        self,
        total_bytes: int,
        on_progress: OnTransfer | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total_bytes, self._on_progress = total_bytes, on_progress
        self._clock = clock
        self._ended_bytes = 0
        self._pieces: deque[tuple[float, int]] = deque()

    def file(self, path: str) -> Callable[[int, int], None] | None:
        """Return what takes how much of a file has come, and its size."""
        if self._on_progress is None:
            return None
        return partial(self._tell, self._on_progress, path)

    def ended(self, size_bytes: int) -> None:
        """Count a file that has come."""
        self._ended_bytes += size_bytes

    def _tell(
        self, on_progress: OnTransfer, path: str, done_bytes: int, size_bytes: int
    ) -> None:
        total = self._ended_bytes + done_bytes
        now = self._clock()
        self._pieces.append((now, total))
        while len(self._pieces) > 2 and self._pieces[1][0] < now - _WINDOW_S:  # noqa: PLR2004 - the rate needs two
            self._pieces.popleft()
        began_at, began_bytes = self._pieces[0]
        took_s = now - began_at
        on_progress(
            TransferProgress(
                path=path,
                done_bytes=done_bytes,
                size_bytes=size_bytes,
                total_done_bytes=total,
                total_bytes=self._total_bytes,
                rate_bytes_s=max(0.0, (total - began_bytes) / took_s)
                if took_s
                else 0.0,
            )
        )
