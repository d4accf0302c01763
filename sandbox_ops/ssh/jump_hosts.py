"""Jump hosts: machines behind the same one share one connection to it, in this process.

Shared is only what is reached and checked the same (`Route.key`). A connection is closed
with the last machine that uses it; its loss is a loss for each of them, and the first
that connects again opens it for all.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol


class Hop(Protocol):
    """A connection to a jump host: what a route needs of it."""

    transport: Any

    @property
    def route(self) -> Any:  # noqa: ANN401 - a `Route`, which is made of these
        """How the jump host itself is reached."""
        ...

    def open(self, within_s: float | None = None) -> None:
        """Open it, if it is not."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


@dataclass(slots=True)
class _Shared:
    """A connection, and who uses it."""

    hop: Hop
    users: set[int] = field(default_factory=set)


class SharedHops:
    """The connections to jump hosts that may be shared. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: dict[Hashable, _Shared] = {}

    def borrow(self, key: Hashable, user: object, make: Callable[[], Hop]) -> Hop:
        """Return the connection for a key; it need not be open. Give it back.

        Args:
            key: All that decides how the jump host is reached and checked.
            user: Who uses it; the same one counts once.
            make: Makes one where there is none; nothing is connected by that.
        """
        with self._lock:
            shared = self._shared.get(key)
            if shared is None:
                shared = self._shared[key] = _Shared(make())
            shared.users.add(id(user))
            return shared.hop

    def give_back(self, key: Hashable, user: object) -> None:
        """Take note that a user of it is done; the last one closes it."""
        with self._lock:
            shared = self._shared.get(key)
            if shared is None:
                return
            shared.users.discard(id(user))
            if shared.users:
                return
            del self._shared[key]
        shared.hop.close()


OF_THIS_PROCESS = SharedHops()
