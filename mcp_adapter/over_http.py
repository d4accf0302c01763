"""The server over HTTP: for this computer only, and only for who knows the token.

A shell on somebody's machine behind a port is what every web page one opens would like
to talk to. So: loopback alone, the Host and the Origin checked (a page that rebinds its
name to 127.0.0.1 fails there), and a token before anything is read.
"""

import asyncio
import hmac
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from mcp_adapter.catalog import Toolset
from mcp_adapter.machines import Machines
from sandbox_ops.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_adapter.tools import Tools

PATH = "/mcp"
_BACKLOG = 128

log = logging.getLogger(__name__)


def bound(address: str, port: int) -> socket.socket:
    """Return a socket that listens there.

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
    family = socket.AF_INET6 if where.version == 6 else socket.AF_INET  # noqa: PLR2004
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


def serve(
    machines: Machines,
    toolsets: Sequence[Toolset],
    listening: socket.socket,
    token: str,
) -> NoReturn:
    """Serve the tools until a signal. Does not return."""
    import uvicorn

    from mcp_adapter.tools import Tools

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            # At once: a graceful end would cancel the calls, and so stop their commands.
            os._exit(128 + sig)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))
    app = guarded(protocol(Tools(machines, toolsets), listening), token)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    sys.stderr.write(f"sandbox-ops-mcp: http://{shown}:{port}{PATH}\n")
    sys.stderr.flush()
    code = 0
    try:
        asyncio.run(Server(config).serve([listening]))
    except BaseException:
        log.exception("the server failed")
        code = 70
    os._exit(code or 128 + signal.SIGTERM)


def protocol(tools: "Tools", listening: socket.socket) -> "Starlette":
    """Return the protocol as an application that checks Host and Origin."""
    from mcp.server.transport_security import TransportSecuritySettings

    from mcp_adapter.server import build

    port = listening.getsockname()[1]
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"http://{host}" for host in hosts],
    )
    return build(tools).streamable_http_app(
        streamable_http_path=PATH, transport_security=security
    )


def guarded(app: "ASGIApp", token: str) -> "ASGIApp":
    """Return an application that answers 401 to who does not send the token."""
    wanted = f"Bearer {token}".encode()

    async def guard(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) == 1 and hmac.compare_digest(sent[0], wanted):
            await app(scope, receive, send)
            return
        from starlette.responses import PlainTextResponse

        challenge = {"WWW-Authenticate": 'Bearer realm="sandbox-ops"'}
        refusal = PlainTextResponse("a bearer token is needed\n", 401, challenge)
        await refusal(scope, receive, send)

    return guard
