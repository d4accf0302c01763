"""Where the processes listen that keep connections, and who may be spoken to there.

One process a machine and environment: its socket is named by a hash of all that decides
how the machine is reached. The folder is ours alone (0700), or it is not used.
(Over 250 lines: who may listen and who may be spoken to is one decision.)
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.links import LinkError

_SUFFIX = ".sock"
_OF_THE_TERMINAL = frozenset({
    "COLUMNS", "GPG_TTY", "ITERM_SESSION_ID", "KITTY_WINDOW_ID", "LINES", "OLDPWD",
    "PWD", "SHLVL", "SSH_TTY", "TERM_SESSION_ID", "TMUX_PANE", "WEZTERM_PANE",
    "WINDOWID", "ZELLIJ_PANE_ID", "_",
})  # fmt: skip
"""Variables that differ from one terminal to the next, and decide nothing of ours."""


MOST = 8
"""So many processes may keep connections at once; the next connects directly."""


class UnusableError(Exception):
    """There is no such process, and none can be started; says why."""


class EnoughError(UnusableError):
    """As many of them keep connections as may; nothing is wrong."""


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """Where the process for one machine listens, and how it is started.

    Attributes:
        folder: Ours alone; see `runtime_folder`.
        name: The socket's, without its suffix.
        program: Starts it; the listening socket's number is added as the last word.
        message: Its standard input.
    """

    folder: Path
    name: str
    program: tuple[str, ...]
    message: str

    @property
    def socket(self) -> Path:
        """The socket's path."""
        return self.folder / f"{self.name}{_SUFFIX}"


def place(
    environ: Mapping[str, str],
    identity: Mapping[str, object],
    module: str,
    idle_s: float,
) -> AgentPlace:
    """Return the place of the process that serves such a machine and environment.

    Args:
        environ: What it inherits; all of it counts but what belongs to a terminal.
        identity: What else tells it from others: the machine, the version.
        module: What it runs.
        idle_s: It ends when unused for so long.
    """
    lasting = {k: v for k, v in environ.items() if k not in _OF_THE_TERMINAL}
    facts = json.dumps([identity, lasting, module, idle_s], sort_keys=True)
    return AgentPlace(
        folder=runtime_folder(environ),
        name=hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:16],
        # -P: not what happens to lie in the working directory
        program=(sys.executable, "-P", "-m", module),
        message=json.dumps({"identity": identity, "idle_s": idle_s}),
    )


def runtime_folder(environ: Mapping[str, str]) -> Path:
    """Return our folder for sockets. It need not be there."""
    base = environ.get("XDG_RUNTIME_DIR", "")
    if base.startswith("/") and Path(base).is_dir():
        return Path(base) / "sandbox-ops"
    # where `tempfile` would look first; its import takes each command 4 ms
    return Path(environ.get("TMPDIR") or "/tmp") / f"sandbox-ops-{os.getuid()}"  # noqa: S108 - see `_check_folder`


def sockets(folder: Path) -> Sequence[Path]:
    """Return what is in the folder, whether anybody listens there or not.

    Raises:
        UnusableError: The folder is not ours alone.
    """
    if not os.path.lexists(folder):
        return ()
    check_folder(folder)
    return sorted(folder.glob(f"*{_SUFFIX}"))


def reach(path: Path) -> socket.socket | None:
    """Return a connection to the process that listens there; None where none does.

    Raises:
        UnusableError: The folder, or the process that listens, is not ours.
    """
    check_folder(path.parent)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _check_socket(path)
        sock.connect(str(path))
        check_peer(sock)
    except (FileNotFoundError, ConnectionError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise UnusableError(f"{path}: {error}") from error
    except UnusableError:
        sock.close()
        raise
    return sock


def _check_socket(path: Path) -> None:
    facts = path.lstat()
    if not stat.S_ISSOCK(facts.st_mode) or facts.st_uid != os.getuid():
        raise UnusableError(f"{path} is not a socket of ours")


def reach_or_start(where: AgentPlace) -> socket.socket:
    """Return a connection to the process; start it if nothing listens.

    We listen for it until it does itself, so that nothing has to be waited for.

    Raises:
        UnusableError: It cannot be started, or is not ours.
    """
    if where.folder.is_dir() and (sock := reach(where.socket)):
        return sock
    try:
        where.folder.mkdir(mode=0o700, exist_ok=True)
        with locked(where.folder):
            sock = reach(where.socket)
            if sock is None:
                _refuse_many(where.folder)
                _start(where)
                sock = reach(where.socket)
    except OSError as error:
        raise UnusableError(f"{where.folder}: {error}") from error
    if sock is None:
        raise UnusableError(f"nothing listens at {where.socket}")
    return sock


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: sockets are made and removed under it."""
    check_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_many(folder: Path) -> None:
    """Take away what processes left that were killed; see that not too many live."""
    n_live = 0
    for path in folder.glob(f"*{_SUFFIX}"):
        sock = reach(path)
        if sock is None:
            path.unlink(missing_ok=True)
        else:
            sock.close()
            n_live += 1
    if n_live >= MOST:
        raise EnoughError(f"{n_live} processes keep connections already")


def _start(where: AgentPlace) -> None:
    new = where.socket.with_suffix(".new")
    new.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(new))
        new.chmod(0o600)
        listener.listen(64)
        new.rename(where.socket)
        process = subprocess.Popen(
            [*where.program, str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            cwd="/",
            start_new_session=True,
        )
    process.returncode = (
        0  # it outlives us, and is not waited for: also where this fails
    )
    assert process.stdin is not None  # noqa: S101  # asked for above
    with process.stdin as stdin:
        stdin.write(where.message.encode())


def check_folder(folder: Path) -> None:
    """See that a folder is ours alone.

    Raises:
        UnusableError: It is not, or is not there.
    """
    try:
        facts = folder.lstat()
    except OSError as error:
        raise UnusableError(f"{folder}: {error}") from error
    ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
    if not ours or facts.st_mode & 0o077:
        raise UnusableError(f"{folder} is not a folder that is ours alone (0700)")


def check_peer(sock: socket.socket) -> None:
    """See that the other end belongs to us, where the system tells.

    Raises:
        UnusableError: It does not.
    """
    if not hasattr(socket, "SO_PEERCRED"):  # elsewhere the folder's mode says it
        return
    credentials = sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    _, uid, _ = struct.unpack("3i", credentials)
    if uid != os.getuid():
        raise UnusableError(f"the other end belongs to user {uid}")


def send_message(sock: socket.socket, message: Mapping[str, object]) -> None:
    """Send one message: an object on a line."""
    sock.sendall(json.dumps(message).encode() + b"\n")


def receive_message(sock: socket.socket) -> dict[str, object]:
    """Return one message; byte by byte, as what follows it is not ours to take.

    Raises:
        LinkError: The other end is gone, or speaks another language.
    """
    line = bytearray()
    try:
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            if not byte:
                raise LinkError("the agent process ended")
            line += byte
        message = json.loads(line)
    except (OSError, ValueError) as error:
        raise LinkError(f"the agent process does not answer: {error}") from error
    if not isinstance(message, dict):
        raise LinkError("the agent process answered what we do not understand")
    return message
