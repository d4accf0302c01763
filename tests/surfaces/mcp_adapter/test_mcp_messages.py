"""No request is left without an answer: what cannot be read is refused, with its id."""

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp.types import INVALID_REQUEST, PARSE_ERROR
from mcp_http import HEADERS, TOKEN, Served, served
from mcp_server import Wire, wire

DEEP = b"[" * 20_000 + b"]" * 20_000
HUGE = b"x" * (17 << 20)
UNREADABLE = {
    "half an emoji": (
        rb'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\ud83d"}}',
        PARSE_ERROR,
        7,
    ),
    "nested 20,000 deep": (
        b'{"jsonrpc":"2.0","method":"tools/list","params":{"x":%s},"id":"deep"}' % DEEP,
        PARSE_ERROR,
        "deep",
    ),
    "not UTF-8": (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"x":"\xff"}}',
        PARSE_ERROR,
        7,
    ),
    "cut off": (b'{"jsonrpc":"2.0","id":7,"method":"tools/li', PARSE_ERROR, 7),
    "an id inside of the arguments": (
        b'{"jsonrpc":"2.0","method":"tools/call","params":{"id":3,"x":"\xff"}}',
        PARSE_ERROR,
        None,
    ),
    "an id of half an emoji": (
        rb'{"jsonrpc":"2.0","id":"\ud83d","method":"tools/list"}',
        PARSE_ERROR,
        None,
    ),
    "no JSON": (b"GET / HTTP/1.1", PARSE_ERROR, None),
    "no jsonrpc": (b'{"id":7,"method":"tools/list"}', INVALID_REQUEST, 7),
    "a batch": (
        b'[{"jsonrpc":"2.0","id":7,"method":"tools/list"}]',
        INVALID_REQUEST,
        None,
    ),
    "an id of null": (
        b'{"jsonrpc":"2.0","id":null,"method":"tools/list"}',
        INVALID_REQUEST,
        None,
    ),
    "an id that is a list": (
        b'{"jsonrpc":"2.0","id":[7],"method":"tools/list"}',
        INVALID_REQUEST,
        None,
    ),
    "params that are a list": (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[]}',
        INVALID_REQUEST,
        7,
    ),
    "17 MiB": (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"x":"%s"}}' % HUGE,
        INVALID_REQUEST,
        7,
    ),
    "a response that is none": (
        b'{"jsonrpc":"2.0","id":7,"result":5}',
        INVALID_REQUEST,
        None,
    ),
}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
ERAS = {"2025-11-25": {}, "2026-07-28": {"_meta": ENVELOPE}}

unreadable = pytest.mark.parametrize(
    ("sent", "code", "request_id"), UNREADABLE.values(), ids=UNREADABLE
)
eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture(scope="module", params=ERAS)
def spoken(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Wire, str]]:
    """A server on stdin, and the era that it is spoken to in."""
    with wire({}, tmp_path_factory.mktemp("stdio")) as server:
        if request.param == "2025-11-25":
            server.begin()
        yield server, request.param


@unreadable
def test_a_line_that_cannot_be_read_is_answered_and_the_next_one_works(
    spoken: tuple[Wire, str], sent: bytes, code: int, request_id: int | str | None
) -> None:
    server, era = spoken
    server.write(sent + b"\n")
    answer = server.receive()
    assert answer["error"]["code"] == code
    assert answer["id"] == request_id
    server.send("tools/list", 8, **ERAS[era])
    assert server.answer(8)["result"]["tools"]


def test_the_first_line_may_be_one_that_cannot_be_read(tmp_path: Path) -> None:
    with wire({}, tmp_path) as server:
        server.write(b"\n\r\n{}\n")
        assert server.receive()["error"]["code"] == INVALID_REQUEST
        assert server.begin()["result"]["serverInfo"]


def test_a_last_line_without_its_end_is_answered(tmp_path: Path) -> None:
    with wire({}, tmp_path) as server:
        server.begin()
        server.write(b'{"jsonrpc":"2.0","id":7,')
        assert server.process.stdin
        server.process.stdin.close()
        assert server.receive()["id"] == 7


@pytest.fixture(scope="module")
def http_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("http")
    with served(folder, SANDBOX_OPS_MCP_TOKEN=TOKEN) as server:
        yield server


@eras
@unreadable
def test_a_post_that_cannot_be_read_is_answered(
    era: str,
    sent: bytes,
    code: int,
    request_id: int | str | None,
    http_server: Served,
) -> None:
    link = http.client.HTTPConnection("127.0.0.1", http_server.port, timeout=10)
    headers = {**HEADERS}
    if era == "2026-07-28":
        headers["MCP-Protocol-Version"] = era
    link.request("POST", "/mcp", sent, headers)
    response = link.getresponse()
    answer = json.loads(response.read())
    link.close()
    assert response.status in {400, 413}
    assert (answer["error"]["code"], answer["id"]) == (code, request_id)


def test_what_the_server_starts_reads_nothing_of_the_protocol(tmp_path: Path) -> None:
    reads_stdin = tmp_path / "git"
    reads_stdin.write_text(f"#!/bin/sh\ncat > {tmp_path}/eaten\nexit 1\n", "utf-8")
    reads_stdin.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with wire({"PATH": path}, tmp_path, "--toolsets", "workflow") as server:
        server.begin()
        server.call(2, "remote_monitor")
        server.answer(2)
        server.send("tools/list", 3)
        assert server.answer(3)["result"]["tools"]
    eaten = tmp_path / "eaten"
    assert not eaten.exists() or not eaten.read_bytes()
