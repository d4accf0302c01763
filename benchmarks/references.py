"""What the others do for the same purpose, each at its best."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import asyncssh
import paramiko
from sshd import SshServer

if TYPE_CHECKING:
    from collections.abc import Awaitable

_T = TypeVar("_T")

SSH = "`ssh -S`"
RAW = "raw paramiko channel, NODELAY"
ASYNCSSH = "asyncssh"
FABRIC = "stock Fabric"


class Raw:
    """paramiko's own client on a socket without Nagle, a channel a command."""

    def __init__(self, server: SshServer) -> None:
        self._client = paramiko.SSHClient()
        self._client.load_host_keys(str(server.known_hosts))
        sock = socket.create_connection((server.host, server.port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.connect(
            server.host,
            port=server.port,
            username=server.user,
            key_filename=str(server.identity_file),
            allow_agent=False,
            look_for_keys=False,
            sock=sock,
        )

    def run(self, command: str) -> int:
        """Run a command; return how many bytes it printed."""
        transport = self._client.get_transport()
        assert transport is not None
        with contextlib.closing(transport.open_session(timeout=10)) as channel:
            channel.exec_command(command)
            size = 0
            while data := channel.recv(1 << 18):
                size += len(data)
            assert channel.recv_exit_status() == 0, command
        return size

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Asyncssh:
    """One asyncssh connection, driven from here."""

    def __init__(self, server: SshServer) -> None:
        self._loop = asyncio.new_event_loop()
        connecting = asyncssh.connect(
            server.host,
            server.port,
            username=server.user,
            client_keys=[str(server.identity_file)],
            known_hosts=str(server.known_hosts),
            config=None,
            agent_path=None,
        )
        self._connection = self._do(connecting)

    def _do(self, work: "Awaitable[_T]") -> _T:
        async def wait() -> _T:
            return await work

        return self._loop.run_until_complete(wait())

    def run(self, command: str) -> int:
        """Run a command; return how many bytes it printed."""
        done = self._do(self._connection.run(command, encoding=None))
        assert done.exit_status == 0, command
        return len(done.stdout or b"")

    def close(self) -> None:
        self._connection.close()
        self._do(self._connection.wait_closed())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Multiplexed:
    """OpenSSH's client through a master connection."""

    def __init__(self, server: SshServer, path: Path) -> None:
        self._options = ["-F", str(server.ssh_config), "-o", f"ControlPath={path}"]
        self._master = subprocess.Popen(
            ["ssh", *self._options, "-M", "-N", "box"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        while not path.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._master.wait(0.05)
                raise RuntimeError("the ssh master did not start")

    def run(self, command: str) -> None:
        _check(["ssh", *self._options, "box", command])

    def copy(self, remote: Path, local: Path) -> None:
        """Fetch a file with scp, the connection warm."""
        _check(["scp", "-q", *self._options, f"box:{remote}", str(local)])

    def send(self, local: Path, remote: Path) -> None:
        """Send a file or a folder with scp, the connection warm."""
        _check(["scp", "-q", "-r", *self._options, str(local), f"box:{remote}"])

    def close(self) -> None:
        _check(["ssh", *self._options, "-q", "-O", "exit", "box"])
        self._master.wait(10)


@contextlib.contextmanager
def multiplexed(server: SshServer) -> Iterator[Multiplexed]:
    """Hold a master connection open."""
    # the path of a Unix socket may not be long
    with tempfile.TemporaryDirectory(prefix="ssh-") as folder:
        master = Multiplexed(server, Path(folder) / "s")
        try:
            yield master
        finally:
            master.close()


def ssh(server: SshServer, command: str) -> None:
    """Run a command with OpenSSH's client, on a connection of its own."""
    _check(["ssh", "-F", str(server.ssh_config), "box", command])


def _check(command: list[str]) -> None:
    subprocess.run(
        command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


@contextlib.contextmanager
def stock_fabric(server: SshServer) -> Iterator[Any]:
    """Hold a Fabric connection open, Fabric's defaults untouched."""
    import fabric

    connection = fabric.Connection(
        server.host,
        user=server.user,
        port=server.port,
        connect_kwargs={
            "key_filename": str(server.identity_file),
            "allow_agent": False,
            "look_for_keys": False,
        },
    )
    with connection:
        yield connection


def peak_bytes(*command: str) -> int:
    """Return the most memory that a program ever held.

    A small process of its own starts it and asks: Linux counts what a parent held
    before exec(2) as the child's, and ours holds more than what is measured.
    """
    ask = (
        "import os, sys\n"
        "null = (os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)\n"
        "args = sys.argv[1:]\n"
        "pid = os.posix_spawn(args[0], args, os.environ, file_actions=[null])\n"
        "print(os.wait4(pid, 0)[2].ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ask, *command],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout) * 1024
