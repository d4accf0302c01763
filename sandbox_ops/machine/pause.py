"""Waiting for something to become true, with a bound."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    question: Callable[[], T | None], *, timeout_s: float, longest_s: float = 0.5
) -> T | None:
    """Ask, ever more slowly, until the answer is not None; None when time is up."""
    started = time.monotonic()
    pause_s = 0.02
    while (answer := question()) is None:
        if time.monotonic() - started > timeout_s:
            return None
        threading.Event().wait(pause_s)
        pause_s = min(pause_s * 1.5, longest_s)
    return answer
