"""tunnel, against a real sshd: a real server's port here, through lost links."""

import contextlib
import http.client
import http.server
import os
import signal
import socket
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import set_up
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import CancelToken, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Project
from sandbox_ops.ssh.openssh_master import end_all
from sandbox_ops.workflows.tensorboard import port_in
from sandbox_ops.workflows.tunnel import TunnelReport, WantedTunnel, tunnel

MakeSshd = Callable[..., SshServer]
NOWHERE = Project()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"you asked for {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web_port() -> Iterator[int]:
    """The port of a real web server on this machine's loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()


def read(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    with contextlib.closing(client):
        client.request("GET", parts.path)
        return client.getresponse().read().decode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_port_there_is_a_url_here(shared_sandbox: Sandbox, web_port: int) -> None:
    wanted = WantedTunnel(port=web_port, local_port=0)
    with tunnel(shared_sandbox, NOWHERE, wanted) as report:
        assert report.as_json()["port"] == web_port
        assert report.url == f"http://127.0.0.1:{report.local_port}/"
        assert report.warnings == ()
        for n in range(5):
            assert read(f"{report.url}x{n}") == f"you asked for /x{n}"
    with pytest.raises(ConnectionError):
        read(report.url)


def test_it_listens_on_loopback_alone(shared_sandbox: Sandbox, web_port: int) -> None:
    with tunnel(
        shared_sandbox, NOWHERE, WantedTunnel(port=web_port, local_port=0)
    ) as t:
        outside = socket.socket(socket.AF_INET6)
        with outside, pytest.raises(ConnectionRefusedError):
            outside.connect(("::1", t.local_port))
        lines = Path("/proc/net/tcp").read_text().splitlines()
        listening = [
            line.split()[1] for line in lines if f":{t.local_port:04X} " in line
        ]
        assert {line.partition(":")[0] for line in listening} == {"0100007F"}


def test_a_port_that_is_taken_here_names_who_has_it(
    shared_sandbox: Sandbox, web_port: int
) -> None:
    wanted = WantedTunnel(port=6006, local_port=web_port)
    with (
        pytest.raises(RefusedError) as caught,
        tunnel(shared_sandbox, NOWHERE, wanted),
    ):
        pass
    assert f"port {web_port} of this computer" in caught.value.message
    assert f"(pid {os.getpid()})" in caught.value.message
    assert "sandbox-ops tunnel --port 6006 --local" in caught.value.hint


def test_where_nothing_listens_yet_it_waits_and_says_so(
    shared_sandbox: Sandbox,
) -> None:
    port = free_port()
    reports: list[str] = []
    wanted = WantedTunnel(port=port, local_port=0)
    with tunnel(shared_sandbox, NOWHERE, wanted, reports.append) as report:
        assert report.warnings == (f"nothing listens on port {port} of test yet",)
        with pytest.raises(ConnectionError):
            read(report.url)
        wait_until(lambda: reports)
        assert reports == [f"nothing listens on port {port} of test"]
        with http.server.HTTPServer(("127.0.0.1", port), Handler) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            assert read(report.url) == "you asked for /"


@contextlib.contextmanager
def watched(report: TunnelReport) -> Iterator[list[str]]:
    reports: list[str] = []
    cancel = CancelToken()
    thread = threading.Thread(target=report.watch, args=(reports.append, cancel))
    thread.start()
    try:
        yield reports
    finally:
        cancel.cancel()
        thread.join(20)
        assert not thread.is_alive()


def test_a_lost_link_is_opened_again_behind_the_same_url(
    make_sshd: MakeSshd, web_port: int
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        wanted = WantedTunnel(port=web_port, local_port=0)
        with tunnel(sandbox, NOWHERE, wanted) as report, watched(report) as reports:
            assert read(report.url)
            for pid in server.session_pids():
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: any("connected again" in line for line in reports), 60)
            assert read(report.url) == "you asked for /"
            server.stop()
            wait_until(lambda: reports.count(reports[0]) == 2, 60)
            server.start(busy=True)
            wait_until(lambda: "connected again" in reports[-1], 90)
            assert read(report.url) == "you asked for /"
    assert reports[0] == "the connection was lost; it is opened again"


@pytest.fixture(params=["openssh", "command"])
def by_another_link(
    request: pytest.FixtureRequest, sshd: SshServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """A sandbox that is reached by the user's own ssh, or by a command."""
    words = request.param if request.param == "openssh" else ("sh",)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        config = sshd.config(link=words)
        with Sandbox(config) as sandbox:
            yield sandbox
        if config.by_ssh:
            end_all(config)


