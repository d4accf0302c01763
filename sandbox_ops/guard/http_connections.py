"""Connections that have not shown a complete request yet: few, and not for long.

Any program that can reach the port may open connections; only the token allows more.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_TIMEOUT_S = 10.0
MOST_WAITING = 64


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with a deadline for the first headers and a cap on the connections that still owe them.

    At the cap the oldest gives way, so that a client with the token always gets in.
    """

    _waiting: dict["BoundedProtocol", asyncio.TimerHandle] = {}  # noqa: RUF012 - of all

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the headers of the first request."""
        super().connection_made(transport)
        if len(self._waiting) >= MOST_WAITING:
            oldest = next(iter(self._waiting))
            oldest._stop_waiting()  # noqa: SLF001 - its connection is lost a turn later
            oldest.transport.abort()
        self._waiting[self] = self.loop.call_later(HEADER_TIMEOUT_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take what came; the headers may be whole with it."""
        super().data_received(data)
        if self.cycle is not None:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if deadline := self._waiting.pop(self, None):
            deadline.cancel()
