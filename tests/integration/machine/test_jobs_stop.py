"""Stop: the whole tree, nothing else, and the truth about both."""

import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from machines import fake_gpus
from processes import Child, alive
from records import pids
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job

Make = Callable[..., SshServer]

ESCAPES = {
    "nohup": "nohup sleep {n} >/dev/null 2>&1 &",
    "session of its own": "setsid sleep {n} >/dev/null 2>&1 &",
    "double fork": "(setsid sh -c 'sleep {n} & exit' >/dev/null 2>&1 &)",
    "ignores TERM": "(trap '' TERM HUP; exec sleep {n}) >/dev/null 2>&1 &",
    "empty environment": "env -i sleep {n} >/dev/null 2>&1 &",
}


NUMBERS = itertools.count(7500)


@pytest.fixture
def number() -> str:
    """So long a sleep that no other test, also of another run, has one like it."""
    return f"{next(NUMBERS)}.{os.getpid()}"


def sleepers(number: str) -> list[int]:
    done = subprocess.run(
        ["pgrep", "-f", f"^sleep {number}$"], capture_output=True, check=False
    )
    return [int(pid) for pid in done.stdout.split()]


@row(
    "it is stopped",
    "TERM, 10 s, KILL: nothing of it that can be found is left, however it forked",
)
@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
@pytest.mark.parametrize("ended", [False, True], ids=["running", "ended"])
def test_stop_reaches_what_tries_to_get_away(
    shared_sandbox: Sandbox, number: str, escape: str, *, ended: bool
) -> None:
    last = "true" if ended else f"sleep {number}"
    job = shared_sandbox.start(f"{escape.format(n=number)}\n{last}")
    if ended:
        job = jobs.wait(shared_sandbox, job.id, timeout_s=10)
        assert job.state is JobState.SUCCEEDED
        assert job.survivors >= 1
    wait_until(lambda: len(sleepers(number)) == 2 - ended)
    report = jobs.stop(shared_sandbox, job.id, grace_s=0)
    assert sleepers(number) == []
    assert report.left == ()
    assert sum(line.endswith(" sleep") for line in report.killed) == 2 - ended
    expected = JobState.SUCCEEDED if ended else JobState.STOPPED
    assert report.job.state is expected


@pytest.fixture
def stranger(number: str) -> Iterator[subprocess.Popen[bytes]]:
    """A session whose number a job's leader once had."""
    with Child(
        ["sh", "-c", f"sleep {number} & wait"], start_new_session=True
    ) as process:
        yield process
        process.kill()
        subprocess.run(["pkill", "-s", str(process.pid)], check=False)


