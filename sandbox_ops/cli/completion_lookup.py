"""What completion asks configuration and machine, in bounded time and in silence.

The machine is asked by a process of its own, in a session without a terminal: it can be
ended at the deadline whatever it waits for, and nothing (a passphrase, a second factor)
can be asked for in the middle of somebody's command line.
"""

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path

_NEWEST = 50


def sandboxes() -> tuple[str, ...]:
    """The names of the sandboxes that are configured here; none where that fails."""
    from sandbox_ops.config import discover
    from sandbox_ops.errors import SandboxError

    with contextlib.suppress(SandboxError):
        return discover.settings(Path(), os.environ).sandbox_names
    return ()


def jobs(sandbox: str, *, timeout_s: float) -> list[tuple[str, str]]:
    """Ids and names of the newest jobs with what they are; none where that fails.

    Args:
        sandbox: Which machine; "" for the default one.
        timeout_s: How long the machine may take; loading our own libraries is apart.
    """
    _load()
    deadline = time.monotonic() + timeout_s
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        _answer_and_end(theirs, sandbox)
    os.close(theirs)
    answer = b""
    while (left_s := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([ours], [], [], left_s)
        piece = os.read(ours, 1 << 16) if ready else b""
        if not piece:
            break
        answer += piece
    os.close(ours)
    for end in (os.killpg, os.kill):  # its group, where it has one by now
        with contextlib.suppress(OSError):
            end(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with contextlib.suppress(ValueError):
        return [
            (str(value), str(description)) for value, description in json.loads(answer)
        ]
    return []


def _load() -> None:
    """Import what a connection needs, so that the machine has the time for itself."""
    with contextlib.suppress(ImportError):
        import sandbox_ops.machine.jobs
        import sandbox_ops.ssh.connection  # noqa: F401


def _answer_and_end(pipe: int, sandbox: str) -> None:
    """In the child: write the candidates, as JSON, and end."""
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.write(pipe, json.dumps(_asked(sandbox)).encode())
    finally:
        os._exit(0)


def _asked(name: str) -> Sequence[tuple[str, str]]:
    from sandbox_ops.config import discover
    from sandbox_ops.machine import jobs as nouns
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.text import formatting

    config = discover.settings(Path(), os.environ).sandbox(name)
    with Sandbox(config) as machine:
        newest = nouns.recent(machine, limit=_NEWEST)
    named: dict[str, tuple[str, str]] = {}
    for job in newest:
        if job.group:
            named.setdefault(job.group, (job.group, "all jobs of this sweep"))
    for job in newest:
        if job.name:
            named.setdefault(job.name, (job.name, f"{job.id}, {job.words}"))
    by_id = [
        (job.id, formatting.one_line(f"{job.words} {job.name or job.command}"))
        for job in newest
    ]
    latest = [("last", by_id[0][0])] if by_id else []
    return [*by_id, *named.values(), *latest]
