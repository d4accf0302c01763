"""The SDK's client of version 1, with a server whose command is in argv. Prints JSON."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> dict[str, Any]:
    beats: list[Any] = []

    async def beat(*beaten: Any) -> None:  # noqa: ANN401 - of version 1
        beats.append(beaten[2])

    command, *arguments = sys.argv[1:]
    server = StdioServerParameters(command=command, args=arguments, cwd=str(Path.cwd()))
    async with stdio_client(server) as streams, ClientSession(*streams[:2]) as session:
        client: Any = session  # typed for version 2 where this is checked
        shaken = await client.initialize()
        tools = await client.list_tools()
        prompts = await client.list_prompts()
        result = await client.call_tool(
            "remote_bash",
            {"command": "echo begun; sleep 2.5; exit 3"},
            progress_callback=beat,
        )
        return {
            "protocol": shaken.protocolVersion,
            "tools": [tool.name for tool in tools.tools],
            "prompts": len(prompts.prompts),
            "text": result.content[0].text,
            "is_error": result.isError,
            "beats": beats,
        }


sys.stdout.write(json.dumps(asyncio.run(main())))
