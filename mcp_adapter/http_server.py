"""The protocol over HTTP: Host and Origin checked, each message answered.

A page that rebinds its name to 127.0.0.1 fails at the Host. The token, and what a
connection may hold without one, are the library's.
"""

import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from mcp_adapter.catalog import Toolset
from sandbox_ops.guard import http_bodies, http_serving
from sandbox_ops.guard.http_serving import Application, Receive, Scope, Send
from sandbox_ops.machine.sandboxes import Sandboxes

if TYPE_CHECKING:
    from mcp_adapter.tools import Tools

PATH = "/mcp"
IDLE_TIMEOUT_S = 1800.0
_MOST_SESSIONS = 256
_CLOSE = {"Connection": "close"}


def serve(
    sandboxes: Sandboxes,
    toolsets: Sequence[Toolset],
    listening: socket.socket,
    token: str,
    idle_timeout_s: float,
) -> NoReturn:
    """Serve the tools until a signal. Does not return.

    Args:
        sandboxes: Where the tools work.
        toolsets: Which tools there are.
        listening: A socket on loopback.
        token: What each request has to show.
        idle_timeout_s: When a session that nobody uses expires.
    """
    from mcp_adapter.tools import Tools

    app = protocol(Tools(sandboxes, toolsets), listening, idle_timeout_s)
    sys.stderr.write(f"sandbox-ops-mcp: {http_serving.url(listening, PATH)}\n")
    sys.stderr.flush()
    http_serving.serve(http_serving.guarded(app, token), listening)


def protocol(
    tools: "Tools", listening: socket.socket, idle_timeout_s: float = IDLE_TIMEOUT_S
) -> Application:
    """Return the protocol as an application that checks Host and Origin."""
    from mcp.server.transport_security import TransportSecuritySettings

    from mcp_adapter import messages
    from mcp_adapter.protocol import build

    port = listening.getsockname()[1]
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    security = TransportSecuritySettings(
        allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts]
    )
    app = build(tools).streamable_http_app(
        streamable_http_path=PATH,
        transport_security=security,
        session_idle_timeout=idle_timeout_s,
        max_sessions=_MOST_SESSIONS,
        max_request_body_size=messages.MOST_BYTES,
    )
    return _readable(app)


def _readable(app: Application) -> Application:
    """Return an application that answers a message which cannot be read, with its id."""
    from starlette.responses import Response

    from mcp_adapter import messages

    async def read_first(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        try:
            body = await http_bodies.read(receive, messages.MOST_BYTES)
        except TimeoutError:
            await Response(status_code=408, headers=_CLOSE)(scope, receive, send)
            return
        if body is None:  # the client is gone
            return
        message = messages.read(body)
        if isinstance(message, messages.Refusal):
            text = message.model_dump_json(by_alias=True, exclude_unset=True)
            status = 413 if len(body) > messages.MOST_BYTES else 400
            answer = Response(text, status, _CLOSE, "application/json")
            await answer(scope, receive, send)
            return
        await app(scope, http_bodies.replayed(body, receive), send)

    return read_first
