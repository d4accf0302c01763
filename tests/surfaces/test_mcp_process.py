"""The server as a process: what it prints, how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mcp_server import COMMAND, Wire, wire
from sshd import SshServer
from waiting import wait_until


@pytest.fixture(params=["idle", "connecting", "running"])
def server(
    request: pytest.FixtureRequest, sshd: SshServer, tmp_path: Path
) -> Iterator[Wire]:
    """A server that waits for nothing, for a machine that is silent, or a command."""
    pid_file = tmp_path / "pid"
    sshd.write_toml(tmp_path)
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        host, port = silent.getsockname()
        environment = {}
        if request.param == "connecting":
            environment = {"SSH_HOST": host, "SSH_PORT": str(port)}
            (tmp_path / "sandbox.toml").unlink()
        server = stack.enter_context(wire(environment, tmp_path))
        server.begin()
        if request.param != "idle":
            command = f"echo $$ > {pid_file}; sleep 300; true"
            server.call(2, "remote_bash", command=command)
        if request.param == "connecting":
            stack.enter_context(silent.accept()[0])
        if request.param == "running":
            wait_until(pid_file.exists)
        yield server


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_signal_ends_it_at_once_in_any_state(
    number: signal.Signals, code: int, server: Wire
) -> None:
    began = time.perf_counter()
    server.process.send_signal(number)
    assert server.process.wait(5) == code
    assert time.perf_counter() - began < 1


def test_the_end_of_stdin_ends_it_at_once_in_any_state(server: Wire) -> None:
    began = time.perf_counter()
    assert server.leave() == 0
    assert time.perf_counter() - began < 1


def test_it_ends_when_nobody_reads_its_answers(tmp_path: Path) -> None:
    with wire({}, tmp_path) as server:
        server.begin()
        assert server.process.stdout
        server.process.stdout.close()
        server.send("ping", 2)
        server.send("ping", 3)
        assert server.process.wait(5) == 0


def test_what_was_asked_before_the_end_of_stdin_is_answered(tmp_path: Path) -> None:
    with wire({}, tmp_path) as server:
        server.begin()
        server.send("tools/list", 2)
        server.call(3, "remote_bash", command="true")
        assert server.process.stdin
        server.process.stdin.close()
        answers = [server.receive(), server.receive()]
        assert sorted(answer["id"] for answer in answers) == [2, 3]
        assert all("result" in answer for answer in answers)


def test_nothing_but_the_protocol_reaches_stdout(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sandbox_ops.discover as d\n"
        "settings = d.settings\n"
        "def loud(*args):\n"
        "    import os, subprocess\n"
        "    print('a library prints')\n"
        "    os.write(1, b'and a C library\\n')\n"
        "    subprocess.run(['echo', 'and a child'])\n"
        "    return settings(*args)\n"
        "d.settings = loud\n",
        "utf-8",
    )
    with wire({"PYTHONPATH": str(tmp_path)}, tmp_path) as server:
        server.begin()
        server.call(2, "remote_bash", command="true")
        assert server.answer(2)["result"]["isError"]
        assert server.leave() == 0
        assert server.process.stdout
        assert server.process.stdout.read() == b""
    said = (tmp_path / "stderr").read_text("utf-8")
    assert "a library prints" in said
    assert "and a C library" in said
    assert "and a child" in said


def test_a_line_that_is_no_message_does_not_end_it(tmp_path: Path) -> None:
    with wire({}, tmp_path) as server:
        server.begin()
        assert server.process.stdin
        server.process.stdin.write(b"not json\n\xff\xfe\n{}\n")
        server.send("ping", 2)
        assert server.answer(2)["result"] == {}


def test_help_is_there_without_the_protocol_library(tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("raise ImportError('not needed')", "utf-8")
    done = subprocess.run(
        [*COMMAND, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert "--log-file" in done.stdout
    assert "--sandbox" in done.stdout


def test_what_happens_is_logged_to_a_file_on_request(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with wire({}, tmp_path, "--log-file", str(path)) as server:
        server.begin()
        server.call(2, "remote_bash", command="true")
        server.answer(2)
        assert server.leave() == 0
    assert "no sandbox is configured" in path.read_text("utf-8")
    assert not (tmp_path / "stderr").read_bytes()


def test_a_log_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--log-file", "/nowhere/x.log"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "sandbox-ops-mcp: cannot log to /nowhere/x.log: No such file or directory\n"
    )


def test_the_library_does_not_know_the_protocol() -> None:
    code = "import sys, sandbox_ops.sandbox, sandbox_ops.jobs; assert 'mcp' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
