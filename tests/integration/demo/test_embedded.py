"""The embedded sandbox is an SSH server that clients take for one."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import paramiko
import processes
import pytest
from processes import Child
from waiting import wait_until

from sandbox_ops.demo import leftovers
from sandbox_ops.demo.embedded import embedded_sandbox
from sandbox_ops.errors import ConnectError
from sandbox_ops.models import SandboxConfig


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxConfig]:
    with embedded_sandbox(tmp_path_factory.mktemp("embedded")) as config:
        yield config


@pytest.fixture
def client(box: SandboxConfig) -> Iterator[paramiko.SSHClient]:
    with connect(box) as connection:
        yield connection


def connect(box: SandboxConfig) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.load_host_keys(str(box.known_hosts))
    client.connect(
        "127.0.0.1",
        port=box.port or 0,
        username=box.user,
        key_filename=box.identity_file,
        allow_agent=False,
        look_for_keys=False,
        timeout=10,
    )
    return client


def run(
    client: paramiko.SSHClient, command: str, stdin: bytes = b""
) -> tuple[int, bytes, bytes]:
    to, out, err = client.exec_command(command, timeout=30)
    feeder = threading.Thread(target=feed, args=(to, stdin))
    feeder.start()
    output, complained = out.read(), err.read()
    feeder.join()
    return out.channel.recv_exit_status(), output, complained


def feed(stdin: paramiko.channel.ChannelStdinFile, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it may have ended without reading it
        stdin.write(data)
        stdin.channel.shutdown_write()


def test_a_command_answers_with_its_output(client: paramiko.SSHClient) -> None:
    assert run(client, "echo hello") == (0, b"hello\n", b"")


def test_the_exit_code_is_the_commands_own(client: paramiko.SSHClient) -> None:
    assert run(client, "exit 3") == (3, b"", b"")


def test_stderr_comes_apart_from_stdout(client: paramiko.SSHClient) -> None:
    assert run(client, "echo a; echo b >&2") == (0, b"a\n", b"b\n")


def test_one_stream_may_end_long_before_the_other(client: paramiko.SSHClient) -> None:
    command = "exec >&-; sleep 0.2; echo late >&2"
    assert run(client, command) == (0, b"", b"late\n")


def test_signals_are_reported_in_both_directions(box: SandboxConfig) -> None:
    # paramiko and ssh know no signal names: asked of a client that does.
    async def talk() -> tuple[object, ...]:
        async with asyncssh.connect(
            "127.0.0.1",
            box.port or 0,
            username=box.user,
            client_keys=[box.identity_file],
            known_hosts=box.known_hosts,
            config=None,
        ) as connection:
            done = await connection.run("kill -KILL $$", timeout=10)
            sent = await connection.create_process("sleep 86410; echo no")
            sent.send_signal("TERM")
            return done.exit_signal, (await sent.wait(timeout=10)).exit_signal

    first, second = asyncio.run(talk())
    assert (first[0], second[0]) == ("KILL", "TERM")  # type: ignore[index]


def ssh(
    box: SandboxConfig, command: str, *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", "-F", str(box.ssh_config), *options, box.host, command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_ssh_client_needs_nothing_but_the_written_config(
    box: SandboxConfig,
) -> None:
    assert ssh(box, "echo $HOME").stdout.strip().endswith("/home")


def test_a_megabyte_goes_in_and_comes_back(client: paramiko.SSHClient) -> None:
    data = os.urandom(1 << 20)
    assert run(client, "cat", data) == (0, data, b"")


def test_a_command_that_reads_nothing_may_be_fed(client: paramiko.SSHClient) -> None:
    assert run(client, "true", b"x" * 1000) == (0, b"", b"")


def test_twenty_sessions_at_once_on_one_connection(client: paramiko.SSHClient) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(
            lambda number: run(client, f"sleep 0.3; echo {number}; exit {number}"),
            range(20),
        )
        assert [(code, out) for code, out, _ in answers] == [
            (number, b"%d\n" % number) for number in range(20)
        ]


def test_sftp_brings_a_file(client: paramiko.SSHClient, tmp_path: Path) -> None:
    run(client, "head -c 300000 /dev/zero > zeros")
    with client.open_sftp() as sftp:
        sftp.get("zeros", str(tmp_path / "zeros"))
    assert (tmp_path / "zeros").read_bytes() == bytes(300000)


def test_only_the_key_in_its_folder_opens_it(
    box: SandboxConfig,
) -> None:
    client = paramiko.SSHClient()
    client.load_host_keys(str(box.known_hosts))
    stranger = paramiko.ECDSAKey.generate()
    with client, pytest.raises(paramiko.AuthenticationException):
        client.connect(
            "127.0.0.1",
            port=box.port or 0,
            username=box.user,
            pkey=stranger,
            allow_agent=False,
            look_for_keys=False,
        )


def test_a_login_shell_finds_a_python(client: paramiko.SSHClient) -> None:
    code, out, err = run(client, "sh -lc 'python3 -c \"import pydoc_data.topics\"'")
    assert (code, out, err) == (0, b"", b"")


def test_the_callers_environment_stays_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("A_SECRET", "of the caller")
    with embedded_sandbox(tmp_path) as box, connect(box) as client:
        assert run(client, "env | grep -c A_SECRET")[1] == b"0\n"


def test_a_vanished_client_kills_nothing(box: SandboxConfig) -> None:
    folder = Path(str(box.ssh_config)).parent
    with connect(box) as client:
        run(client, "setsid sleep 86411 >/dev/null 2>&1 </dev/null &")
        client.exec_command("cat; exec sleep 86412")
        wait_until(lambda: "sleep 86411" in leftovers.find(folder).values())
    wait_until(lambda: "sleep 86412" in leftovers.find(folder).values())
    assert "sleep 86411" in leftovers.find(folder).values()


def test_nothing_outlives_a_stopped_server(tmp_path: Path) -> None:
    with embedded_sandbox(tmp_path) as box, connect(box) as client:
        run(client, "setsid sleep 86413 >/dev/null 2>&1 </dev/null &")
        run(client, "trap '' TERM; setsid sleep 86414 >/dev/null 2>&1 </dev/null &")
        client.exec_command("exec sleep 86415")
        wanted = {f"sleep {seconds}" for seconds in (86413, 86414, 86415)}
        wait_until(lambda: set(leftovers.find(tmp_path).values()) == wanted)
    assert leftovers.find(tmp_path) == {}


def test_sigterm_ends_the_server_and_all_it_started(tmp_path: Path) -> None:
    with Child(
        [sys.executable, "-m", "sandbox_ops.demo.ssh_server", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith(b"ready ")
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


_PARENT = """
import sys, threading
from pathlib import Path
from sandbox_ops.demo.embedded import embedded_sandbox
with embedded_sandbox(Path(sys.argv[1])) as box:
    print(box.port, flush=True)
    threading.Event().wait()
"""


def test_a_killed_parent_takes_the_server_with_it(tmp_path: Path) -> None:
    items = [sys.executable, "-c", _PARENT, str(tmp_path)]
    with Child(items, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        config = tmp_path / "ssh_config"
        subprocess.run(
            ["ssh", "-F", config, "demo-box", "setsid sleep 86416 >/dev/null 2>&1 &"],
            stdin=subprocess.DEVNULL,
            check=True,
        )
        family = processes.descendants(parent.pid)
        assert len(family) == 1  # the server; the sleep left the family
        assert list(leftovers.find(tmp_path).values()) == ["sleep 86416"]
        parent.kill()
    wait_until(lambda: not any(processes.alive(process.pid) for process in family))
    assert leftovers.find(tmp_path) == {}


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()  # not the empty folder that was asked for
    with pytest.raises(ConnectError) as failure, embedded_sandbox(tmp_path):
        pass
    assert failure.value.message == "the embedded SSH server did not start"
    assert "FileExistsError" in failure.value.hint
