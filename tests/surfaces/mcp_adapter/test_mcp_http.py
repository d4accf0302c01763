"""The server over HTTP: who may talk to it, who may not, and that it works."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import processes
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_http import HEADERS, INITIALIZE, TOKEN, Served, served
from mcp_server import COMMAND, ERAS, text
from sshd import SshServer
from waiting import wait_until

from sandbox_ops.guard import bearer_token


@pytest.fixture(scope="module")
def server(
    sshd: SshServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("http")
    sshd.write_toml(folder)
    with served(folder, SANDBOX_OPS_MCP_TOKEN=TOKEN) as server:
        yield server


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_client_with_the_token_is_served(scheme: str, server: Served) -> None:
    status, output = server.post(authorization=f"{scheme} {TOKEN}")
    assert status == 200
    assert '"serverInfo"' in output


def half_requests(port: int, count: int) -> list[socket.socket]:
    """Return connections that began a request and do not end it."""
    links = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for link in links:
        with contextlib.suppress(OSError):  # dropped already
            link.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    return links


@pytest.mark.slow
def test_half_requests_hold_few_connections_and_keep_no_client_out(
    tmp_path: Path,
) -> None:
    with served(tmp_path, SANDBOX_OPS_MCP_TOKEN=TOKEN) as server:
        descriptors = Path(f"/proc/{server.process.pid}/fd")
        assert server.post()[0] == 401
        before = len(list(descriptors.iterdir()))
        links = half_requests(server.port, 400)
        assert server.post(authorization=f"Bearer {TOKEN}")[0] == 200
        assert len(list(descriptors.iterdir())) < before + 100
        wait_until(
            lambda: len(list(descriptors.iterdir())) <= before + 1,
            20,
            what="the deadline of the half requests",
        )
        for link in links:
            link.close()


def test_a_request_without_the_token_loses_its_connection(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        link.sendall(
            b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n\r\n"
        )
        answer = b"".join(iter(lambda: link.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_a_session_that_nobody_uses_expires(tmp_path: Path) -> None:
    arguments = ("--idle-timeout", "0.3")
    with served(tmp_path, *arguments, SANDBOX_OPS_MCP_TOKEN=TOKEN) as server:
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        link.request("POST", "/mcp", json.dumps(INITIALIZE), HEADERS)
        answer = link.getresponse()
        answer.read()
        session = {**HEADERS, "Mcp-Session-Id": answer.headers["Mcp-Session-Id"]}
        ping = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "ping"})

        def status() -> int:
            link.request("POST", "/mcp", ping, session)
            answer = link.getresponse()
            answer.read()
            return answer.status

        # Each look is a use of the session: they must be rarer than its end.
        wait_until(lambda: status() == 404, every_s=0.5, what="the session's end")
        link.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"bearer{TOKEN}"},
        {"authorization": f"Basic {TOKEN}"},
        {"cookie": f"token={TOKEN}"},
    ],
)
@pytest.mark.parametrize("path", ["/mcp", "/", "/docs"])
def test_a_client_without_the_token_gets_nothing(
    headers: dict[str, str], path: str, server: Served
) -> None:
    assert server.post(path=path, **headers) == (401, "a bearer token is needed\n")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8931", "127.0.0.1"])
def test_a_name_that_was_bound_to_us_is_refused(host: str, server: Served) -> None:
    status, _ = server.post(authorization=f"Bearer {TOKEN}", host=host)
    assert status == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "null"])
def test_a_page_of_somebody_else_is_refused(origin: str, server: Served) -> None:
    status, _ = server.post(authorization=f"Bearer {TOKEN}", origin=origin)
    assert status == 403


@pytest.mark.parametrize("era", ERAS)
def test_the_tools_work_as_over_stdio(era: str, server: Served) -> None:
    beats: list[str | None] = []

    async def beat(progress: float, total: float | None, message: str | None) -> None:
        assert progress
        assert total is None
        beats.append(message)

    async def main() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as link:
            url = f"http://127.0.0.1:{server.port}/mcp"
            transport = streamable_http_client(url, http_client=link)
            async with Client(transport, mode=era) as client:
                assert len((await client.list_tools()).tools) == 5
                result = await client.call_tool(
                    "remote_bash",
                    {"command": "echo begun; sleep 2.5; exit 3"},
                    progress_callback=beat,
                )
                assert text(result) == "exit code 3\nbegun"

    asyncio.run(main())
    assert beats
    assert (beats[0] or "").endswith(": begun")


@pytest.mark.parametrize(
    ("words", "env", "message", "code"),
    [
        ((), {}, "--http needs a token, and SANDBOX_OPS_MCP_TOKEN is not set", 78),
        ((), {"SANDBOX_OPS_MCP_TOKEN": "short"}, "24 or more plain characters", 78),
        (("--token-file", "/nowhere"), {}, "cannot read /nowhere", 78),
        (("--token-file", "/dev/zero"), {}, "/dev/zero", 78),
    ],
)
def test_it_does_not_start_without_a_good_token(
    words: tuple[str, ...], env: dict[str, str], message: str, code: int, tmp_path: Path
) -> None:
    assert message in refused(tmp_path, "--http", *words, code=code, **env)


def refused(folder: Path, *words: str, code: int, **env: str) -> str:
    done = subprocess.run(
        [*COMMAND, *words, "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        cwd=folder,
        env={**os.environ, **env},
    )
    assert done.returncode == code, done
    return done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_it_listens_on_loopback_alone(address: str, tmp_path: Path) -> None:
    output = refused(tmp_path, "--http", address, code=2, SANDBOX_OPS_MCP_TOKEN=TOKEN)
    assert "serves this computer only" in output


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", "utf-8")
    path.chmod(0o640)
    output = refused(tmp_path, "--http", "--token-file", str(path), code=78)
    assert f"chmod 600 {path}" in output
    path.chmod(0o600)
    with served(tmp_path, "--token-file", str(path)) as server:
        assert server.post(authorization=f"Bearer {TOKEN}")[0] == 200


def test_what_the_server_starts_does_not_inherit_the_token() -> None:
    environ = {"TOKEN": TOKEN, "HOME": "/root"}
    assert bearer_token.read("TOKEN", None, environ) == TOKEN
    assert environ == {"HOME": "/root"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_the_command_goes_on(
    number: signal.Signals, sshd: SshServer, tmp_path: Path
) -> None:
    sshd.write_toml(tmp_path)
    pid_file = tmp_path / "pid"
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {
            "name": "remote_bash",
            "arguments": {"command": f"echo $$ > {pid_file}; sleep 300; true"},
        },
    }
    with served(tmp_path, SANDBOX_OPS_MCP_TOKEN=TOKEN) as server:
        headers = {**HEADERS}
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        link.request("POST", "/mcp", json.dumps(INITIALIZE), headers)
        answer = link.getresponse()
        headers["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]
        answer.read()
        initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        link.request("POST", "/mcp", json.dumps(initialized), headers)
        link.getresponse().read()
        link.request("POST", "/mcp", json.dumps(call), headers)
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
        server.process.send_signal(number)
        assert server.process.wait(5) == 128 + number
        link.close()
    pid = int(pid_file.read_text())
    assert processes.alive(pid)
    processes.end([pid])
