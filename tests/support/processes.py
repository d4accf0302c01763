"""Processes of this machine, read from /proc."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from waiting import wait_until


@dataclass(frozen=True, slots=True)
class Process:
    """A line of the process table."""

    pid: int
    name: str
    state: str
    parent: int


def table() -> dict[int, Process]:
    """Return every process, zombies too."""
    processes = map(_process, _pids())
    return {process.pid: process for process in processes if process is not None}


def descendants(root: int) -> tuple[Process, ...]:
    """Return the living processes below `root`."""
    family: dict[int, Process] = {}
    parents = [root]
    while parents:
        for child in _children(parents.pop()):
            process = _process(child)
            if process is not None and child not in family:
                family[child] = process
                parents.append(child)
    return tuple(
        process for _, process in sorted(family.items()) if process.state != "Z"
    )


def carrying(*settings: str) -> dict[int, str]:
    """Return the living processes whose environment has an entry that begins so.

    Args:
        settings: `NAME=value`, or its beginning.

    Returns:
        Command lines by pid.
    """
    wanted = tuple(b"\0" + setting.encode() for setting in settings)
    values = {}
    for pid in _pids():
        environment = b"\0" + _read(f"/proc/{pid}/environ")
        if any(entry in environment for entry in wanted):
            line = _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ")
            values[pid] = line.decode("utf-8", "replace").strip()
    values.pop(os.getpid(), None)
    return values


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208


def _process(pid: int) -> Process | None:
    head, _, rest = (
        _read(f"/proc/{pid}/stat").decode("utf-8", "replace").rpartition(")")
    )
    if not head:
        return None  # it ended while we looked
    state, parent = rest.split()[:2]
    return Process(pid, head.partition("(")[2], state, int(parent))


def _children(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    with contextlib.suppress(OSError):
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
        lists = (_read(f"/proc/{pid}/task/{each}/children") for each in threads)
        return [int(child) for text in lists for child in text.split()]
    return []


def _read(path: str) -> bytes:
    """Return a file of /proc; nothing if the process is gone, or not ours to read.

    By system calls: with every server that a test starts, hundreds of them are read.
    """
    pieces = []
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY)
        try:
            while piece := os.read(file, 1 << 16):
                pieces.append(piece)
        finally:
            os.close(file)
    return b"".join(pieces)


def at_work_on(device: int) -> tuple[int, ...]:
    """Return the processes whose current folder lies on that disk (`st_dev`)."""
    collected = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or not ours to read
            if (folder / "cwd").stat().st_dev == device:
                collected.append(int(folder.name))
    return tuple(collected)


def alive(pid: int) -> bool:
    """Say whether a process lives; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def end(pids: Iterable[int], *, grace_s: float = 3.0) -> None:
    """End processes: TERM, then KILL for those that live on after `grace_s`."""
    waiting_for = tuple(pids)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in filter(alive, waiting_for):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(map(alive, waiting_for)), grace_s)
            return


class Child(subprocess.Popen[Any]):
    """A child whose `with` never waits for ever: a test that fails kills it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)
