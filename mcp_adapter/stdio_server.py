"""A server as a process: on stdin and stdout, until the client leaves or a signal.

It ends within a second in any state, and leaves by `os._exit`: threads that wait for a
slow machine must not hold it up. What runs on the sandboxes goes on: it belongs to them.
"""

import asyncio
import fcntl
import gc
import io
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from mcp_adapter.catalog import Toolset
from sandbox_ops.machine.sandboxes import Sandboxes

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    from mcp_adapter.tools import Tools

_BEGIN_S = 0.05
_SETTLE_S = 0.3
_LEAVE_S = 0.7

log = logging.getLogger(__name__)


def serve(sandboxes: Sandboxes, toolsets: Sequence[Toolset]) -> NoReturn:
    """Serve the tools over these sandboxes until the end. Does not return."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    # What the SDK makes while it is imported it keeps: to look for garbage in it again
    # and again is a tenth of the start.
    gc.disable()
    code = 0
    try:
        asyncio.run(_serve(sandboxes, toolsets))
    except BaseException:
        log.exception("the server failed")
        code = 70
    os._exit(code)


def _leave(number: int, _frame: FrameType | None) -> None:
    # There is nothing to clean up, and the thread that reads stdin cannot be woken.
    os._exit(128 + number)


async def _serve(sandboxes: Sandboxes, toolsets: Sequence[Toolset]) -> None:
    import anyio
    from mcp.server.stdio import stdio_server

    from mcp_adapter.protocol import build
    from mcp_adapter.tools import Tools

    tools = Tools(sandboxes, toolsets)
    gc.freeze()
    gc.enable()
    send, receive = anyio.create_memory_object_stream["SessionMessage | Exception"]()
    nothing = anyio.wrap_file(io.StringIO())  # the SDK drops what it cannot read
    async with stdio_server(stdin=nothing) as (_, write):
        server = build(tools)  # here stdout is the protocol's alone: this reads files
        relay = asyncio.ensure_future(_relay(_take_stdin(), send, write.send, tools))
        try:
            await server.run(receive, write, server.create_initialization_options())
        except asyncio.CancelledError:  # stdout broke, and stdin may stay open for ever
            log.info("the client does not read any more")
            os._exit(0)
        await relay


async def _relay(
    stdin: BinaryIO,
    send: "MemoryObjectSendStream[SessionMessage | Exception]",
    answer: "Callable[[SessionMessage], Awaitable[None]]",
    tools: "Tools",
) -> None:
    """Pass on what comes in; at its end let the calls under way finish if they can."""
    from mcp.shared.message import SessionMessage

    from mcp_adapter import messages

    async with send:
        async for line in _lines(stdin, messages.MOST_BYTES + 1):
            message = messages.read(line)
            refused = isinstance(message, messages.Refusal)
            await (answer if refused else send.send)(SessionMessage(message))
        log.info("the client is gone")
        tools.under_way.leaving = True
        threading.Timer(_LEAVE_S, os._exit, (0,)).start()
        await asyncio.sleep(_BEGIN_S)  # what came last becomes a call
        await tools.under_way.settled(_SETTLE_S)


def _take_stdin() -> BinaryIO:
    """Return the standard input, and leave an empty one to whatever we start."""
    ours = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return os.fdopen(ours, "rb", closefd=False)


async def _lines(stream: BinaryIO, most_bytes: int) -> AsyncIterator[bytes]:
    """Yield the lines that are not blank; of a longer one, its first bytes."""
    from anyio.to_thread import run_sync

    while line := await run_sync(stream.readline, most_bytes):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = await run_sync(stream.readline, most_bytes)
        if line.strip():
            yield line
