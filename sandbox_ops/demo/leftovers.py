"""What an embedded sandbox has left running, found by the mark its processes carry.

Every process below the server inherits `MARK=FOLDER` in its environment, also one that
left its session and its parents; so this finds what a process group does not.
"""

import contextlib
import os
import signal
import time
from pathlib import Path
from threading import Event

MARK = "SANDBOX_OPS_EMBEDDED"


def find(folder: Path) -> dict[int, str]:
    """Return the living processes of the sandbox in `folder`: command lines by pid.

    Empty where there is no /proc: the sandbox side is Linux only.
    """
    wanted = f"{MARK}={folder}".encode()
    commands = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended while we looked, or not ours to read
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                commands[int(entry.name)] = command.decode("utf-8", "replace").strip()
    commands.pop(os.getpid(), None)
    return commands


def end(folder: Path, *, grace_s: float = 3.0) -> dict[int, str]:
    """End them: TERM, and KILL after the grace. Return those that live all the same."""
    pause = Event()
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + grace_s
        signalled: set[int] = set()
        while (living := find(folder)) and time.monotonic() < deadline:
            for pid in living.keys() - signalled:  # also those born meanwhile
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            signalled |= living.keys()
            pause.wait(0.02)
    return find(folder)
