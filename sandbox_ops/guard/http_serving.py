"""A socket on loopback, an application behind a token, and the process that serves it.

A shell on somebody's machine behind a port is what every web page one opens would like
to talk to. So: loopback addresses only, a token before anything is read, and little that
a connection can hold before it has shown one. Needs uvicorn, which comes with `mcp`.
"""

import asyncio
import hmac
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any, NoReturn

from sandbox_ops.errors import ConfigError, UsageError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI application."""

_BACKLOG = 128
_IPV6 = 6

log = logging.getLogger(__name__)


def bound(address: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Args:
        address: Of this computer, as a number, or `localhost`.
        port: 0 takes any that is free.

    Raises:
        UsageError: It is not a loopback address.
        ConfigError: The port is taken, or not ours to take.
    """
    try:
        where = ipaddress.ip_address("127.0.0.1" if address == "localhost" else address)
    except ValueError:
        where = None
    if where is None or not where.is_loopback:
        raise UsageError(
            f"--http serves this computer only, not {address}",
            "Use 127.0.0.1; from elsewhere reach it through `ssh -L`.",
        )
    family = socket.AF_INET6 if where.version == _IPV6 else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((str(where), port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {where} port {port}: {error.strerror}",
            "Choose another: --port 0 takes any that is free",
        ) from error
    return listening


def url(listening: socket.socket, path: str) -> str:
    """Return the address of a socket as a client writes it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def guarded(app: Application, token: str) -> Application:
    """Return an application that answers 401 to a client that does not send the token."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _has_token(scope, token):
            await app(scope, receive, send)
            return
        text = b"a bearer token is needed\n"
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
            (b"www-authenticate", b'Bearer realm="sandbox-ops"'),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return guard


def _has_token(scope: Scope, token: str) -> bool:
    sent = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, secret = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
    is_right = hmac.compare_digest(secret.strip(), token.encode())
    return bool(scheme.lower() == b"bearer" and is_right)


def serve(app: Application, listening: socket.socket) -> NoReturn:
    """Serve an application until a signal. Does not return.

    It leaves by `os._exit`: a graceful end would cancel the calls under way, and so stop
    their commands.
    """
    import uvicorn

    from sandbox_ops.guard.http_connections import BoundedProtocol

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            os._exit(128 + sig)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="on",
    )
    code = 128 + signal.SIGTERM
    try:
        asyncio.run(Server(config).serve([listening]))
    except BaseException:
        log.exception("the server failed")
        code = 70
    os._exit(code)
