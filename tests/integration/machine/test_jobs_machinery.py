"""The processes behind a job, killed one by one: nobody waits for what is gone."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mounts import Mounts, private_mounts
from processes import alive, carrying
from raw_worker import raw_worker
from records import pids
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.remote import job_replies, scripts
from sandbox_ops.remote.start_request import StartRequest


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


BEFORE_MAIN = "case ${1-} in\n  '') worker"


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


def test_deadlines_hold_although_the_clock_is_killed_right_after_the_starts(
    sandbox: Sandbox,
) -> None:
    started = [sandbox.start("sleep 7631", timeout_s=0.4) for _ in range(5)]
    supervisors = [pids(job)[0] for job in started]
    for worker in set(map(worker_of, supervisors)):
        for pid in children(worker):
            if pid not in supervisors:
                clocks = [each for each in children(pid) if name_of(each) == "sh"]
                os.kill((clocks or [pid])[0], 9)
    for job in started:
        assert jobs.wait(sandbox, job.id, timeout_s=10).state is JobState.TIMED_OUT


def children(pid: int) -> list[int]:
    return [
        int(each)
        for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ]


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.mark.parametrize("uptime", ["0.98 0.50", "9.8 1.0", "0.00 0.00"])
def test_a_machine_that_booted_within_the_last_second_is_reached(
    mounts: Mounts, make_sshd: Callable[..., SshServer], tmp_path: Path, uptime: str
) -> None:
    assert Path("/bin/sh").resolve().name == "dash"  # to which 098 is no number
    booted = tmp_path / "uptime"
    booted.write_text(f"{uptime}\n")
    mounts.bind(booted, Path("/proc/uptime"))
    server: SshServer = mounts.do(make_sshd)
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("echo up; exit 3").exit_code == 3
        assert jobs.get(sandbox, "cmd-1").state is JobState.FAILED


@pytest.mark.parametrize("kind", ["fg", "bg"])
def test_a_supervisor_killed_before_its_first_word_does_not_hold_up_the_answer(
    tmp_path: Path, kind: str
) -> None:
    library = tmp_path / "library"
    suicide = "supervise() { read -r me _ </proc/self/stat && kill -9 $me; }\n"
    library.write_text(scripts.library().replace(BEFORE_MAIN, suicide + BEFORE_MAIN))
    assert suicide in library.read_text()
    text = StartRequest(
        command="true",
        foreground=kind == "fg",
        wait_s=0.1 if kind == "fg" else 0,
        interpreter="sh",
        cwd="/",
    ).words()
    started = time.monotonic()
    done = subprocess.run(
        ["sh", library, "worker"],
        input=b"#abc\n" + scripts.request(1, "start", text),
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        timeout=25,
    )
    assert b"abc job %b-1" % (b"cmd" if kind == "fg" else b"remote") in done.stdout
    assert b" starting " in done.stdout
    assert time.monotonic() - started < 15  # it took 30: until readers gave it up


def test_a_job_is_not_listed_before_its_claims_are_granted(tmp_path: Path) -> None:
    text = StartRequest(command="true", interpreter="sh", cwd="/", gpus=(0,)).words()
    answer = answered(
        tmp_path,
        text,
        "claim_all() { look_jobs 5; answer_error refused taken; return 1; }",
    )
    assert b"abc error refused" in answer
    assert b"job remote-1" not in answer


def answered(folder: Path, arguments: list[str], instead: str) -> bytes:
    """Return a worker's answer to a start, with one function of the library replaced."""
    library = folder / "library"
    text = scripts.library().replace(BEFORE_MAIN, f"{instead}\n{BEFORE_MAIN}")
    assert instead in text
    library.write_text(text)
    return subprocess.run(
        ["sh", library, "worker"],
        input=b"#abc\n" + scripts.request(1, "start", arguments),
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        check=False,
        timeout=25,
    ).stdout


def stopper(library: Path, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["sh", library, "stop", folder, "1", "stopped"],
        env={"PATH": os.environ["PATH"], "HOME": str(library.parent)},
    )


def test_a_stop_that_ended_nothing_takes_nothing_from_the_report_of_another(
    tmp_path: Path,
) -> None:
    request = StartRequest(command="setsid sleep 7651 &", interpreter="sh", cwd="/")
    folder = tmp_path / ".sandbox-ops/v1/home/jobs/remote-1"
    there, go, late = tmp_path / "there", tmp_path / "go", tmp_path / "late"
    looked = '  done 2>/dev/null <"$dir/$answer"\n'
    pause = f"printf '' >{there}; until [ -e {go} ]; do sleep 0.02; done\n"
    late.write_text(scripts.library().replace(looked, looked + pause))
    assert pause in late.read_text()
    with raw_worker(tmp_path) as worker:
        worker.ask("start", request.words())
        wait_until(lambda: "ended" in (folder / "state").read_text())
        (left,) = carrying(f"SANDBOX_JOB={folder}")
        assert stopper(tmp_path / "library", folder).wait(30) == 0
        report = (folder / "swept").read_text()
        (folder / "swept").unlink()
        second = stopper(late, folder)
        wait_until(there.exists)  # it looked just before the first reported
        (folder / "swept").write_text(report)
        go.touch()
        assert second.wait(30) == 0
        answer = worker.ask("poll", ("remote-1", "j", "0", "0", "0", "0"))
    (reply,) = job_replies.jobs(answer, str(tmp_path)).values()
    assert (reply.killed, reply.left) == ((f"{left} sleep",), ())


def test_when_a_job_was_asked_for_is_told_to_the_centisecond(tmp_path: Path) -> None:
    """Or of two that two clients start within a second the first may seem the later one."""
    programs = tmp_path / "programs"
    programs.mkdir()
    date = programs / "date"
    date.write_text(
        '#!/bin/sh\n[ "$1" != +%s.%N ] || exec echo 1000.981234567\nexec echo 1000\n'
    )
    date.chmod(0o755)
    request = StartRequest(command="true", interpreter="sh", cwd="/").words()
    with raw_worker(tmp_path, path=f"{programs}:{os.environ['PATH']}") as worker:
        (reply,) = job_replies.jobs(worker.ask("start", request), "/b").values()
    assert reply.job.started_at is not None
    assert reply.job.started_at >= 1000.98
