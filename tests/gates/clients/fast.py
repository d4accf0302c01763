"""The client of fastmcp, with a server whose command is in argv. Prints JSON."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from fastmcp import Client  # type: ignore[import-not-found, unused-ignore]
from fastmcp.client.transports import (  # type: ignore[import-not-found, unused-ignore]
    StdioTransport,
)


async def main() -> dict[str, Any]:
    beats: list[str | None] = []

    async def beat(progress: float, total: float | None, message: str | None) -> None:
        assert progress
        assert total is None
        beats.append(message)

    command, *arguments = sys.argv[1:]
    transport = StdioTransport(command=command, args=arguments, cwd=str(Path.cwd()))
    async with Client(transport, progress_handler=beat) as client:
        tools = await client.list_tools()
        prompts = await client.list_prompts()
        result = await client.call_tool(
            "remote_bash",
            {"command": "echo begun; sleep 2.5; exit 3"},
            raise_on_error=False,
        )
        return {
            "tools": [tool.name for tool in tools],
            "prompts": len(prompts),
            "text": result.content[0].text,
            "is_error": result.is_error,
            "beats": beats,
        }


sys.stdout.write(json.dumps(asyncio.run(main())))
