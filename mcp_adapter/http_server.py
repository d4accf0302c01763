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
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_adapter.tools import Tools

PATH = "/mcp"
IDLE_TIMEOUT_S = 1800.0
_BACKLOG = 128
_BODY_TIMEOUT_S = 30.0
_MOST_SESSIONS = 256
_CLOSE = {"Connection": "close"}

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
    idle_timeout_s: float,
) -> NoReturn:
    """Serve the tools until a signal. Does not return.

    Args:
        machines: Where the tools work.
        toolsets: Which tools there are.
        listening: What `bound` returned.
        token: What each request has to show.
        idle_timeout_s: When a session that nobody uses expires.
    """
    import uvicorn

    from mcp_adapter.http_connections import BoundedProtocol
    from mcp_adapter.tools import Tools

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            # At once: a graceful end would cancel the calls, and so stop their commands.
            os._exit(128 + sig)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))
    app = protocol(Tools(machines, toolsets), listening, idle_timeout_s)
    config = uvicorn.Config(
        guarded(app, token),
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="on",
    )
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


def protocol(
    tools: "Tools", listening: socket.socket, idle_timeout_s: float = IDLE_TIMEOUT_S
) -> "ASGIApp":
    """Return the protocol as an application that checks Host and Origin."""
    from mcp.server.transport_security import TransportSecuritySettings

    from mcp_adapter import messages
    from mcp_adapter.protocol import build

    port = listening.getsockname()[1]
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"http://{host}" for host in hosts],
    )
    app = build(tools).streamable_http_app(
        streamable_http_path=PATH,
        transport_security=security,
        session_idle_timeout=idle_timeout_s,
        max_sessions=_MOST_SESSIONS,
        max_request_body_size=messages.MOST_BYTES,
    )
    return _readable(app)


def guarded(app: "ASGIApp", token: str) -> "ASGIApp":
    """Return an application that answers 401 to who does not send the token."""

    async def guard(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "lifespan" or _has_token(scope, token):
            await app(scope, receive, send)
            return
        from starlette.responses import PlainTextResponse

        challenge = 'Bearer realm="sandbox-ops"'
        headers = {"WWW-Authenticate": challenge, "Connection": "close"}
        refusal = PlainTextResponse("a bearer token is needed\n", 401, headers)
        await refusal(scope, receive, send)

    return guard


def _has_token(scope: "Scope", token: str) -> bool:
    sent = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, secret = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
    is_right = hmac.compare_digest(secret.strip(), token.encode())
    return scheme.lower() == b"bearer" and is_right


def _readable(app: "ASGIApp") -> "ASGIApp":
    """Return an application that answers a message which cannot be read, with its id."""
    from starlette.responses import Response

    from mcp_adapter import messages

    async def read_first(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_body(receive), _BODY_TIMEOUT_S)
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
        first: list[Message] = [{"type": "http.request", "body": body}]

        async def replay() -> "Message":
            return first.pop() if first else await receive()

        await app(scope, replay, send)

    return read_first


async def _body(receive: "Receive") -> bytes | None:
    """Return the body; of one that is too large, its beginning."""
    from mcp_adapter.messages import MOST_BYTES

    body = bytearray()
    while len(body) <= MOST_BYTES:
        part = await receive()
        if part["type"] == "http.disconnect":
            return None
        body += part.get("body", b"")
        if not part.get("more_body"):
            break
    return bytes(body)
