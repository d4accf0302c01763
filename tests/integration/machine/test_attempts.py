"""Attempts of one job: which end another follows, what is kept of each, where it goes on."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from records import pids
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job
from sandbox_ops.models.queue import QueueRequest, RetryPolicy

MakeSshd = Callable[..., SshServer]
_ALL = ("exit", "signal", "oom", "lost")


@dataclass(frozen=True)
class Box:
    """A machine, and a directory there in which jobs work."""

    server: SshServer
    sandbox: Sandbox
    folder: Path

    def start(
        self,
        command: str,
        retries: int = 2,
        on: tuple[str, ...] = _ALL,
        resume: str = "",
    ) -> Job:
        retry = RetryPolicy(retries=retries, on=on, backoff_s=0.1, resume_from=resume)
        return self.sandbox.start(
            command, cwd=str(self.folder), queue=QueueRequest(slots=9, retry=retry)
        )

    def ended(self, job: Job) -> Job:
        return jobs.wait(self.sandbox, job.id, timeout_s=40)


@pytest.fixture
def box(make_sshd: MakeSshd, tmp_path: Path) -> Iterator[Box]:
    server = make_sshd()
    folder = tmp_path / "project"
    folder.mkdir()
    with Sandbox(server.config()) as sandbox:
        yield Box(server, sandbox, folder)


def attempts(job: Job) -> list[dict[str, str]]:
    file = Path(job.log_path).with_name("attempts")
    lines = file.read_text().splitlines() if file.exists() else []
    return [dict(word.split("=", 1) for word in line.split()) for line in lines]


def log(job: Job) -> str:
    return Path(job.log_path).read_text()


def test_a_job_that_fails_is_tried_again_until_it_succeeds(box: Box) -> None:
    job = box.start("echo attempt $SANDBOX_ATTEMPT; [ $SANDBOX_ATTEMPT = 3 ]")
    ended = box.ended(job)
    assert (ended.state, ended.exit_code, ended.attempt) == (JobState.SUCCEEDED, 0, 3)
    assert log(job) == "attempt 1\nattempt 2\nattempt 3\n"
    kept = attempts(job)
    assert [(each["attempt"], each["code"]) for each in kept] == [
        ("1", "1"),
        ("2", "1"),
    ]
    first_bytes = len("attempt 1\n")
    assert [int(each["log"]) for each in kept] == [0, first_bytes]


def test_the_last_attempt_decides_how_a_job_ended(box: Box) -> None:
    job = box.start("exit $((SANDBOX_ATTEMPT + 10))", retries=1)
    ended = box.ended(job)
    assert (ended.state, ended.exit_code, ended.attempt) == (JobState.FAILED, 12, 2)
    assert [each["code"] for each in attempts(job)] == ["11"]


def test_only_the_named_ends_are_tried_again(box: Box) -> None:
    job = box.start("[ $SANDBOX_ATTEMPT = 2 ] && exit 3; exit 75", on=("exit=75",))
    assert (box.ended(job).exit_code, len(attempts(job))) == (3, 1)
    killed = box.start("kill -KILL $$", on=("exit",))
    assert (box.ended(killed).signal, attempts(killed)) == ("KILL", [])
    again = box.start("kill -KILL $$", on=("signal",), retries=1)
    assert (box.ended(again).signal, len(attempts(again))) == ("KILL", 1)


def test_a_stop_and_the_deadline_end_the_attempts(box: Box) -> None:
    job = box.start("sleep 60", retries=5)
    wait_until(lambda: jobs.get(box.sandbox, job.id).state is JobState.RUNNING)
    assert jobs.stop(box.sandbox, job.id, grace_s=1).job.state is JobState.STOPPED
    assert attempts(job) == []
    late = box.sandbox.start(
        "sleep 60",
        timeout_s=0.5,
        queue=QueueRequest(slots=9, retry=RetryPolicy(retries=3, backoff_s=0)),
    )
    assert box.ended(late).state is JobState.TIMED_OUT
    assert attempts(late) == []


def test_a_job_that_waits_for_its_next_attempt_can_be_stopped(box: Box) -> None:
    retry = RetryPolicy(retries=3, backoff_s=600)
    job = box.sandbox.start("exit 1", queue=QueueRequest(slots=9, retry=retry))
    wait_until(lambda: jobs.get(box.sandbox, job.id).attempt == 2)
    waiting = jobs.get(box.sandbox, job.id)
    assert waiting.state is JobState.QUEUED
    assert waiting.waits_for.startswith("attempt 2 begins in ")
    assert jobs.stop(box.sandbox, job.id).job.state is JobState.STOPPED
    assert len(attempts(job)) == 1


def test_an_attempt_that_is_lost_is_tried_again_with_nobody_connected(box: Box) -> None:
    job = box.start("[ $SANDBOX_ATTEMPT = 2 ] && echo again || exec sleep 600")
    wait_until(lambda: jobs.get(box.sandbox, job.id).state is JobState.RUNNING)
    supervisor, leader = pids(job)
    box.sandbox.close()
    for pid in (supervisor, leader):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: log(job) == "again\n", 40)
    assert [each["reason"] for each in attempts(job)] == ["lost"]
    with Sandbox(box.server.config()) as later:
        assert jobs.wait(later, job.id, timeout_s=20).state is JobState.SUCCEEDED


@pytest.mark.slow
def test_who_looks_at_a_lost_attempt_sees_a_queued_job_never_a_lost_one(
    box: Box,
) -> None:
    job = box.start("[ $SANDBOX_ATTEMPT = 2 ] && sleep 1 || exec sleep 600")
    wait_until(lambda: jobs.get(box.sandbox, job.id).state is JobState.RUNNING)
    for pid in pids(job):
        os.kill(pid, signal.SIGKILL)
    seen = {jobs.get(box.sandbox, job.id).state}
    while not (now := jobs.get(box.sandbox, job.id)).state.ended:
        seen.add(now.state)
    assert now.state is JobState.SUCCEEDED
    assert JobState.LOST not in seen
    assert JobState.QUEUED in seen


def test_a_lost_attempt_is_lost_where_that_is_not_tried_again(box: Box) -> None:
    job = box.start("exec sleep 600", on=("exit",))
    wait_until(lambda: jobs.get(box.sandbox, job.id).state is JobState.RUNNING)
    for pid in pids(job):
        os.kill(pid, signal.SIGKILL)
    assert box.ended(job).words == "lost (killed)"


def test_what_an_attempt_left_running_is_ended_before_the_next(box: Box) -> None:
    job = box.start("setsid sleep 600 & echo $!; exit $((SANDBOX_ATTEMPT < 2))")
    box.ended(job)
    first, last = map(int, log(job).split())
    assert not Path(f"/proc/{first}/cwd").exists()
    assert Path(f"/proc/{last}/cwd").exists()
    jobs.stop(box.sandbox, job.id, grace_s=0)


def test_an_attempt_goes_on_from_the_newest_checkpoint_of_the_job(box: Box) -> None:
    (box.folder / "ckpt").mkdir()
    (box.folder / "ckpt/other run.pt").touch()
    job = box.start(
        'echo "resume=$SANDBOX_RESUME"; n=$SANDBOX_ATTEMPT; '
        'sleep 0.05; touch "ckpt/step $((10 - n)).pt"; [ $n = 3 ]',
        resume="ckpt/*.pt",
    )
    box.ended(job)
    assert log(job).splitlines() == [
        "resume=",
        "resume=ckpt/step 9.pt",
        "resume=ckpt/step 8.pt",
    ]


def test_secrets_are_kept_for_the_last_attempt_and_no_longer(box: Box) -> None:
    job = box.sandbox.start(
        'printf %s "$TOKEN" | wc -c; [ $SANDBOX_ATTEMPT = 2 ]',
        env={"TOKEN": "hidden"},
        queue=QueueRequest(slots=9, retry=RetryPolicy(retries=2, backoff_s=0.1)),
    )
    box.ended(job)
    assert log(job).split() == ["6", "6"]
    names = {file.name for file in Path(job.log_path).parent.iterdir()}
    assert not names & {"env", "login", "again"}
