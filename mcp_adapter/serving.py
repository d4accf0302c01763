"""A server as a process: on stdin and stdout, until the client leaves or a signal.

It ends within a second in any state, and leaves by `os._exit`: threads that wait for a
slow machine must not hold it up. What runs on the machines goes on: it belongs to them.
"""

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import AsyncIterable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from mcp_adapter.catalog import Toolset
from mcp_adapter.machines import Machines

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    from mcp_adapter.tools import Tools

_BEGIN_S = 0.05
_SETTLE_S = 0.3
_LEAVE_S = 0.7

log = logging.getLogger(__name__)


def serve(machines: Machines, toolsets: Sequence[Toolset]) -> NoReturn:
    """Serve the tools over these machines until the end. Does not return."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    # What the SDK makes while it is imported it keeps: to look for garbage in it again
    # and again is a tenth of the start.
    gc.disable()
    code = 0
    try:
        asyncio.run(_serve(machines, toolsets))
    except BaseException:
        log.exception("the server failed")
        code = 70
    os._exit(code)


def _leave(number: int, _frame: FrameType | None) -> None:
    # There is nothing to clean up, and the thread that reads stdin cannot be woken.
    os._exit(128 + number)


async def _serve(machines: Machines, toolsets: Sequence[Toolset]) -> None:
    import anyio
    from mcp.server.stdio import stdio_server

    from mcp_adapter.server import build
    from mcp_adapter.tools import Tools

    tools = Tools(machines, toolsets)
    server = build(tools)
    gc.freeze()
    gc.enable()
    async with stdio_server() as (read, write):
        send, receive = anyio.create_memory_object_stream[
            "SessionMessage | Exception"
        ]()
        relay = asyncio.ensure_future(_relay(read, send, tools))
        try:
            await server.run(receive, write, server.create_initialization_options())
        except asyncio.CancelledError:  # stdout broke, and stdin may stay open for ever
            log.info("the client does not read any more")
            os._exit(0)
        await relay


async def _relay(
    read: "AsyncIterable[SessionMessage | Exception]",
    send: "MemoryObjectSendStream[SessionMessage | Exception]",
    tools: "Tools",
) -> None:
    """Pass on what comes in; at its end let the calls under way finish if they can."""
    async with send:
        async for message in read:
            await send.send(message)
        log.info("the client is gone")
        tools.leaving = True
        threading.Timer(_LEAVE_S, os._exit, (0,)).start()
        await asyncio.sleep(_BEGIN_S)  # what came last becomes a call
        await tools.settled(_SETTLE_S)
