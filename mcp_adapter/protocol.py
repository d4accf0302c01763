"""The protocol's side of the tools: lists them, calls them, in both of its eras.

The SDK's low-level server is used: it hands over the arguments as they were sent, so
that a wrong one is answered in our words, and it publishes the schemas as they are.
"""

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from importlib import metadata
from typing import Any

from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    Tool,
    ToolAnnotations,
)

from mcp_adapter import prompts
from mcp_adapter.tool_arguments import ToolArguments
from mcp_adapter.tools import Tools
from sandbox_ops.errors import UsageError
from sandbox_ops.guard import acts
from sandbox_ops.machine.async_calls import HeartbeatCallback
from sandbox_ops.text import marks, remote_text

_CLIENT_CHARACTERS = 100
Context = ServerRequestContext[dict[str, Any], Any]


def build(tools: Tools) -> Server[dict[str, Any]]:
    """Return a server of the tools, to be run on any transport."""
    with contextlib.redirect_stdout(sys.stderr):  # whatever the library's parts print
        place = prompts.Place(
            tools.surroundings, shutil.which("sandbox-ops") is not None
        )

    async def list_tools(
        _context: Context, _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        listed = await tools.listed()
        return ListToolsResult(tools=[_tool(spec, place.project) for spec in listed])

    async def call_tool(
        context: Context, params: CallToolRequestParams
    ) -> CallToolResult:
        try:
            with acts.asked_by(_client(context)):
                answer = await tools.call(
                    params.name, params.arguments, _heartbeat(context)
                )
        except KeyError:
            known = ", ".join(tools.names)
            message = f"Unknown tool: {params.name[:80]}. There are: {known}."
            raise MCPError(INVALID_PARAMS, message) from None
        # Text alone: hosts drop it where there is structured content beside.
        content = TextContent(type="text", text=answer.text)
        return CallToolResult(content=[content], is_error=answer.is_error)

    return Server(
        "sandbox-ops",
        title="Remote GPU sandbox",
        version=_version(),
        instructions=prompts.instructions(place, has_workflows=tools.has_workflows),
        lifespan=_stdout_is_the_wire,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=_list_prompts if tools.has_workflows else None,
        on_get_prompt=_get_prompt if tools.has_workflows else None,
    )


def _client(context: Context) -> str:
    """Return the name and version of the host that asks, as it says them."""
    known = context.session.client_params
    if known is None:
        return ""
    client = f"{known.client_info.name} {known.client_info.version}"
    return remote_text.safe_line(client)[:_CLIENT_CHARACTERS]


async def _list_prompts(
    _context: Context, _params: PaginatedRequestParams | None
) -> ListPromptsResult:
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=name,
                title=spec["title"],
                description=spec["words"],
                arguments=[
                    PromptArgument(name=each, description=argument["words"])
                    for each, argument in spec.get("arguments", {}).items()
                ],
            )
            for name, spec in prompts.specs().items()
        ]
    )


async def _get_prompt(
    _context: Context, params: GetPromptRequestParams
) -> GetPromptResult:
    try:
        text = prompts.filled(params.name, params.arguments)
    except UsageError as problem:
        raise MCPError(INVALID_PARAMS, str(problem)) from None
    message = PromptMessage(role="user", content=TextContent(type="text", text=text))
    return GetPromptResult(messages=[message])


def _version() -> str:
    try:
        return metadata.version("sandbox-ops")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "unknown"


def _tool(spec: type[ToolArguments], project: str) -> Tool:
    if spec.reads_only:
        annotations = ToolAnnotations(read_only_hint=True)
    else:
        annotations = ToolAnnotations(destructive_hint=spec.destructive)
    return Tool(
        name=spec.tool_name,
        title=spec.title,
        description=spec.words,
        input_schema=spec.input_schema(project),
        annotations=annotations,
    )


def _heartbeat(context: Context) -> HeartbeatCallback | None:
    if not context.meta or "progress_token" not in context.meta:
        return None

    async def callback(elapsed_s: float, line: str) -> None:
        shown = marks.shown(line)
        await context.session.report_progress(round(elapsed_s, 1), message=shown)

    return callback


@contextlib.asynccontextmanager
async def _stdout_is_the_wire(_server: Any) -> AsyncIterator[dict[str, Any]]:  # noqa: ANN401
    """Send what anything prints to stderr while the server runs.

    What is printed would stay in a buffer and reach the client at the end, between the
    messages of the protocol.
    """
    saved, sys.stdout = sys.stdout, sys.stderr
    try:
        yield {}
    finally:
        sys.stdout = saved
