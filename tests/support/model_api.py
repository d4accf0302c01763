"""A model that plays a script, behind the Messages API (Anthropic) and the Responses API
(OpenAI) on loopback: what an agent's own program asks of a model, and when, can be seen
without an account.

A script gets each request that offers tools, and answers with one block: words, or the
call of a tool. Requests for anything else (a title, a count of tokens) are answered, and
not counted.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Block = dict[str, Any]
Script = Callable[[int, dict[str, Any]], Block]
"""Gets the number of the request, from 1, and the request; returns what the model says."""


def words(text: str) -> Block:
    """Return an answer that ends the model's turn."""
    return {"type": "text", "text": text}


def call(tool: str, **arguments: object) -> Block:
    """Return the call of a tool; `NAMESPACE/TOOL` where the API has namespaces."""
    return {"type": "tool_use", "id": "toolu_1", "name": tool, "input": arguments}


def tools(request: dict[str, Any]) -> set[str]:
    """Return the names of the tools and namespaces that a request offers."""
    return {str(tool.get("name")) for tool in request.get("tools", ())}


@dataclass
class Model:
    """The model's end of all conversations.

    Attributes:
        url: Where it listens.
        requests: What it was asked, in order, with the time of each.
    """

    url: str = ""
    requests: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def last_words(self) -> str:
        """The end of what it was asked last, as JSON."""
        request = self.requests[-1][1]
        return json.dumps((request.get("messages") or request["input"])[-1])


class _Api(ThreadingHTTPServer):
    """The endpoint, and whose script it plays."""

    daemon_threads = True

    def __init__(self, script: Script, needs_tool: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = Model(url=f"http://127.0.0.1:{self.server_port}")
        self._script, self._needs_tool = script, needs_tool
        self._lock = threading.Lock()

    def answer(self, request: dict[str, Any]) -> Block:
        """Return what the model says to a request."""
        if self._needs_tool not in tools(request):
            return words("{}")
        with self._lock:
            self.model.requests.append((time.monotonic(), request))
            return self._script(len(self.model.requests), request)


class _Handler(BaseHTTPRequestHandler):
    server: _Api
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send(404, "{}", "application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        events = _APIS.get(self.path.partition("?")[0])
        if events is None:
            self._send(200, '{"input_tokens": 1}', "application/json")
            return
        request = json.loads(body)
        block = self.server.answer(request)
        if request.get("stream"):
            stream = "".join(
                f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                for event in events(block)
            )
            self._send(200, stream, "text/event-stream")
        else:
            whole = {**_message(), "content": [block], "stop_reason": _stop(block)}
            self._send(200, json.dumps(whole), "application/json")

    def _send(self, code: int, text: str, kind: str) -> None:
        data = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def model_api(script: Script, needs_tool: str) -> Iterator[Model]:
    """Serve a script; only requests that offer this tool are part of it."""
    with _Api(script, needs_tool) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.model
        finally:
            server.shutdown()


def _message() -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [], "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip


def _stop(block: Block) -> str:
    return "tool_use" if block["type"] == "tool_use" else "end_turn"


def _events(block: Block) -> Iterator[dict[str, Any]]:
    """Yield one block as the API streams it."""
    if block["type"] == "tool_use":
        start = {**block, "input": {}}
        delta = {
            "type": "input_json_delta",
            "partial_json": json.dumps(block["input"]),
        }
    else:
        start = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    yield {"type": "message_start", "message": _message()}
    yield {"type": "content_block_start", "index": 0, "content_block": start}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": _stop(block), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


def _response_events(block: Block) -> Iterator[dict[str, Any]]:
    """Yield one block as the Responses API streams it."""
    item: dict[str, Any]
    if block["type"] == "tool_use":
        space, _, name = block["name"].rpartition("/")
        item = {
            "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name,
            "arguments": json.dumps(block["input"]),
        }  # fmt: skip
        item |= {"namespace": space} if space else {}
    else:
        said = [{"type": "output_text", "text": block["text"]}]
        item = {"type": "message", "role": "assistant", "content": said}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    yield {"type": "response.created", "response": {"id": "resp_1"}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": {"id": "resp_1", "usage": usage}}


_APIS = {"/v1/messages": _events, "/v1/responses": _response_events}
