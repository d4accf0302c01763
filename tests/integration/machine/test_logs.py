"""Logs read by place: nothing twice, nothing lost, and no silence where a log was cut."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import TimedOutError, UsageError
from sandbox_ops.machine import jobs, logs
from sandbox_ops.models import Job
from sandbox_ops.text.paging import Place

OLD = b"".join(b"old line %04d\n" % n for n in range(100))
NEW = b"".join(b"new line %04d\n" % n for n in range(200))


@pytest.fixture
def job(shared_sandbox: Sandbox) -> Iterator[Job]:
    """A job that lives, whose log we write."""
    job = shared_sandbox.start("sleep 300")
    wait_until(lambda: jobs.get(shared_sandbox, job.id).state is JobState.RUNNING)
    Path(job.log_path).write_bytes(OLD)
    yield job
    jobs.stop(shared_sandbox, job.id, grace_s=0)


def place_at_end(sandbox: Sandbox, job: Job) -> Place:
    reading = logs.end(sandbox, job.id, 1 << 16)
    return reading.place(reading.piece.next_offset)


def test_what_comes_after_a_place_is_read_once(
    shared_sandbox: Sandbox, job: Job
) -> None:
    place = place_at_end(shared_sandbox, job)
    with Path(job.log_path).open("ab") as log:
        log.write(b"more\n")
    reading = logs.since(shared_sandbox, job.id, place, 1000)
    assert (reading.piece.data, reading.piece.restarted) == (b"more\n", False)
    after = reading.place(reading.piece.next_offset)
    again = logs.since(shared_sandbox, job.id, after, 1000)
    assert (again.piece.data, again.piece.restarted) == (b"", False)
    assert again.place(again.piece.next_offset) == after


@pytest.mark.parametrize("size", [1, 5, len(OLD) - 1, len(OLD), len(NEW)])
def test_a_log_that_was_truncated_and_grew_again_is_read_from_its_start(
    shared_sandbox: Sandbox, job: Job, size: int
) -> None:
    place = place_at_end(shared_sandbox, job)
    log = Path(job.log_path)
    inode = log.stat().st_ino
    os.truncate(log, 0)  # as `: > log` and logrotate's copytruncate do
    with log.open("ab") as opened:
        opened.write(NEW[:size])
    assert log.stat().st_ino == inode
    reading = logs.since(shared_sandbox, job.id, place, 1 << 16)
    assert (reading.piece.data, reading.piece.restarted) == (NEW[:size], True)


def test_a_log_that_was_replaced_is_read_from_its_start(
    shared_sandbox: Sandbox, job: Job
) -> None:
    place = place_at_end(shared_sandbox, job)
    log = Path(job.log_path)
    log.rename(log.with_name("log.1"))
    log.write_bytes(NEW)
    reading = logs.since(shared_sandbox, job.id, place, 1 << 16)
    assert (reading.piece.data, reading.piece.restarted) == (NEW, True)


def test_a_follower_from_a_place_gets_what_comes_after_it_and_hears_of_a_truncation(
    shared_sandbox: Sandbox, job: Job
) -> None:
    heard = bytearray()
    restarts: list[str] = []
    reading, page = logs.last(shared_sandbox, job.id, 2)
    assert page.lines == ("old line 0098", "old line 0099")
    watch = logs.follow(
        shared_sandbox,
        job,
        lambda _, data: heard.extend(data),
        begin={"stdout": reading.begin(page.next_offset)},
        on_restart=restarts.append,
    )
    log = Path(job.log_path)
    with log.open("ab") as opened:
        opened.write(b"more\n")
    wait_until(lambda: bytes(heard) == b"more\n")
    os.truncate(log, 0)
    with log.open("ab") as opened:
        opened.write(NEW)
    wait_until(lambda: bytes(heard) == b"more\n" + NEW)
    assert restarts == ["stdout"]
    jobs.stop(shared_sandbox, job.id, grace_s=0)
    ended = watch.future.result(20)
    assert (ended.job.state, ended.job.log_incomplete) == (JobState.STOPPED, True)


def test_a_command_that_truncates_its_own_output_loses_none_without_a_note(
    sandbox: Sandbox,
) -> None:
    go = Path(sandbox.config.workspace) / "go"
    waits = f"until [ -e {go} ]; do sleep 0.02; done"
    heard = bytearray()
    first = threading.Event()

    def listen(_: str, data: bytes) -> None:
        heard.extend(data)
        first.set()

    call = sandbox.submit(
        f"seq 1000 1999; {waits}; seq 2000 3999 > /dev/stdout", on_output=listen
    )
    assert first.wait(20)
    go.touch()
    result = call.future.result(20)
    lines = bytes(heard).decode().split()
    assert lines == [str(n) for n in range(1000, 4000)]
    assert (result.job.exit_code, result.job.log_incomplete) == (0, True)


@pytest.mark.slow
def test_a_bad_or_a_slow_filter_is_refused(shared_sandbox: Sandbox, job: Job) -> None:
    with pytest.raises(UsageError, match="bad pattern at position"):
        logs.last(shared_sandbox, job.id, 5, pattern="a(")
    with Path(job.log_path).open("ab") as log:
        log.write((b"a" * 999 + b"\n") * 8000)
    with pytest.raises(TimedOutError, match="takes too long"):
        logs.last(shared_sandbox, job.id, 5, pattern="(a{0,30}){0,30}b")


def test_output_beyond_the_limit_keeps_its_beginning_and_its_end(
    sandbox: Sandbox,
) -> None:
    cap = 1 << 20
    job = sandbox.start("seq 1000000 1999999; sleep 0.3; seq 9", log_max_bytes=cap)
    ended = jobs.wait(sandbox, job.id, timeout_s=30)
    assert ended.log_incomplete
    data = Path(ended.log_path).read_bytes()
    assert len(data) == pytest.approx(cap, rel=0.01)
    assert data.startswith(b"1000000\n1000001\n")
    assert data.endswith(
        b"1999998\n1999999\n" + b"".join(b"%d\n" % n for n in range(1, 10))
    )
