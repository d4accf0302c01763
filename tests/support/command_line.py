"""The program as a process: what tests of the command line call."""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

_BIN = Path(sys.executable).parent
PROGRAM = str(_BIN / "sandbox-ops")
INV = str(_BIN / "inv")
_SERVER = Path(__file__).with_name("program_server.py")
_NETWORK = Path("/proc/thread-self/ns/net")
"""The network of a thread: a test may have one of its own (`network.private_network`)."""
_OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "COVERAGE_")
"""Variables that an interpreter reads as it starts, by their beginnings."""


def cli(
    *arguments: str,
    cwd: Path,
    program: str = PROGRAM,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 50,
    fresh: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run `sandbox-ops` with these words in a folder, to its end.

    Args:
        arguments: The words.
        cwd: The folder.
        program: Another program than ours.
        env: Variables beside those of the tests.
        timeout_s: It is killed after that.
        fresh: Whether an interpreter is started for it, instead of a process being
            forked that has the program imported. Other programs always are, and where a
            variable is given that matters at the start.
    """
    environment = {**os.environ, **(env or {})}
    if not fresh and program == PROGRAM and not _has_own_mounts():
        server = _server()
        if server.may_run(environment):
            return server.run(arguments, cwd, environment, timeout_s)
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def _has_own_mounts() -> bool:
    """Whether this thread is one of `mounts.py`: what is forked elsewhere sees other disks."""
    try:
        here, ours = (
            Path(f"/proc/{who}/ns/mnt").readlink() for who in ("thread-self", "self")
        )
    except OSError:  # not Linux
        return False
    return here != ours


class _ProgramServer:
    """The one `program_server.py` of this process; it ends when we do."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._start = _of_the_start(os.environ)
        self._lock = threading.Lock()
        with other:
            self.process = subprocess.Popen(
                [sys.executable, str(_SERVER), str(other.fileno()), PROGRAM],
                stdin=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )
        atexit.register(self._close)

    def _close(self) -> None:
        self._socket.close()
        self.process.wait(10)

    def may_run(self, environment: Mapping[str, str]) -> bool:
        return _of_the_start(environment) == self._start

    def run(
        self,
        arguments: tuple[str, ...],
        cwd: Path,
        environment: Mapping[str, str],
        timeout_s: float,
    ) -> subprocess.CompletedProcess[str]:
        call = {"arguments": arguments, "cwd": str(cwd), "environment": environment}
        outputs = [os.pipe(), os.pipe()]
        answers, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            stack.enter_context(answers)
            nothing = stack.enter_context(Path(os.devnull).open("rb"))
            given = [
                nothing.fileno(),
                *(write for _, write in outputs),
                theirs.fileno(),
            ]
            with contextlib.suppress(FileNotFoundError):  # Linux only
                network = stack.enter_context(_NETWORK.open("rb"))
                given.append(network.fileno())
            with self._lock:
                socket.send_fds(self._socket, [json.dumps(call).encode()], given)
            theirs.close()
            for _, write in outputs:
                os.close(write)
            texts, ended = _read(outputs, answers, timeout_s)
        command = [PROGRAM, *arguments]
        if ended is None:
            raise subprocess.TimeoutExpired(command, timeout_s, *texts)
        code = os.waitstatus_to_exitcode(ended)
        return subprocess.CompletedProcess(command, code, *texts)


def _read(
    outputs: list[tuple[int, int]], answers: socket.socket, timeout_s: float
) -> tuple[list[str], int | None]:
    """Return what it printed, and the status it ended with; None: it was killed."""
    data = [b"", b""]

    def read(index: int) -> None:
        with open(outputs[index][0], "rb") as stream:  # noqa: PTH123 - a descriptor
            data[index] = stream.read()

    readers = [threading.Thread(target=read, args=(index,)) for index in range(2)]
    for reader in readers:
        reader.start()
    lines = answers.makefile("r")
    pid = int(lines.readline())
    over = threading.Event()

    def kill() -> None:
        if not over.wait(timeout_s):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    status = int(lines.readline())
    for reader in readers:
        reader.join(timeout_s)
    late = not over.is_set() and not killer.is_alive()
    over.set()
    killer.join()
    lines.close()
    texts = [
        each.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        for each in data
    ]
    return texts, None if late else status


def _of_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {n: v for n, v in environment.items() if n.startswith(_OF_THE_START)}


_servers: list[_ProgramServer] = []
_starting = threading.Lock()


def _server() -> _ProgramServer:
    with _starting:
        if not _servers or _servers[0].process.poll() is not None:
            _servers[:] = [_ProgramServer()]
        return _servers[0]
