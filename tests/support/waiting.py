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

    Half of the time at most goes into asking: a question to a machine costs it processes.

    Raises:
        AssertionError: it was still false after `timeout_s`; says `what` was awaited.
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    asked = time.monotonic()
    while not (value := predicate()):
        now = time.monotonic()
        if now > deadline:
            awaited = what or getattr(predicate, "__qualname__", repr(predicate))
            raise AssertionError(
                f"waited {timeout_s:g} s, and it never came: {awaited}"
            )
        pause.wait(max(every_s, now - asked))
        asked = time.monotonic()
    return value
