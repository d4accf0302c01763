"""Cancelling work that is under way: a token that the caller keeps. No I/O."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from sandbox_ops.errors import CancelledError


class CancelToken:
    """Cancels what was begun with it, from any thread.

    A command of the user's is stopped at once, with its whole tree; a wait ends; a step of
    our own (git) is finished. Nothing more is begun afterwards.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled

    def cancel(self) -> None:
        """End what is waited for. Again: no effect."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Refuse to begin anything more.

        Raises:
            CancelledError: It was cancelled.
        """
        if self._cancelled:
            raise CancelledError("cancelled; nothing more was started")

    @contextlib.contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call back, once and at once, if it is cancelled meanwhile or was before."""
        with self._lock:
            self._callbacks.append(callback)
            late = self._cancelled
        try:
            if late:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)
