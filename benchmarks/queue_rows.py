"""Rows about the queue: what those who wait cost the machine, and those who look at them."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import records
from bench import Bench, opened
from gpus import give_gpus
from measure import Beside, Row, once, seconds

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models.queue import QueueRequest

_WATCHED_S = 60.0
_GOAL = 0.01
_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
_ONE_GPU = QueueRequest(gpus=1)


def queue(bench: Bench) -> Iterator[Row]:
    """Say what 200 and 1,000 waiting jobs cost a core, and how long it takes to list them."""
    gpus = give_gpus(bench.server.home, 1)
    with opened(bench.server) as sandbox:
        sandbox.start(f"exec {gpus.hold} 20000 100000", queue=_ONE_GPU)
        queued = 0
        for number in (200, 1000):
            took_s = once(lambda: _queue(sandbox, number - queued))  # noqa: B023
            each_s = took_s / (number - queued)
            queued = number
            yield Row(
                f"a job queued behind {number - 1}", seconds(each_s), (Beside(""),)
            )
            yield _keeper_row(bench, number)
            listed_s = once(lambda: jobs.recent(sandbox))
            yield Row(
                f"`jobs` with {number} that wait", seconds(listed_s), (Beside(""),)
            )
        for job in jobs.recent(sandbox):
            if not job.state.ended:
                jobs.stop(sandbox, job.id, grace_s=0)


def _queue(sandbox: Sandbox, number: int) -> None:
    for _ in range(number):
        sandbox.start("sleep 100000", queue=_ONE_GPU)


def _keeper_row(bench: Bench, number: int) -> Row:
    file = next(records.folder_of(bench.server.home).glob("queue/*/keeper"))
    pid = int(file.read_text().split()[0])
    before = _used_s(pid)
    Event().wait(_WATCHED_S)
    share = (_used_s(pid) - before) / _WATCHED_S
    goal = Beside("a core", "100 %", share, f"at most {_GOAL:.0%}", met=share <= _GOAL)
    return Row(f"the keeper of {number} that wait", f"{share:.2%}", (goal,))


def _used_s(pid: int) -> float:
    """Return the time on a processor of a process and of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * _TICKS_S
