"""A job whose folder somebody removes while it runs: it alone is affected, and is still known."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import alive, carrying
from records import folder_of, pids
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import EndKind, JobState, Sandbox
from sandbox_ops.machine import jobs

Make = Callable[..., SshServer]
REMOVED = "its folder was removed"


@row(
    "its folder is removed while it runs",
    "it runs on, with a record that says so; its deadline, `stop` and exit code hold",
)
def test_a_job_that_removes_its_own_folder_keeps_its_exit_code(
    sandbox: Sandbox,
) -> None:
    result = sandbox.run('echo out; rm -rf "$SANDBOX_JOB"; exit 3', timeout_s=20)
    assert (result.end, result.exit_code) == (EndKind.EXITED, 3)
    assert result.job.log_incomplete
    assert jobs.get(sandbox, result.job.id).reason == REMOVED


def test_a_long_command_that_removes_its_own_folder_is_followed_to_its_end(
    sandbox: Sandbox,
) -> None:
    result = sandbox.run('rm -rf "$SANDBOX_JOB"; sleep 0.7; exit 3', timeout_s=20)
    assert (result.end, result.exit_code) == (EndKind.EXITED, 3)
    late = sandbox.run('sleep 0.7; rm -rf "$SANDBOX_JOB"; exit 4', timeout_s=20)
    assert (late.end, late.exit_code) == (EndKind.EXITED, 4)


def test_jobs_that_remove_their_own_folders_are_known_while_they_do(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    go = server.home / "go"
    command = f'until [ -e {go} ]; do sleep 0.1; done; rm -rf "$SANDBOX_JOB"; exit 5'
    with Sandbox(server.config()) as sandbox:
        started = [sandbox.start(command) for _ in range(12)]
        go.touch()
        ended = [jobs.wait(sandbox, job.id, timeout_s=20) for job in started]
        assert [job.exit_code for job in ended] == [5] * len(started)
        folders = {Path(job.log_path).parent.name for job in started}
        store = folder_of(server.home) / "jobs"
        assert {folder.name for folder in store.iterdir()} == folders


@pytest.mark.parametrize("foreground", [True, False])
def test_the_deadline_holds_although_the_folder_was_removed(
    sandbox: Sandbox, *, foreground: bool
) -> None:
    command = 'rm -rf "$SANDBOX_JOB"; sleep 7801 & sleep 7801'
    if foreground:
        result = sandbox.run(command, timeout_s=1)
        assert (result.end, result.left) == (EndKind.TIMED_OUT, ())
        job = result.job
    else:
        job = sandbox.start(command, timeout_s=1)
        job = jobs.wait(sandbox, job.id, timeout_s=20)
        assert job.state is JobState.TIMED_OUT
    assert not carrying(f"SANDBOX_JOB={Path(job.log_path).parent}")


def test_a_job_whose_folder_was_removed_is_listed_and_stopped_by_its_id(
    sandbox: Sandbox,
) -> None:
    job = sandbox.start("sleep 7811 & setsid sleep 7811 & sleep 7811")
    folder = Path(job.log_path).parent
    wait_until(lambda: len(carrying(f"SANDBOX_JOB={folder}")) >= 3)
    shutil.rmtree(folder)
    again = jobs.get(sandbox, job.id)
    assert (again.state, again.reason) == (JobState.RUNNING, REMOVED)
    assert job.id in [each.id for each in jobs.recent(sandbox)]
    shutil.rmtree(folder)
    report = jobs.stop(sandbox, job.id, grace_s=1)
    assert (report.job.state, report.left) == (JobState.STOPPED, ())
    assert not carrying(f"SANDBOX_JOB={folder}")


def test_what_a_job_left_behind_is_stopped_by_its_id_without_its_folder(
    sandbox: Sandbox,
) -> None:
    job = sandbox.run("setsid sleep 7821 >/dev/null 2>&1 &").job
    folder = Path(job.log_path).parent
    shutil.rmtree(folder)
    lost = jobs.get(sandbox, job.id)
    assert (lost.state, lost.reason) == (JobState.LOST, REMOVED)
    assert len(jobs.stop(sandbox, job.id, grace_s=1).killed) == 1
    assert not carrying(f"SANDBOX_JOB={folder}")


@row(
    "the folder of another job is removed",
    "nothing changes for it: no full disk is noted, its log lacks nothing",
)
def test_a_removed_folder_is_not_a_full_disk(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        go = server.home / "go"
        other = sandbox.start(f"until [ -e {go} ]; do sleep 0.1; done")
        wait_until(lambda: jobs.get(sandbox, other.id).state is JobState.RUNNING)
        remove = server.home / "remove"
        job = sandbox.start(
            f'until [ -e {remove} ]; do sleep 0.1; done; rm -rf "$SANDBOX_JOB"; exit 5'
        )
        supervisor, _ = pids(job)
        remove.touch()
        assert jobs.wait(sandbox, job.id, timeout_s=20).exit_code == 5
        store = folder_of(server.home)
        wait_until(lambda: not alive(supervisor))
        assert (store / "full").read_text().split()[0] == "0"
        assert (store / "ballast").stat().st_size == 65536
        go.touch()
        assert not jobs.wait(sandbox, other.id, timeout_s=20).log_incomplete


def test_a_job_of_a_removed_store_writes_nothing_into_the_next(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    go = server.home / "go"
    with Sandbox(server.config()) as sandbox:
        old = sandbox.start(f"until [ -e {go} ]; do sleep 0.1; done; exit 9")
        supervisor, _ = pids(old)
        mark = folder_of(server.home) / "live" / old.id
        wait_until(lambda: mark.exists() and mark.read_text())
        os.kill(int(mark.read_text().split()[0]), 9)  # it would write the record again
        shutil.rmtree(server.home / ".sandbox-ops")
        new = sandbox.start("sleep 7831")
        assert new.id == old.id
        go.touch()
        wait_until(lambda: not alive(supervisor), 20)
        assert jobs.get(sandbox, new.id).state is JobState.RUNNING
        jobs.stop(sandbox, new.id, grace_s=0)
