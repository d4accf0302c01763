"""The processes behind a job, killed one by one: nobody waits for what is gone."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from processes import alive
from records import pids
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.remote import scripts
from sandbox_ops.remote.start_request import StartRequest

BEFORE_MAIN = "SETSID=\n"


def worker_of(supervisor: int) -> int:
    """Return the pid of the worker that forked it."""
    return int(
        Path(f"/proc/{supervisor}/stat").read_text().rsplit(")", 1)[1].split()[1]
    )


def test_a_killed_worker_is_replaced_while_its_jobs_run_on(sandbox: Sandbox) -> None:
    job = sandbox.start("sleep 7611")
    os.kill(worker_of(pids(job)[0]), 9)
    result = sandbox.submit("echo there").future.result(10)
    assert result.stdout.text == "there\n"
    assert jobs.get(sandbox, job.id).state is JobState.RUNNING
    jobs.stop(sandbox, job.id, grace_s=0)


def test_a_deadline_holds_although_the_clock_of_the_worker_was_killed(
    sandbox: Sandbox,
) -> None:
    first = sandbox.start("sleep 7621")
    supervisor = pids(first)[0]
    worker = worker_of(supervisor)
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    clocks = [int(pid) for pid in children if int(pid) != supervisor]
    assert clocks
    for pid in clocks:
        os.kill(pid, 9)
    wait_until(lambda: not any(map(alive, clocks)))
    second = sandbox.start("sleep 7621", timeout_s=0.5)
    assert worker_of(pids(second)[0]) == worker
    assert jobs.wait(sandbox, second.id, timeout_s=10).state is JobState.TIMED_OUT
    jobs.stop(sandbox, first.id, grace_s=0)


@pytest.mark.parametrize("kind", ["fg", "bg"])
def test_a_supervisor_killed_before_its_first_word_does_not_hold_up_the_answer(
    tmp_path: Path, kind: str
) -> None:
    library = tmp_path / "library"
    suicide = "supervise() { read -r me _ </proc/self/stat && kill -9 $me; }\n"
    library.write_text(scripts.library().replace(BEFORE_MAIN, suicide + BEFORE_MAIN))
    assert suicide in library.read_text()
    words = StartRequest(
        command="true",
        foreground=kind == "fg",
        wait_s=0.1 if kind == "fg" else 0,
        interpreter="sh",
        cwd="/",
    ).words()
    started = time.monotonic()
    done = subprocess.run(
        ["sh", library, "worker"],
        input=b"#abc\n" + scripts.request(1, "start", words),
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        timeout=25,
    )
    assert b"abc job %b-1" % (b"cmd" if kind == "fg" else b"remote") in done.stdout
    assert b" starting " in done.stdout
    assert time.monotonic() - started < 15  # it took 30: until readers gave it up


def test_a_job_is_not_listed_before_its_claims_are_granted(tmp_path: Path) -> None:
    words = StartRequest(command="true", interpreter="sh", cwd="/", gpus=(0,)).words()
    answer = answered(
        tmp_path, words, "claim_all() { look_jobs 5; no refused taken; return 1; }"
    )
    assert b"abc error refused" in answer
    assert b"job remote-1" not in answer


def answered(folder: Path, words: list[str], instead: str) -> bytes:
    """Return a worker's answer to a start, with one function of the library replaced."""
    library = folder / "library"
    text = scripts.library().replace(BEFORE_MAIN, f"{instead}\n{BEFORE_MAIN}")
    assert instead in text
    library.write_text(text)
    return subprocess.run(
        ["sh", library, "worker"],
        input=b"#abc\n" + scripts.request(1, "start", words),
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        check=False,
        timeout=25,
    ).stdout
