"""The machine's queue: jobs wait for GPUs, slots and other jobs, with no client connected."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from gpus import Gpus, give_gpus
from records import folder_of, pids
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.machine import jobs, queue
from sandbox_ops.models import Job
from sandbox_ops.models.queue import CORES, QueueRequest
from sandbox_ops.remote.start_request import new_token

MakeSshd = Callable[..., SshServer]
ONE_GPU = QueueRequest(gpus=1)
ONE_AT_A_TIME = QueueRequest(slots=1)


@dataclass(frozen=True)
class Machine:
    """A machine of its own with two GPUs."""

    server: SshServer
    sandbox: Sandbox
    gpus: Gpus

    @property
    def queue_folder(self) -> Path:
        return next((folder_of(self.server.home) / "queue").iterdir())

    def keeper(self) -> int:
        """Return the pid of the living keeper of the queue; 0 where there is none."""
        file = self.queue_folder / "keeper"
        words = file.read_text().split() if file.exists() else []
        pid = int(words[0]) if words else 0
        return pid if pid and Path(f"/proc/{pid}/cwd").exists() else 0

    def start(self, command: str, request: QueueRequest, name: str = "") -> Job:
        return self.sandbox.start(
            command, queue=request, name=name, unique_name=bool(name)
        )

    def hold(self, seconds: float = 60) -> Job:
        return self.start(f"exec {self.gpus.hold} 20000 {seconds}", ONE_GPU)

    def state(self, job: Job) -> JobState:
        return jobs.get(self.sandbox, job.id).state

    def until(self, job: Job, state: JobState, timeout_s: float = 20) -> Job:
        wait_until(
            lambda: self.state(job) is state, timeout_s, what=f"{job.id} {state}"
        )
        return jobs.get(self.sandbox, job.id)

    def waits_for(self, job: Job, words: str) -> Job:
        """Return a queued job once its reason holds these words."""
        wait_until(
            lambda: words in jobs.get(self.sandbox, job.id).waits_for,
            what=f"{words!r} in {jobs.get(self.sandbox, job.id).waits_for!r}",
        )
        return jobs.get(self.sandbox, job.id)

    def end(self, *ids: Job) -> None:
        for job in ids:
            jobs.stop(self.sandbox, job.id, grace_s=0)


@pytest.fixture
def machine(make_sshd: MakeSshd) -> Iterator[Machine]:
    server = make_sshd()
    gpus = give_gpus(server.home, 2)
    with Sandbox(server.config()) as sandbox:
        yield Machine(server, sandbox, gpus)


def order(sandbox: Sandbox) -> list[str]:
    waiting = [job for job in jobs.recent(sandbox) if job.place]
    return [job.id for job in sorted(waiting, key=lambda job: job.place)]


def test_a_job_waits_for_a_gpu_and_says_who_has_it(machine: Machine) -> None:
    first, second = machine.hold(), machine.hold()
    running = [machine.until(job, JobState.RUNNING) for job in (first, second)]
    assert sorted(job.gpus for job in running) == [(0,), (1,)]
    third, fourth = machine.hold(1), machine.hold(1)
    waiting = machine.waits_for(third, f"{first.id} has GPU ")
    assert waiting.state is JobState.QUEUED
    assert waiting.started_at is None
    assert waiting.elapsed_s is None
    assert f"{second.id} has GPU " in waiting.waits_for
    assert waiting.as_json()["state"] == "queued"
    assert waiting.as_json()["waits_for"] == waiting.waits_for
    assert set(waiting.waits_on) == {first.id, second.id}
    assert order(machine.sandbox) == [third.id, fourth.id]
    machine.end(first)
    ended = jobs.wait(machine.sandbox, third.id, timeout_s=20)
    assert ended.state is JobState.SUCCEEDED
    assert ended.gpus == running[0].gpus
    assert ended.started_at is not None
    assert ended.waits_for == ""
    jobs.wait(machine.sandbox, fourth.id, timeout_s=20)
    machine.end(second)
    assert machine.gpus.lines("shared") == []


def test_the_machine_starts_them_with_nobody_connected(machine: Machine) -> None:
    first = machine.start("sleep 2", ONE_AT_A_TIME)
    last = machine.start("echo began", ONE_AT_A_TIME)
    machine.sandbox.close()
    wait_until(lambda: "began" in Path(last.log_path).read_text(), 20)
    with Sandbox(machine.server.config()) as again:
        assert jobs.get(again, first.id).state is JobState.SUCCEEDED
        assert jobs.wait(again, last.id, timeout_s=10).state is JobState.SUCCEEDED


def test_a_gpu_that_a_stranger_holds_is_not_taken(machine: Machine) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        machine.gpus.holds(0, stranger.pid)
        machine.gpus.holds(1, stranger.pid)
        job = machine.hold(0)
        waiting = machine.waits_for(job, f"GPU 0 is held by pid {stranger.pid} python3")
        assert waiting.state is JobState.QUEUED
        stranger.kill()
    assert jobs.wait(machine.sandbox, job.id, timeout_s=30).state is JobState.SUCCEEDED


def test_a_start_beside_the_queue_is_refused_a_gpu_of_the_queue(
    machine: Machine,
) -> None:
    job = machine.until(machine.hold(), JobState.RUNNING)
    with pytest.raises(RefusedError, match=job.id):
        machine.sandbox.start("true", gpus=job.gpus)
    free = 1 - job.gpus[0]
    beside = machine.sandbox.start("sleep 60", gpus=[free])
    waiting = machine.waits_for(machine.hold(), f"{beside.id} has GPU {free}")
    machine.end(waiting, beside, job)


def test_two_jobs_share_a_gpu_where_both_allow_it(machine: Machine) -> None:
    shared = QueueRequest(gpus=1, share=2)
    command = f"{machine.gpus.hold} 20000 60"
    started = [machine.start(command, shared) for _ in range(4)]
    running = [machine.until(job, JobState.RUNNING) for job in started]
    assert sorted(job.gpus for job in running) == [(0,), (0,), (1,), (1,)]
    fifth = machine.start(command, shared)
    alone = machine.hold()
    machine.waits_for(fifth, "GPU 0")
    machine.end(*started[:3], fifth)
    machine.until(alone, JobState.RUNNING)
    machine.end(alone, started[3])


def test_a_job_waits_for_free_memory_of_a_gpu_that_it_shares(machine: Machine) -> None:
    request = QueueRequest(gpus=1, share=3, min_free_mem_mib=50_000)
    command = f"{machine.gpus.hold} 40000 60"
    first, second = (machine.start(command, request) for _ in range(2))
    third = machine.start(command, request)
    for job in (first, second):
        machine.until(job, JobState.RUNNING)
    machine.waits_for(third, "MiB of GPU 0 are free")
    machine.end(first)
    machine.until(third, JobState.RUNNING)
    machine.end(second, third)


def test_the_large_do_not_starve(machine: Machine) -> None:
    first = machine.until(machine.hold(), JobState.RUNNING)
    both = machine.start(f"{machine.gpus.hold} 1 0", QueueRequest(gpus=2))
    one = machine.hold(0)
    cpu = machine.start("true", QueueRequest(slots=CORES))
    assert jobs.wait(machine.sandbox, cpu.id, timeout_s=20).state is JobState.SUCCEEDED
    assert machine.state(one) is JobState.QUEUED
    machine.end(first)
    for job in (both, one):
        ended = jobs.wait(machine.sandbox, job.id, timeout_s=20)
        assert ended.state is JobState.SUCCEEDED
    assert [line.split()[0].rpartition("/")[2] for line in machine.gpus.lines("began")][
        1:
    ] == [both.id, one.id]


def test_slots_bound_how_many_run_at_once(machine: Machine, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    command = f"until [ -e {ends} ]; do sleep 0.05; done"
    started = [machine.start(command, QueueRequest(slots=2)) for _ in range(3)]
    machine.waits_for(started[2], "2 of 2 are taken")
    for job in started[:2]:
        machine.until(job, JobState.RUNNING)
    assert machine.state(started[2]) is JobState.QUEUED
    ends.touch()
    for job in started:
        jobs.wait(machine.sandbox, job.id, timeout_s=20)


def test_priority_and_moves_decide_the_order(machine: Machine) -> None:
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    machine.until(blocker, JobState.RUNNING)
    a, b, c = (machine.start("true", ONE_AT_A_TIME) for _ in range(3))
    high = machine.start("true", QueueRequest(slots=1, priority=5))
    assert order(machine.sandbox) == [high.id, a.id, b.id, c.id]
    queue.move(machine.sandbox, c.id, "first")
    assert order(machine.sandbox) == [c.id, high.id, a.id, b.id]
    queue.move(machine.sandbox, high.id, "last")
    assert order(machine.sandbox) == [c.id, a.id, b.id, high.id]
    queue.move(machine.sandbox, high.id, "2")
    assert order(machine.sandbox) == [c.id, high.id, a.id, b.id]
    late = machine.start("true", ONE_AT_A_TIME)
    assert order(machine.sandbox)[-1] == late.id
    with pytest.raises(UsageError, match="cannot be moved to 'up'"):
        queue.move(machine.sandbox, a.id, "up")
    with pytest.raises(RefusedError, match="does not wait"):
        queue.move(machine.sandbox, blocker.id, "first")
    with pytest.raises(NotFoundError):
        queue.move(machine.sandbox, "remote-99", "first")
    machine.end(blocker)
    for job in (a, b, c, high, late):
        jobs.wait(machine.sandbox, job.id, timeout_s=30)
    began = [jobs.get(machine.sandbox, job.id) for job in (c, high, a, b, late)]
    starts = [Path(job.log_path).with_name("first").stat().st_mtime_ns for job in began]
    assert starts == sorted(starts)


def test_many_moves_into_one_gap_find_room(machine: Machine) -> None:
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    machine.until(blocker, JobState.RUNNING)
    first, *others = (machine.start("true", ONE_AT_A_TIME) for _ in range(4))
    expected = [job.id for job in others]
    for _ in range(30):
        moved = expected.pop()
        queue.move(machine.sandbox, moved, "2")
        expected.insert(0, moved)
        assert order(machine.sandbox) == [first.id, *expected]
    machine.end(blocker, first, *others)


def test_a_job_comes_after_the_success_of_another(machine: Machine) -> None:
    good = machine.start("sleep 0.5", ONE_AT_A_TIME)
    after = machine.start("echo late", QueueRequest(slots=9, after=(good.id,)))
    assert f"waits for {good.id} to succeed" in after.waits_for
    assert jobs.wait(machine.sandbox, after.id, timeout_s=20).exit_code == 0
    bad = machine.start("exit 3", ONE_AT_A_TIME)
    unmet = machine.start("echo never", QueueRequest(slots=9, after=(bad.id,)))
    chained = machine.start("echo never", QueueRequest(slots=9, after=(unmet.id,)))
    any_end = machine.start("echo ran", QueueRequest(slots=9, after=(f"{bad.id}:any",)))
    for job, why in ((unmet, bad), (chained, unmet)):
        ended = jobs.wait(machine.sandbox, job.id, timeout_s=20)
        assert ended.words == f"stopped ({why.id} did not succeed)"
        assert ended.exit_code is None
        assert Path(job.log_path).read_text() == ""
    assert jobs.wait(machine.sandbox, any_end.id, timeout_s=20).exit_code == 0


def test_a_queued_job_can_be_stopped_and_nothing_of_it_ran(machine: Machine) -> None:
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    job = machine.start("echo ran", ONE_AT_A_TIME, "night")
    report = jobs.stop(machine.sandbox, job.id)
    assert report.job.state is JobState.STOPPED
    assert (report.killed, report.left) == ((), ())
    assert report.job.exit_code is None
    assert report.nothing_ended == "it had not started, so there was no process to end"
    machine.end(blocker)
    again = machine.start("echo again", ONE_AT_A_TIME, "night")  # its name is free
    assert jobs.wait(machine.sandbox, again.id, timeout_s=20).exit_code == 0
    assert Path(job.log_path).read_text() == ""
    assert machine.state(job) is JobState.STOPPED


def test_a_name_is_held_while_its_job_waits(machine: Machine) -> None:
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    job = machine.start("true", ONE_AT_A_TIME, "night")
    with pytest.raises(RefusedError, match=job.id):
        machine.start("true", ONE_AT_A_TIME, "night")
    assert jobs.get(machine.sandbox, "night").id == job.id
    machine.end(blocker, job)


def test_the_deadline_counts_from_the_start(machine: Machine) -> None:
    blocker = machine.start("sleep 1.5", ONE_AT_A_TIME)
    job = machine.sandbox.start("sleep 30", queue=ONE_AT_A_TIME, timeout_s=1)
    jobs.wait(machine.sandbox, blocker.id, timeout_s=20)
    ended = jobs.wait(machine.sandbox, job.id, timeout_s=30)
    assert ended.state is JobState.TIMED_OUT
    assert (ended.elapsed_s or 0) >= 1


def test_secrets_wait_in_a_private_file_and_go_at_the_start_or_a_stop(
    machine: Machine,
) -> None:
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    runs, stopped = (
        machine.sandbox.start(
            'echo "$TOKEN" | wc -c', queue=ONE_AT_A_TIME, env={"TOKEN": "hidden"}
        )
        for _ in range(2)
    )
    for job in (runs, stopped):
        for name in ("env", "login"):
            mode = Path(job.log_path).with_name(name).stat().st_mode & 0o777
            assert mode == 0o600
    machine.end(stopped, blocker)
    assert jobs.wait(machine.sandbox, runs.id, timeout_s=20).exit_code == 0
    assert Path(runs.log_path).read_text().strip() == "7"
    for job in (runs, stopped):
        names = {file.name for file in Path(job.log_path).parent.iterdir()}
        assert not names & {"env", "login"}


def test_it_has_the_login_environment_of_when_it_was_queued(machine: Machine) -> None:
    profile = machine.server.home / ".profile"
    kept = profile.read_text()
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    profile.write_text(f"{kept}export FLAVOUR=new\n")
    with Sandbox(machine.server.config()) as later:
        job = later.start('echo "$FLAVOUR"', queue=ONE_AT_A_TIME)
    machine.end(blocker)
    jobs.wait(machine.sandbox, job.id, timeout_s=20)
    assert Path(job.log_path).read_text() == "new\n"


def test_a_dead_keeper_is_replaced_by_whoever_looks(machine: Machine) -> None:
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    job = machine.start("echo ran", ONE_AT_A_TIME)
    machine.until(blocker, JobState.RUNNING)
    old = wait_until(machine.keeper)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not machine.keeper())
    assert machine.state(job) is JobState.QUEUED  # a look
    assert wait_until(machine.keeper) != old
    machine.end(blocker)
    assert jobs.wait(machine.sandbox, job.id, timeout_s=20).exit_code == 0


def test_a_job_that_ends_replaces_a_dead_keeper_with_nobody_connected(
    machine: Machine,
) -> None:
    blocker = machine.start("sleep 2", ONE_AT_A_TIME)
    job = machine.start("echo ran", ONE_AT_A_TIME)
    machine.until(blocker, JobState.RUNNING)
    machine.sandbox.close()
    os.kill(wait_until(machine.keeper), signal.SIGKILL)
    wait_until(lambda: Path(job.log_path).read_text() == "ran\n", 20)


def test_the_keeper_goes_when_nothing_waits(machine: Machine) -> None:
    job = machine.start("true", ONE_AT_A_TIME)
    keeper = wait_until(machine.keeper)
    jobs.wait(machine.sandbox, job.id, timeout_s=20)
    wait_until(lambda: not Path(f"/proc/{keeper}/cwd").exists(), 20)
    assert list((folder_of(machine.server.home) / "claims").iterdir()) == []


def test_a_supervisor_that_is_killed_frees_its_gpu(machine: Machine) -> None:
    first, second = (machine.until(machine.hold(), JobState.RUNNING) for _ in range(2))
    third = machine.hold(0)
    machine.waits_for(third, first.id)
    supervisor, leader = pids(first)
    for pid in (supervisor, leader):
        os.kill(pid, signal.SIGKILL)
    assert jobs.wait(machine.sandbox, third.id, timeout_s=60).exit_code == 0
    assert machine.state(first) is JobState.LOST
    machine.end(second)


@pytest.mark.slow
def test_a_driver_that_hangs_holds_up_nothing_else(machine: Machine) -> None:
    (machine.gpus.folder / "hangs").touch()
    job = machine.hold(0)
    cpu = machine.start("true", QueueRequest(slots=1))
    assert jobs.wait(machine.sandbox, cpu.id, timeout_s=30).exit_code == 0
    machine.waits_for(job, "nvidia-smi did not answer")
    machine.end(job)


def test_the_same_start_sent_twice_is_one_job(machine: Machine) -> None:
    blocker = machine.start("sleep 60", ONE_AT_A_TIME)
    request_id = new_token()
    started = {
        machine.sandbox.start("true", queue=ONE_AT_A_TIME, token=request_id).id
        for _ in range(3)
    }
    assert len(started) == 1
    assert order(machine.sandbox) == list(started)
    machine.end(blocker)


@pytest.mark.slow
def test_a_hundred_queued_by_two_clients_are_all_started_once(
    machine: Machine, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    with Sandbox(machine.server.config()) as other:
        started = [
            client.start(f"echo {n} >>{truth}", queue=QueueRequest(slots=3)).id
            for n in range(50)
            for client in (machine.sandbox, other)
        ]
    assert len(set(started)) == 100
    for job in started:
        assert jobs.wait(machine.sandbox, job, timeout_s=100).exit_code == 0
    ran = sorted(truth.read_text().split(), key=int)
    assert ran == [str(n) for n in range(50) for _ in range(2)]


def test_what_a_job_left_running_keeps_its_gpu(machine: Machine) -> None:
    other = machine.until(machine.hold(), JobState.RUNNING)
    left = machine.start("setsid sleep 7351 & exit 0", ONE_GPU)  # may use it any time
    assert jobs.wait(machine.sandbox, left.id, timeout_s=20).survivors == 1
    waiting = machine.waits_for(machine.hold(0), f"{left.id} has GPU")
    jobs.stop(machine.sandbox, left.id, grace_s=0)
    assert jobs.wait(machine.sandbox, waiting.id, timeout_s=30).exit_code == 0
    machine.end(other)
