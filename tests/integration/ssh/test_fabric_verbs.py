"""`Sandbox.connection` for users' own tasks: Fabric's verbs, with our promises."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from invoke.exceptions import CommandTimedOut
from processes import descendants
from sshd import SshServer
from sshd_files import free_port
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import ConnectionLostError, RefusedError
from sandbox_ops.ssh.connection import SandboxConnection

Make = Callable[..., SshServer]


@pytest.mark.parametrize("max_sessions", [2, 10])
def test_threads_share_it_and_none_is_refused(
    make_sshd: Make, tmp_path: Path, max_sessions: int
) -> None:
    server = make_sshd(max_sessions=max_sessions)
    with Sandbox(server.config()) as sandbox, ThreadPoolExecutor(16) as threads:
        machine = sandbox.connection

        def work(n: int) -> tuple[str, str]:
            local = tmp_path / f"here-{n}"
            local.write_text(f"{n}\n" * 1000)
            if max_sessions > 2:  # the one for files is never given back
                machine.put(str(local), str(tmp_path / f"there-{n}"))
                machine.get(str(tmp_path / f"there-{n}"), str(tmp_path / f"back-{n}"))
                assert (tmp_path / f"back-{n}").read_text() == local.read_text()
            reported = machine.run(f"echo {n}; echo e{n} >&2", hide=True)
            return reported.stdout, reported.stderr

        assert list(threads.map(work, range(64))) == [
            (f"{n}\n", f"e{n}\n") for n in range(64)
        ]
    assert server.log.count("Accepted publickey") == 1


def test_a_timeout_leaves_no_process_where_one_session_is_all_there_is(
    make_sshd: Make,
) -> None:
    server = make_sshd(max_sessions=1)
    with Sandbox(server.config()) as sandbox:
        with pytest.raises(CommandTimedOut):
            sandbox.connection.run(
                "setsid sleep 7931 & sleep 7932", hide=True, timeout=1
            )
        assert not [x for x in server.leftovers().values() if "sleep 793" in x]
        assert sandbox.connection.run("echo on", hide=True).stdout == "on\n"


def test_a_session_that_is_never_free_is_refused_with_the_reason(
    make_sshd: Make,
) -> None:
    config = make_sshd(max_sessions=1).config()
    impatient = SandboxConnection(config, session_timeout_s=2)
    with Sandbox(config, links=impatient) as sandbox:
        assert sandbox.run("true").ok  # whose session stays
        with pytest.raises(RefusedError, match="no further session") as caught:
            sandbox.connection.run("true", hide=True)
        assert "MaxSessions" in caught.value.hint


def dialled(port: int) -> socket.socket:
    """Dial a port that Fabric's thread may not listen on yet."""
    collected: list[socket.socket] = []

    def dial() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            collected.append(socket.create_connection(("127.0.0.1", port), 5))
        return bool(collected)

    wait_until(dial)
    return collected[0]


def test_a_port_of_the_machine_is_forwarded(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:

        def echo() -> None:
            link, _ = there.accept()
            with link:
                link.sendall(link.recv(100).upper())

        thread = threading.Thread(target=echo)
        thread.start()
        port = free_port()
        remote = there.getsockname()[1]
        with (
            sandbox.connection.forward_local(port, remote_port=remote),
            dialled(port) as link,
        ):
            link.sendall(b"through the tunnel")
            assert link.recv(100) == b"THROUGH THE TUNNEL"
        thread.join(5)


@pytest.mark.parametrize("verb", ["run", "get", "put"])
@pytest.mark.slow
def test_a_frozen_host_is_a_lost_connection_for_every_verb(
    make_sshd: Make, tmp_path: Path, verb: str
) -> None:
    server = make_sshd()
    (tmp_path / "file").write_bytes(os.urandom(50_000_000))
    with Sandbox(server.config()) as sandbox, ThreadPoolExecutor(1) as thread:
        machine = sandbox.connection
        assert machine.run("echo warm", hide=True).ok
        machine.sftp()
        frozen = {
            server.listener_pid,
            *(p.pid for p in descendants(server.listener_pid)),
        }
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            if verb == "run":
                call = thread.submit(machine.run, "echo x", hide=True)
            else:
                paths = str(tmp_path / "file"), str(tmp_path / "copy")
                call = thread.submit(getattr(machine, verb), *paths)
            error = call.exception(30)
            took = time.monotonic() - started
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert isinstance(error, ConnectionLostError)
        assert took < 15
        wait_until(lambda: machine.run("echo back", hide=True).stdout == "back\n")