def test_a_machine_that_is_reached_by_openssh_or_a_command_has_tunnels_too(
    by_another_link: Sandbox, web_port: int, sshd: SshServer
) -> None:
    before = sshd.log.count("Accepted publickey")
    wanted = WantedTunnel(port=web_port, local_port=0)
    with tunnel(by_another_link, NOWHERE, wanted) as report:
        assert report.warnings == ()
        for n in range(3):
            assert read(f"{report.url}x{n}") == f"you asked for /x{n}"
    assert sshd.log.count("Accepted publickey") - before <= 1  # that of ssh's own


def test_over_openssh_or_a_command_it_says_that_nothing_listens(
    by_another_link: Sandbox,
) -> None:
    port = free_port()
    reports: list[str] = []
    wanted = WantedTunnel(port=port, local_port=0)
    with tunnel(by_another_link, NOWHERE, wanted, reports.append) as report:
        assert report.warnings == (f"nothing listens on port {port} of test yet",)
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            read(report.url)
        wait_until(lambda: reports)
    assert reports[0] == f"nothing listens on port {port} of test"


def test_a_tunnel_over_openssh_goes_on_when_the_connection_was_lost(
    sshd: SshServer, web_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        config = sshd.config(link="openssh")
        with Sandbox(config) as sandbox:
            wanted = WantedTunnel(port=web_port, local_port=0)
            with tunnel(sandbox, NOWHERE, wanted) as report:
                assert read(report.url)
                assert end_all(config)

                def answers() -> bool:
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        return read(report.url) == "you asked for /"
                    return False

                wait_until(answers, 30)
        end_all(config)


TENSORBOARD = f"""#!{sys.executable}
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ' '.join(sys.argv[1:]).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
print('NOTE: Using experimental fast data loading logic.', file=sys.stderr)
print(f'TensorBoard 2.20.0 at http://127.0.0.1:{{server.server_port}}/ (Press CTRL+C to quit)',
      file=sys.stderr, flush=True)
server.serve_forever()
"""


@pytest.fixture
def with_board(sandbox: Sandbox, git_project: GitProject) -> Project:
    """A project whose environment has a program `tensorboard`, that serves its arguments."""
    git_project.commit({".gitignore": ".venv/\nlogs/\n"}, push=True)
    place = set_up(sandbox, git_project)
    program = place.write(".venv/bin/tensorboard", TENSORBOARD)
    program.chmod(0o755)
    return place.project


def test_a_tensorboard_is_started_there_and_stopped_at_the_end(
    sandbox: Sandbox, with_board: Project
) -> None:
    wanted = WantedTunnel(with_tensorboard=True)
    with tunnel(sandbox, with_board, wanted) as report:
        root = sandbox.project_path(with_board)
        assert read(report.url) == f"--logdir {root}/runs --host 127.0.0.1 --port 0"
        job = jobs.get(sandbox, report.job)
        assert (job.name, job.state.ended) == ("tensorboard", False)
        with tunnel(sandbox, with_board, wanted) as second:
            assert second.job == report.job, "another one was started"
        assert not jobs.get(sandbox, report.job).state.ended, "not ours to stop"
    assert jobs.get(sandbox, report.job).state.ended


def test_a_tensorboard_whose_port_here_is_taken_is_asked_for_again_as_one(
    sandbox: Sandbox, with_board: Project, web_port: int
) -> None:
    wanted = WantedTunnel(with_tensorboard=True, local_port=web_port)
    with pytest.raises(RefusedError) as caught, tunnel(sandbox, with_board, wanted):
        pass
    assert "sandbox-ops tunnel --tensorboard --local" in caught.value.hint


def test_a_tensorboard_that_is_kept_is_used_again(
    sandbox: Sandbox, with_board: Project
) -> None:
    wanted = WantedTunnel(with_tensorboard=True, logdir="logs", keep=True)
    with tunnel(sandbox, with_board, wanted) as first:
        pass
    assert not jobs.get(sandbox, first.job).state.ended
    with tunnel(sandbox, with_board, wanted) as second:
        assert second.job == first.job
        assert "/logs " in read(second.url)
    jobs.stop(sandbox, first.job, grace_s=1)


def test_a_machine_without_tensorboard_is_told_apart(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    place = set_up(sandbox, git_project)
    wanted = WantedTunnel(with_tensorboard=True)
    with (
        pytest.raises(NotFoundError, match="tensorboard is not installed there"),
        tunnel(sandbox, place.project, wanted),
    ):
        pass


def test_the_port_is_read_from_what_tensorboard_says() -> None:
    for line, port in [
        ("TensorBoard 2.20.0 at http://localhost:6006/ (Press CTRL+C to quit)", 6006),
        ("TensorBoard 2.11.2 at http://127.0.0.1:41234/ (Press CTRL+C to quit)", 41234),
        ("Serving TensorBoard on localhost; to expose to the network", None),
        ("2026-11-26 01:02:03.456: I tensorflow/core at 12:30", None),
    ]:
        assert port_in(line) == port, line
