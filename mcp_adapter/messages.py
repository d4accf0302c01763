"""JSON-RPC messages as they arrive: each is read, or answered with what is wrong with it.

The SDK drops what it cannot read, or takes it for a notification, and the client waits
for ever. Pure.
"""

from typing import Any

from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import from_json

from sandbox_ops.text import broken_json

MOST_BYTES = 16 << 20
"""How large a message may be."""


class Refusal(JSONRPCError):  # noqa: N818 - a message, not an exception
    """The answer to a message that cannot be read; with its id, where that can be."""


def read(raw: bytes) -> JSONRPCMessage | Refusal:
    """Return the message, or the answer to what is none.

    Args:
        raw: One message; of one that is too large, its first `MOST_BYTES` and more.
    """
    if len(raw) > MOST_BYTES:
        size = f"larger than {MOST_BYTES >> 20} MiB"
        return _error(
            INVALID_REQUEST, f"Invalid request: {size}", broken_json.find_id(raw)
        )
    try:
        value = from_json(raw)
    except ValueError as problem:
        return _error(PARSE_ERROR, f"Parse error: {problem}", broken_json.find_id(raw))
    if not isinstance(value, dict):
        return _error(INVALID_REQUEST, "Invalid request: send one JSON object each")
    # An error with the id of a malformed response would end a call of ours.
    request_id = value.get("id") if "method" in value else None
    request_id = request_id if broken_json.is_id(request_id) else None
    try:
        message = jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        return _error(INVALID_REQUEST, _objection(value), request_id)
    if "method" in value and "id" in value and not isinstance(message, JSONRPCRequest):
        return _error(INVALID_REQUEST, _objection(value), request_id)
    return message


def _error(code: int, text: str, request_id: int | str | None = None) -> Refusal:
    error = ErrorData(code=code, message=text)
    return Refusal(jsonrpc="2.0", id=request_id, error=error)


def _objection(value: dict[str, Any]) -> str:
    if value.get("jsonrpc") != "2.0":
        return 'Invalid request: `jsonrpc` must be "2.0"'
    if "id" in value and not broken_json.is_id(value["id"]):
        return "Invalid request: `id` must be a text or a whole number"
    if not isinstance(value.get("method"), str):
        return "Invalid request: `method` must be a text"
    return "Invalid request: `params` must be an object"
