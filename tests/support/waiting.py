"""Waiting in tests: poll with a deadline, never a bare sleep."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T],
    timeout_s: float = 10.0,
    *,
    every_s: float = 0.02,
    what: str = "",
) -> T:
    """Return the first true value of `predicate`.

    Raises:
        AssertionError: it was still false after `timeout_s`; says `what` was awaited.
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not (value := predicate()):
        if time.monotonic() > deadline:
            awaited = what or getattr(predicate, "__qualname__", repr(predicate))
            raise AssertionError(
                f"waited {timeout_s:g} s, and it never came: {awaited}"
            )
        pause.wait(every_s)
    return value
