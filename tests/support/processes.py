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
    return {process.pid: process for process in _read_all()}


def _read_all() -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            head, _, rest = (folder / "stat").read_text("utf-8").rpartition(")")
            state, parent = rest.split()[:2]
            name = head.partition("(")[2]
            yield Process(int(folder.name), name, state, int(parent))


def descendants(root: int) -> tuple[Process, ...]:
    """Return the living processes below `root`."""
    processes = table()
    family = {root}
    grew = True
    while grew:
        below = {p.pid for p in processes.values() if p.parent in family}
        grew = not below <= family
        family |= below
    return tuple(
        process
        for pid, process in sorted(processes.items())
        if pid in family - {root} and process.state != "Z"
    )


def carrying(*settings: str) -> dict[int, str]:
    """Return the living processes whose environment has an entry that begins so.

    Args:
        settings: `NAME=value`, or its beginning.

    Returns:
        Command lines by pid.
    """
    wanted = tuple(setting.encode() for setting in settings)
    values = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or not ours to read
            entries = (folder / "environ").read_bytes().split(b"\0")
            if any(entry.startswith(wanted) for entry in entries):
                text = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                values[int(folder.name)] = text.decode("utf-8", "replace").strip()
    values.pop(os.getpid(), None)
    return values


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
