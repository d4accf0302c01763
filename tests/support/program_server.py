"""Has the program imported, and forks a process for each call of it.

usage: python program_server.py SOCKET PROGRAM

Most calls of the program in tests spend nine tenths of their time on imports. What is
forked here is a process as any other: its words, folder, variables, input, outputs and
network are the call's, and it ends as the program does. Only its start is shared: a test
of the start itself asks for a fresh interpreter (`command_line.cli`).

SOCKET is a descriptor. A call is one message: JSON, with stdin, stdout, stderr, a socket
and, on Linux, the caller's network namespace. That socket gets the pid, and later the exit
status as `os.waitpid` says it.
"""

import contextlib
import ctypes
import gc
import io
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from importlib import import_module
from typing import Any, NoReturn

_LIMIT = 1 << 20
_DESCRIPTORS = 5
_CLONE_NEWNET = 0x40000000
_ASK_FOR_IT = ("demo", "plot")  # their extras are large, and few verbs use them


def _preload() -> None:
    """Import what the verbs import when they are used."""
    import_module("sandbox_ops.tasks")
    import sandbox_ops

    for module in pkgutil.walk_packages(sandbox_ops.__path__, "sandbox_ops."):
        parts = module.name.split(".")
        if not set(parts).intersection(_ASK_FOR_IT) and parts[-1] != "__main__":
            import_module(module.name)
    for name in ("rich.console", "rich.table", "rich.live", "fabric", "paramiko"):
        import_module(name)
    gc.collect()
    gc.freeze()


class _Server:
    """Forks, and says how those that were forked ended."""

    def __init__(self, calls: socket.socket) -> None:
        self._calls = calls
        self._callers: dict[int, socket.socket] = {}
        self._wakeup, self._alarm = os.pipe()
        os.set_blocking(self._alarm, False)
        signal.set_wakeup_fd(self._alarm)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # for those who were forked

    def serve(self) -> dict[str, Any] | None:
        """Serve until the tests end: None. In a process that was forked: its call."""
        while True:
            sources: list[Any] = [self._calls, self._wakeup]
            ready, _, _ = select.select(sources, [], [])
            if self._wakeup in ready:
                os.read(self._wakeup, 512)
            self._tell_ends()
            if self._calls not in ready:
                continue
            text, descriptors, _, _ = socket.recv_fds(self._calls, _LIMIT, _DESCRIPTORS)
            if not text:
                return None
            call: dict[str, Any] = json.loads(text)
            if self._fork(descriptors):
                return call

    def _fork(self, descriptors: list[int]) -> bool:
        streams, answers, network = descriptors[:3], descriptors[3], descriptors[4:]
        pid = os.fork()
        if pid == 0:
            self._become(streams)
            os.close(answers)
            for descriptor in network:
                _enter(descriptor)
            return True
        for descriptor in (*streams, *network):
            os.close(descriptor)
        caller = socket.socket(fileno=answers)
        self._callers[pid] = caller
        with contextlib.suppress(OSError):
            caller.sendall(f"{pid}\n".encode())
        return False

    def _become(self, streams: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self._wakeup)
        os.close(self._alarm)
        self._calls.close()
        for caller in self._callers.values():
            caller.close()
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)

    def _tell_ends(self) -> None:
        while self._callers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with contextlib.suppress(OSError), self._callers.pop(pid) as caller:
                caller.sendall(f"{status}\n".encode())


def _enter(network: int) -> None:
    """Move into a network: ours is that of the test that happened to be the first."""
    theirs, ours = os.fstat(network), os.stat("/proc/self/ns/net")  # noqa: PTH116
    if not os.path.samestat(theirs, ours):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(network, _CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    os.close(network)


def _stream(number: int, like: Any) -> io.TextIOWrapper:  # noqa: ANN401 - a text stream
    """Return a standard stream as Python makes it at its start."""
    raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    buffered = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffered,
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=number == 2 or raw.isatty(),
    )


def _program(call: dict[str, Any], program: str) -> NoReturn:
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["environment"])
    time.tzset()
    sys.argv = [program, *call["arguments"]]
    sys.stdin = sys.__stdin__ = _stream(0, sys.stdin)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, sys.stderr)  # type: ignore[misc]
    from sandbox_ops.tasks import main

    main()
    sys.exit()


if __name__ == "__main__":
    sys.path[0] = os.path.dirname(sys.argv[2])  # noqa: PTH120 - as the program's own
    _preload()
    todo = _Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    if todo is not None:
        _program(todo, sys.argv[2])
