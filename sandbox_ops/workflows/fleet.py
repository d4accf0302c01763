"""One piece of work on several machines at once: each answers, or says why it cannot.

A machine that does not answer costs its own time, never the others'.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sandbox_ops.errors import NotFoundError, SandboxError
from sandbox_ops.models.cancellation import CancelToken

T = TypeVar("T")
K = TypeVar("K")

_END_S = 20.0
_BREATH_S = 0.2  # between two looks whether the user interrupts us


def named(name: str, error: SandboxError) -> SandboxError:
    """Return what a machine answered instead, with its name."""
    return type(error)(f"{name}: {error.message}", *error.hints)


def on_each(
    keys: Sequence[K],
    work: Callable[[K], T],
    *,
    cancel: CancelToken | None = None,
    first: bool = False,
) -> Mapping[K, T | SandboxError]:
    """Do the work for each key at the same time; return what came of each, in their order.

    Args:
        keys: The machines: `Sandbox` values, or their names.
        work: Called in a thread of its own for each. Its `SandboxError` is its result.
        cancel: What the work heeds: Ctrl-C cancels it, and waits a while for its end.
        first: Return what came first alone, and cancel the others.

    Raises:
        Exception: Whatever else the work of one raised, once all are done.
        KeyboardInterrupt: Once what was cancelled has ended, or at the second Ctrl-C.
    """
    done: queue.SimpleQueue[tuple[K, T | Exception]] = queue.SimpleQueue()

    def one(key: K) -> None:
        try:
            done.put((key, work(key)))
        except Exception as error:  # noqa: BLE001  # belongs to who asked
            done.put((key, error))

    for key in keys:
        threading.Thread(target=one, args=(key,), daemon=True).start()
    results = _collected(done, 1 if first else len(keys), cancel)
    if first and cancel is not None:
        cancel.cancel()
    answers: dict[K, T | SandboxError] = {}
    for key in filter(results.__contains__, keys):
        answer = results[key]
        if isinstance(answer, Exception) and not isinstance(answer, SandboxError):
            raise answer
        answers[key] = answer
    return answers


def that_count(answers: Mapping[K, object], *, named: bool) -> list[K]:
    """Return those by whose answers it is judged whether all is well.

    A job that is named need not be on every machine, only on one. Pure.

    Args:
        answers: What each said; a `SandboxError` where that is why it said nothing.
        named: Whether a job or a group was named.
    """
    found = [
        key
        for key, answer in answers.items()
        if not (named and isinstance(answer, NotFoundError))
    ]
    return found or list(answers)


def _collected(
    done: "queue.SimpleQueue[tuple[K, T | Exception]]",
    count: int,
    cancel: CancelToken | None,
) -> dict[K, T | Exception]:
    results: dict[K, T | Exception] = {}
    try:
        while len(results) < count:
            results |= _next(done)
    except KeyboardInterrupt:
        if cancel is not None:
            cancel.cancel()
            ends_at = time.monotonic() + _END_S
            while len(results) < count and time.monotonic() < ends_at:
                results |= _next(done)
        raise
    return results


def _next(done: "queue.SimpleQueue[tuple[K, T | Exception]]") -> dict[K, T | Exception]:
    """Return what came next, if anything came soon: a wait without end hides Ctrl-C."""
    try:
        key, result = done.get(timeout=_BREATH_S)
    except queue.Empty:
        return {}
    return {key: result}