@row("another process gets its pid", "that process is not taken for it, and not killed")
@pytest.mark.parametrize("leader_is_dead", [False, True])
@pytest.mark.parametrize("phase", ["running", "ended"])
def test_a_reused_pid_is_not_taken_for_the_job(
    make_sshd: Make,
    stranger: subprocess.Popen[bytes],
    number: str,
    phase: str,
    *,
    leader_is_dead: bool,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start("exit 3")
        jobs.wait(sandbox, job.id, timeout_s=10)
        forged = {"pid": 1, "ticks": 1, "leader": stranger.pid, "lticks": 77}
        rewrite(job, forged | {"up1": 100, "survivors": 1}, phase)
        wait_until(lambda: sleepers(number))
        child = sleepers(number)[0]
        if leader_is_dead:
            stranger.kill()
            stranger.wait()
        jobs.stop(sandbox, job.id, grace_s=0)
        assert alive(child)
        assert leader_is_dead or alive(stranger.pid)


def rewrite(job: Job, values: dict[str, int], phase: str) -> None:
    state = Path(job.log_path).with_name("state")
    arguments = state.read_text().split()[1:-2]
    fields = dict(word.split("=", 1) for word in arguments)
    fields |= {name: str(value) for name, value in values.items()}
    text = " ".join(f"{name}={value}" for name, value in fields.items())
    state.write_text(f"{f'{phase} {text} {phase}':<510}.\n")


@row(
    "its supervisor is killed too",
    "it runs on, `unsupervised`; when it ends it is `lost (killed)`, and stays so",
)
def test_a_lost_job_stays_lost_whatever_is_done_to_it(
    sandbox: Sandbox, number: str
) -> None:
    job = sandbox.start(f"setsid sleep {number} & sleep {number}", timeout_s=3)
    supervisor, leader = pids(job)
    wait_until(lambda: len(sleepers(number)) == 2)
    os.kill(supervisor, 9)
    wait_until(lambda: jobs.get(sandbox, job.id).reason == "unsupervised")
    os.kill(leader, 9)
    wait_until(lambda: jobs.get(sandbox, job.id).reason == "killed")
    lost = jobs.get(sandbox, job.id)
    states = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            states.append(jobs.get(sandbox, job.id))

    watcher = threading.Thread(target=look)
    watcher.start()
    report = jobs.stop(sandbox, job.id, grace_s=0)
    done.set()
    watcher.join()
    assert report.job == lost
    assert set(states) == {lost}
    assert sum(line.endswith(" sleep") for line in report.killed) >= 1
    assert sleepers(number) == []


@row("its supervisor is killed", "its deadline holds all the same")
def test_the_deadline_holds_without_the_supervisor(
    sandbox: Sandbox, number: str
) -> None:
    job = sandbox.start(f"sleep {number}", timeout_s=0.6)
    os.kill(pids(job)[0], 9)
    ended = jobs.wait(sandbox, job.id, timeout_s=10)
    assert ended.state is JobState.TIMED_OUT
    assert sleepers(number) == []


def test_nothing_of_ours_is_left_when_supervisor_and_leader_are_killed(
    sandbox: Sandbox,
) -> None:
    job = sandbox.start("sleep 7541")
    mark = Path(job.log_path).parents[2] / "live" / job.id
    wait_until(lambda: mark.exists() and mark.read_text())
    watcher = int(mark.read_text().split()[0])
    assert alive(watcher)
    for pid in pids(job):
        os.kill(pid, 9)
    wait_until(lambda: not alive(watcher), 5, what="the watcher")


def test_two_stops_at_once_agree(sandbox: Sandbox, number: str) -> None:
    job = sandbox.start(f"sleep {number} & setsid sleep {number} & sleep {number}")
    wait_until(lambda: len(sleepers(number)) == 3)
    reports = []

    def stop() -> None:
        reports.append(jobs.stop(sandbox, job.id, grace_s=1))

    threads = [threading.Thread(target=stop) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for report in reports:
        assert report.job.state is JobState.STOPPED
        assert report.left == ()
    assert sleepers(number) == []
    assert any(len(report.killed) >= 3 for report in reports)


@row(
    "it is stopped on a machine with GPUs",
    "the report waits until the driver shows none of its processes, or names those",
)
def test_gpu_memory_that_the_dead_still_hold_is_reported(make_sshd: Make) -> None:
    server = make_sshd()
    fake_gpus(server.home, "0, NVIDIA H100 80GB HBM3, GPU-1, 0, 10, 81559, 30, 550.54")
    listed = server.home / "fake-gpus" / "processes"
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start("sleep 7561")
        leader = pids(job)[1]
        listed.write_text(f"{leader}, 30720\n1, 5\n")
        freed = threading.Timer(0.8, lambda: listed.write_text(""))
        freed.start()
        assert jobs.stop(sandbox, job.id, grace_s=0).left == ()
        freed.join()
        stuck = sandbox.start("sleep 7562")
        leader = pids(stuck)[1]
        listed.write_text(f"{leader}, 30720\n1, 5\n")
        left = jobs.stop(sandbox, stuck.id, grace_s=0).left
        assert left == (
            f"{leader}: it is dead, and the GPU still shows 30720 MiB as its own",
        )
