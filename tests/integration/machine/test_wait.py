"""Waiting for jobs: woken by the first thing that happens, whatever the link does."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containers import start_container
from network import black_hole, private_network, restore_network
from slow import slow
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import CancelledError, NotFoundError, UsageError
from sandbox_ops.machine import jobs, waiting
from sandbox_ops.machine.waiting import WaitFor
from sandbox_ops.models import Job
from sandbox_ops.models.waiting import WaitEvent
from sandbox_ops.remote.stream import Begin

Make = Callable[..., SshServer]
FOR_EVER = "sleep 7411"


@pytest.fixture
def network() -> Iterator[None]:
    with private_network():
        yield


def started(sandbox: Sandbox, command: str, **options: str) -> Job:
    return sandbox.start(command, **options)  # type: ignore[arg-type]


def until(path: Path) -> str:
    """A command that waits for a file to be made by the test."""
    return f"until [ -e {path} ]; do sleep 0.05; done"


def test_the_first_of_several_jobs_that_ends_is_reported(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    slow = started(sandbox, FOR_EVER)
    quick = started(sandbox, f"{until(tmp_path / 'go')}; echo last words; exit 3")
    call = waiting.begin(sandbox, [slow.id, quick.id])
    wait_until(lambda: call.jobs)
    assert not call.future.done()
    (tmp_path / "go").touch()
    report = call.future.result(30)
    assert (report.event, report.job.id) == (WaitEvent.ENDED, quick.id)
    assert (report.line, report.exit_code) == ("last words", 3)
    jobs.stop(sandbox, slow.id, grace_s=0)


@pytest.mark.parametrize("reference", ["id", "number", "name", "last"])
def test_a_job_that_has_ended_answers_at_once_by_any_of_its_names(
    sandbox: Sandbox, reference: str
) -> None:
    job = started(sandbox, "echo done", name="once")
    jobs.wait(sandbox, job.id, timeout_s=30)
    number = job.id.rpartition("-")[2]
    word = {"id": job.id, "number": number, "name": "once", "last": "last"}[reference]
    report = waiting.wait(sandbox, [word], WaitFor(timeout_s=30))
    assert (report.event, report.job.id) == (WaitEvent.ENDED, job.id)
    assert report.job.state is JobState.SUCCEEDED
    assert report.exit_code == 0


def test_a_line_that_matches_ends_the_wait(sandbox: Sandbox, tmp_path: Path) -> None:
    job = started(
        sandbox, f"echo epoch 1; {until(tmp_path / 'go')}; echo epoch 2; {FOR_EVER}"
    )
    call = waiting.begin(sandbox, [job.id], WaitFor(pattern="^epoch 2"))
    wait_until(lambda: call.jobs)
    (tmp_path / "go").touch()
    report = call.future.result(30)
    assert (report.event, report.line) == (WaitEvent.MATCH, "epoch 2")
    assert report.job.state is JobState.RUNNING
    assert report.exit_code == 0
    jobs.stop(sandbox, job.id, grace_s=0)


def test_a_line_that_was_written_before_the_wait_matches_too(sandbox: Sandbox) -> None:
    job = started(sandbox, f"echo listening on 8080; {FOR_EVER}")
    wait_until(lambda: jobs.output(sandbox, job.id).data)
    report = waiting.wait(sandbox, [job.id], WaitFor(pattern="listening", timeout_s=30))
    assert (report.event, report.line) == (WaitEvent.MATCH, "listening on 8080")
    jobs.stop(sandbox, job.id, grace_s=0)


def test_a_search_from_a_place_on_leaves_out_what_lies_before(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    job = started(sandbox, f"echo ready 1; {until(tmp_path / 'go')}; echo ready 2")
    wait_until(lambda: jobs.output(sandbox, job.id).data)
    since = {job.id: Begin(8, b"ready 1\n")}
    call = waiting.begin(sandbox, [job.id], WaitFor(pattern="ready", since=since))
    wait_until(lambda: call.jobs)
    (tmp_path / "go").touch()
    assert call.future.result(30).line == "ready 2"


def test_a_progress_bar_that_is_redrawn_matches_in_any_state(sandbox: Sandbox) -> None:
    job = started(sandbox, f"printf '10%%\\r50%%\\r90%%\\r'; {FOR_EVER}")
    report = waiting.wait(sandbox, [job.id], WaitFor(pattern="^50%", timeout_s=30))
    assert (report.event, report.line) == (WaitEvent.MATCH, "50%")
    jobs.stop(sandbox, job.id, grace_s=0)


def test_the_last_line_matches_also_without_its_end(sandbox: Sandbox) -> None:
    job = started(sandbox, "sleep 0.3; printf finished")
    report = waiting.wait(sandbox, [job.id], WaitFor(pattern="finished", timeout_s=30))
    assert report.event is WaitEvent.MATCH


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("echo step 2 loss nan", "loss is nan"),
        ("echo step 2 loss 1e9", "loss has exploded: 1e+09 after 0.5"),
        ("echo RuntimeError: CUDA out of memory.", "CUDA out of memory"),
        (
            "printf 'Traceback (most recent call last):\\n  File \"a.py\"\\nKeyError: 3\\n'",
            "traceback: KeyError: 3",
        ),
    ],
    ids=["nan", "exploded", "out of memory", "traceback"],
)
@pytest.mark.parametrize("pattern", ["", *slow("never printed")])
def test_what_looks_wrong_ends_the_wait(
    sandbox: Sandbox, tmp_path: Path, says: str, told: str, pattern: str
) -> None:
    go = tmp_path / "go"
    job = started(sandbox, f"echo step 1 loss 0.5; {until(go)}; {says}; {FOR_EVER}")
    call = waiting.begin(sandbox, [job.id], WaitFor(pattern=pattern))
    wait_until(lambda: call.jobs)
    go.touch()
    report = call.future.result(30)
    assert (report.event, report.line) == (WaitEvent.WARNING, told)
    assert report.exit_code == 1
    again = waiting.wait(
        sandbox,
        [job.id],
        WaitFor(known_warnings=[report.warning_key], timeout_s=1),
    )
    assert again.event is WaitEvent.TIMEOUT
    without = waiting.wait(sandbox, [job.id], WaitFor(warnings=False, timeout_s=0.5))
    assert without.event is WaitEvent.TIMEOUT
    jobs.stop(sandbox, job.id, grace_s=0)


def test_a_training_that_goes_silent_has_stalled_and_a_silent_copy_has_not(
    sandbox: Sandbox,
) -> None:
    training = started(sandbox, f"echo step 1 loss 0.5; {FOR_EVER}")
    copy = started(sandbox, f"echo copying; {FOR_EVER}")
    wanted = WaitFor(stall_s=1, timeout_s=30)
    report = waiting.wait(sandbox, [copy.id, training.id], wanted)
    assert (report.event, report.job.id) == (WaitEvent.WARNING, training.id)
    assert report.line.startswith("nothing written for 1")
    for job in (training, copy):
        jobs.stop(sandbox, job.id, grace_s=0)


def test_a_program_that_dies_of_its_traceback_is_reported_as_ended(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    says = "printf 'Traceback (most recent call last):\\n  File \"a\"\\nKeyError: 3\\n'"
    go = tmp_path / "go"
    job = started(sandbox, f"{until(go)}; {says}; sleep 0.5; exit 1")
    call = waiting.begin(sandbox, [job.id])
    wait_until(lambda: call.jobs)
    go.touch()
    report = call.future.result(30)
    assert (report.event, report.line) == (WaitEvent.ENDED, "traceback: KeyError: 3")
    assert report.exit_code == 1


def test_the_time_to_wait_ends_the_wait_and_not_the_job(sandbox: Sandbox) -> None:
    job = started(sandbox, FOR_EVER)
    beats: list[tuple[Job, ...]] = []
    report = waiting.wait(
        sandbox, [job.id], WaitFor(timeout_s=6), on_heartbeat=beats.append
    )
    assert (report.event, report.exit_code) == (WaitEvent.TIMEOUT, 124)
    assert [each.state for each in beats[0]] == [JobState.RUNNING]
    assert jobs.get(sandbox, job.id).state is JobState.RUNNING
    jobs.stop(sandbox, job.id, grace_s=0)


def test_an_unknown_job_lists_those_that_there_are(sandbox: Sandbox) -> None:
    job = started(sandbox, "true")
    with pytest.raises(NotFoundError, match=r"no job 'nobody'") as error:
        waiting.wait(sandbox, [job.id, "nobody"])
    assert job.id in error.value.hint


def test_a_bad_pattern_is_refused_before_the_machine_is_asked(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="missing"):
        waiting.begin(sandbox, ["last"], WaitFor(pattern="(open"))
    with pytest.raises(UsageError, match="no job is named"):
        waiting.begin(sandbox, [])


def test_a_wait_that_is_cancelled_leaves_the_job_alone(sandbox: Sandbox) -> None:
    job = started(sandbox, FOR_EVER)
    call = waiting.begin(sandbox, [job.id])
    wait_until(lambda: call.jobs)
    call.cancel()
    with pytest.raises(CancelledError):
        call.future.result(5)
    assert jobs.get(sandbox, job.id).state is JobState.RUNNING
    jobs.stop(sandbox, job.id, grace_s=0)


def test_hundreds_of_waits_hold_no_thread_each(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    job = started(sandbox, until(tmp_path / "go"))
    before = threading.active_count()
    wanted = WaitFor(timeout_s=60)
    calls = [waiting.begin(sandbox, [job.id], wanted) for _ in range(300)]
    wait_until(lambda: all(call.jobs for call in calls), 30)
    assert threading.active_count() - before <= 6  # workers, follower, timers
    (tmp_path / "go").touch()
    for call in calls:
        assert call.future.result(30).event is WaitEvent.ENDED


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_wait_outlives_a_link_that_is_dead_for_longer_than_a_reconnect(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        go = tmp_path / "go"
        job = started(sandbox, f"echo before; {until(go)}; echo after; {FOR_EVER}")
        call = waiting.begin(sandbox, [job.id], WaitFor(pattern="^after"))
        wait_until(lambda: call.jobs)
        black_hole(server.port)
        unknown = JobState.UNKNOWN
        wait_until(lambda: call.jobs[0].state is unknown, 45, what="the lost link")
        go.touch()
        restore_network()
        report = call.future.result(40)
        assert (report.event, report.line) == (WaitEvent.MATCH, "after")
        jobs.stop(sandbox, job.id, grace_s=0)


@pytest.mark.usefixtures("network")
def test_the_time_to_wait_is_kept_while_the_link_is_dead(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        job = started(sandbox, "sleep 30")
        call = waiting.begin(sandbox, [job.id], WaitFor(timeout_s=4))
        wait_until(lambda: call.jobs)
        black_hole(server.port)
        began = time.monotonic()
        assert call.future.result(20).event is WaitEvent.TIMEOUT
        assert time.monotonic() - began < 10
        restore_network()


def test_a_wait_tells_of_a_machine_that_restarts(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("0f0f\n")
    with (
        start_container(tmp_path / "server", boot_id) as server,
        Sandbox(server.config()) as sandbox,
    ):
        job = started(sandbox, FOR_EVER)
        call = waiting.begin(sandbox, [job.id])
        wait_until(lambda: call.jobs)
        server.stop()
        boot_id.write_text("f0f0\n")
        server.start(busy=True)
        report = call.future.result(50)
        assert (report.event, report.job.state) == (WaitEvent.ENDED, JobState.LOST)
        assert (report.job.reason, report.exit_code) == ("reboot", 137)
