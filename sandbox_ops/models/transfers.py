"""How far a transfer of several files is. Frozen values, no I/O."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProgress:
    """How far it is.

    Attributes:
        path: The file under way, as the report names it.
        done_bytes: How much of that file has come.
        size_bytes: Of that file.
        total_done_bytes: How much of all files has come, what was there already included.
        total_bytes: Of all files that are missing.
        rate_bytes_s: Of the last seconds; 0 while it is not known.
    """

    path: str
    done_bytes: int
    size_bytes: int
    total_done_bytes: int
    total_bytes: int
    rate_bytes_s: float = 0.0

    @property
    def eta_s(self) -> float | None:
        """How long the rest takes at this rate; None while that is not known."""
        if not self.rate_bytes_s:
            return None
        return (self.total_bytes - self.total_done_bytes) / self.rate_bytes_s


OnTransfer = Callable[[TransferProgress], None]
