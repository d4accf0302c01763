"""Many at once, and many one after the other: nothing is held, nothing is left open."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import processes
import pytest
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox

Make = Callable[..., SshServer]
SOAK = (pytest.mark.soak, pytest.mark.timeout(900))
OURS_AT_MOST = 12
"""Threads for a sandbox: four workers, one that follows, paramiko's, the probe's."""


def sessions(server: SshServer) -> int:
    """Count the SSH sessions that are open: what sshd itself has started."""
    serving = set(server.session_pids())
    below = processes.descendants(server.listener_pid)
    return sum(p.parent in serving and p.pid not in serving for p in below)


@pytest.mark.parametrize("many", [60, pytest.param(1000, marks=SOAK)])
@pytest.mark.slow
def test_long_calls_hold_no_thread_and_no_session_and_a_short_one_passes_them(
    make_sshd: Make, many: int
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        before = threading.active_count()
        began = time.monotonic()
        calls = [sandbox.submit("exec sleep 7611", timeout_s=800) for _ in range(many)]
        wait_until(lambda: all(call.job_id for call in calls), 600)
        print(f"{many} started in {time.monotonic() - began:.1f} s")  # noqa: T201
        for n in range(5):
            assert sandbox.run(f"echo {n}").stdout.text == f"{n}\n"
        assert threading.active_count() - before < OURS_AT_MOST
        assert sessions(server) <= 4
        assert not any(call.future.done() for call in calls)
        stopped = calls[:20]  # each is stopped whole; the fixture ends the others
        for call in stopped:
            call.cancel()
        assert {c.future.result(60).job.state for c in stopped} == {JobState.STOPPED}


@dataclass(frozen=True, slots=True)
class Held:
    """What is open now, here and on the machine."""

    descriptors: int
    threads: int
    sessions: int
    of_sshd: int
    of_workers: int
    zombies: int

    @classmethod
    def now(cls, server: SshServer) -> "Held":
        serving = set(server.session_pids())
        below = processes.descendants(server.listener_pid)
        resident = [p.pid for p in below if p.pid not in serving]
        dead = [p for p in processes.table().values() if p.state == "Z"]
        return cls(
            descriptors=_descriptors("self"),
            threads=threading.active_count(),
            sessions=sessions(server),
            of_sshd=max(map(_descriptors, serving)),
            of_workers=max(map(_descriptors, resident)),
            zombies=sum(p.parent in {*resident, *serving} for p in dead),
        )

    def grew(self, before: "Held") -> dict[str, int]:
        return {
            name: value - getattr(before, name)
            for name, value in dataclasses.asdict(self).items()
            if value > getattr(before, name)
        }


def _descriptors(pid: "int | str") -> int:
    with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0


def settled(server: SshServer) -> Held:
    """Return what is open when nothing changes any more."""
    seen: list[Held] = []

    def still() -> bool:
        seen.append(Held.now(server))
        return seen[-3:] == [seen[-1]] * 3

    wait_until(still, 30, every_s=0.2)
    return seen[-1]


@pytest.mark.parametrize("many", [300, pytest.param(10_000, marks=SOAK)])
@pytest.mark.slow
def test_commands_one_after_the_other_leave_nothing_open(
    make_sshd: Make, many: int
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox, ThreadPoolExecutor(8) as pool:

        def run(n: int) -> bool:
            return sandbox.run(f"echo {n}").stdout.text == f"{n}\n"

        assert all(pool.map(run, range(60)))  # warm: every worker there is
        before = settled(server)
        began = time.monotonic()
        assert all(pool.map(run, range(many)))
        took = time.monotonic() - began
        print(f"{many} commands in {took:.0f} s, {many / took:.0f}/s: {before}")  # noqa: T201
        wait_until(
            lambda: not Held.now(server).grew(before), what=f"no more than {before}"
        )


@pytest.mark.parametrize("many", [50, pytest.param(1000, marks=SOAK)])
def test_fabric_s_own_run_leaves_nothing_open(make_sshd: Make, many: int) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")

        def run(n: int) -> None:
            output = sandbox.connection.run(f"echo {n}", hide=True).stdout
            assert output == f"{n}\n"

        run(0)
        before = settled(server)
        for n in range(many):
            run(n)
        wait_until(
            lambda: not Held.now(server).grew(before), what=f"no more than {before}"
        )
