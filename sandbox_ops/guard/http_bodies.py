"""The body of a request, bounded in time and size, for code that looks at it before the application."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from sandbox_ops.guard.http_serving import Receive

_TIMEOUT_S = 30.0


async def read(receive: Receive, most_bytes: int) -> bytes | None:
    """Return the body; of one that is too large, its beginning; None: the client left.

    Raises:
        TimeoutError: It has not come within 30 s.
    """
    return await asyncio.wait_for(_read(receive, most_bytes), _TIMEOUT_S)


async def _read(receive: Receive, most_bytes: int) -> bytes | None:
    body = bytearray()
    while len(body) <= most_bytes:
        part = await receive()
        if part["type"] == "http.disconnect":
            return None
        body += part.get("body", b"")
        if not part.get("more_body"):
            break
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return what receives a body that was read already, then what comes after it."""
    first: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body}]

    async def receive_again() -> MutableMapping[str, Any]:
        return first.pop() if first else await receive()

    return receive_again
