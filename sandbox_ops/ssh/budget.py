"""A span of time that several steps share."""

import time
from dataclasses import dataclass
from typing import Self

CONNECT_S = 9.0
"""What an attempt to connect may take, all its steps together; ConnectTimeout says otherwise."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of the time that a connection may take to open.

    Each of its steps (name, TCP, banner, key exchange, authentication) may use what is
    left, so that together they never take longer than was promised.

    Attributes:
        whole_s: How much there was at the beginning.
        ends_at: By the monotonic clock.
    """

    whole_s: float
    ends_at: float

    @classmethod
    def of(cls, seconds: float) -> Self:
        """Return a budget that begins now."""
        return cls(seconds, time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """What is left, never below zero."""
        return max(0.0, self.ends_at - time.monotonic())

    @property
    def spent_s(self) -> float:
        """What was used until now."""
        return self.whole_s - (self.ends_at - time.monotonic())
