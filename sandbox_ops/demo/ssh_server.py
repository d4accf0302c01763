"""The embedded sandbox: a real SSH server on loopback, in a process of its own.

    python -m sandbox_ops.demo.ssh_server FOLDER

It makes throw-away keys in FOLDER, takes a free port, prints one line `ready PORT` and
serves clients with the user key, as the current user with HOME in FOLDER. It lives as
long as its standard input is open, so that it cannot outlive the process that started
it; SIGTERM and SIGINT end it too. At its end every process that was started through it
ends, detached ones as well. Until then they belong to no connection, as on any machine.

It is for trying the product. It has no pseudo-terminals and no session limits, and
never stands in for OpenSSH's sshd where faults or login shells are tested.
"""

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import asyncssh

from sandbox_ops.demo import leftovers
from sandbox_ops.demo.ssh_session import serve_session
from sandbox_ops.guard import this_user

HOST = "127.0.0.1"
HOST_KEY = "host_key"
USER_KEY = "user_key"

Connections = set[asyncssh.SSHServerConnection]


class _Door(asyncssh.SSHServer):
    """Keeps account of who is in, so that all can be shown out."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.add(conn)
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self._connection)


def _make_keys(folder: Path) -> None:
    for name in (HOST_KEY, USER_KEY):
        key = asyncssh.generate_private_key("ssh-ed25519", comment="throw-away")
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(key.export_private_key("openssh"))
        key.write_public_key(str(path) + ".pub")


def _make_home(folder: Path) -> dict[str, str]:
    """Make the home and return the environment of a session.

    The interpreter that runs us comes first in PATH, so that `python3` is one on a
    machine that has no other. .profile says it again, because /etc/profile sets PATH
    again in many systems.
    """
    home, scratch = folder / "home", folder / "tmp"
    home.mkdir()
    scratch.mkdir()
    own = Path(sys.executable).parent
    (home / ".profile").write_text(f"PATH='{own}':$PATH\nexport PATH\n", "utf-8")
    return {
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "USER": this_user.account(),
        "LOGNAME": this_user.account(),
        "SHELL": shutil.which(os.environ.get("SHELL", "")) or "/bin/sh",
        "PATH": f"{own}:{os.environ.get('PATH', os.defpath)}",
        "LANG": "C.UTF-8",
        leftovers.MARK: str(folder),
    }


def _end_of_life() -> asyncio.Event:
    """Return an event that is set when it is time to go."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)

    def watch() -> None:
        while os.read(0, 4096):  # 0: of the interpreter's own, no lock to leave behind
            pass
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(over.set)

    threading.Thread(target=watch, daemon=True).start()
    return over


async def _serve(folder: Path) -> None:
    over = _end_of_life()
    _make_keys(folder)
    environment = _make_home(folder)
    os.chdir(environment["HOME"])  # relative paths in SFTP begin at home
    connections: Connections = set()
    acceptor = await asyncssh.listen(
        HOST,
        0,
        server_factory=functools.partial(_Door, connections),
        server_host_keys=[str(folder / HOST_KEY)],
        authorized_client_keys=str(folder / f"{USER_KEY}.pub"),
        process_factory=functools.partial(serve_session, environment),
        sftp_factory=True,
        encoding=None,
        allow_pty=False,
        agent_forwarding=False,
        gss_host=None,
    )
    sys.stdout.write(f"ready {acceptor.get_port()}\n")
    sys.stdout.flush()
    await over.wait()
    acceptor.close()
    for connection in tuple(connections):
        connection.abort()
    await asyncio.to_thread(leftovers.end, folder)


def main() -> None:
    """Serve until told to end. The one argument is an empty folder that exists."""
    asyncio.run(_serve(Path(sys.argv[1]).resolve()))


if __name__ == "__main__":
    main()
