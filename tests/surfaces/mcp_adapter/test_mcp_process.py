"""The server as a process: what it prints, how it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp_server import COMMAND, Wire, wire
from network import black_hole, private_network
from sshd import SshServer
from waiting import wait_until


@dataclass
class Place:
    """Where a server is brought into a state, and what has to be undone."""

    folder: Path
    machine: SshServer
    stack: ExitStack

    def start(self, **environment: str) -> Wire:
        if not environment:
            self.machine.write_toml(self.folder)
        server = self.stack.enter_context(wire(environment, self.folder))
        server.begin()
        return server


def idle(place: Place) -> Wire:
    """It waits for nothing."""
    return place.start()


def met_with_silence(place: Place) -> Wire:
    """It waits for the greeting of a machine that says nothing."""
    silent = place.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    host, port = silent.getsockname()
    server = place.start(SSH_HOST=host, SSH_PORT=str(port))
    server.call(2, "remote_bash", command="true")
    place.stack.enter_context(silent.accept()[0])
    return server


def in_a_black_hole(place: Place) -> Wire:
    """It waits for an answer to the first packet."""
    place.stack.enter_context(private_network())
    black_hole(22)
    server = place.start(SSH_HOST="127.0.0.1")
    server.call(2, "remote_bash", command="true")
    asking = ["ss", "-Htn", "state", "syn-sent"]
    wait_until(lambda: subprocess.run(asking, check=True, capture_output=True).stdout)
    return server


def with_twenty_commands(place: Place) -> Wire:
    """It waits for twenty commands."""
    server = place.start()
    pids = place.folder / "pids"
    pids.mkdir()
    for number in range(20):
        command = f"echo $$ > {pids}/{number}; sleep 300; true"
        server.call(2 + number, "remote_bash", command=command)
    wait_until(lambda: len(list(pids.iterdir())) == 20, 30)
    return server


def in_mid_read(place: Place) -> Wire:
    """It waits for lines of a file, from a machine that froze."""
    server = place.start()
    server.call(2, "remote_bash", command="true")
    server.answer(2)
    for pid in place.machine.session_pids():
        os.kill(pid, signal.SIGSTOP)
        place.stack.callback(os.kill, pid, signal.SIGCONT)
    server.call(3, "remote_file_read", file_path="/etc/services")
    server.send("ping", 4)
    assert server.answer(4)["result"] == {}  # so the call before it has begun
    return server


STATES = (idle, met_with_silence, in_a_black_hole, with_twenty_commands, in_mid_read)


@pytest.fixture(params=STATES, ids=lambda state: state.__name__)
def server(
    request: pytest.FixtureRequest,
    make_sshd: Callable[[], SshServer],
    tmp_path: Path,
) -> Iterator[Wire]:
    """A server in one of the states that it can be in."""
    with ExitStack() as stack:
        yield request.param(Place(tmp_path, make_sshd(), stack))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_it_in_any_state(
    number: signal.Signals, code: int, server: Wire
) -> None:
    server.process.send_signal(number)
    assert server.process.wait(5) == code


def test_the_end_of_stdin_ends_it_in_any_state(server: Wire) -> None:
    assert server.leave() == 0


def test_it_ends_when_nobody_reads_its_answers(tmp_path: Path) -> None:
    with wire({}, tmp_path) as server:
        server.begin()
        assert server.process.stdout
        server.process.stdout.close()
        server.send("ping", 2)
        server.send("ping", 3)
        assert server.process.wait(5) == 0


def nobody(folder: Path) -> dict[str, str]:
    """Return the variables of a user who has configured no machine."""
    return {"XDG_CONFIG_HOME": str(folder / "config")}


def test_what_was_asked_before_the_end_of_stdin_is_answered(tmp_path: Path) -> None:
    with wire(nobody(tmp_path), tmp_path) as server:
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
        "import sandbox_ops.config.discover as d\n"
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
    with wire(nobody(tmp_path) | {"PYTHONPATH": str(tmp_path)}, tmp_path) as server:
        server.begin()
        server.call(2, "remote_bash", command="true")
        assert server.answer(2)["result"]["isError"]
        assert server.leave() == 0
        assert server.process.stdout
        assert server.process.stdout.read() == b""
    text = (tmp_path / "stderr").read_text("utf-8")
    assert "a library prints" in text
    assert "and a C library" in text
    assert "and a child" in text


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
    with wire(nobody(tmp_path), tmp_path, "--log-file", str(path)) as server:
        server.begin()
        server.call(2, "remote_bash", command="true")
        server.answer(2)
        assert server.leave() == 0
    assert "no sandbox is configured" in path.read_text("utf-8")
    assert not (tmp_path / "stderr").read_bytes()


def test_a_log_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "absent/server.log"
    done = subprocess.run(
        [*COMMAND, "--log-file", str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"sandbox-ops-mcp: cannot log to {path}: No such file or directory\n"
    )


def test_the_library_does_not_know_the_protocol() -> None:
    code = "import sys, sandbox_ops.machine.sandbox, sandbox_ops.machine.jobs; assert 'mcp' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
