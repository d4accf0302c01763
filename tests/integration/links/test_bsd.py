"""Machines without /proc, with BSD's tools alone (bsd.py says what of that is real).

The rows of the tests of commands, jobs and files over such a machine, and what is its own: which
life of it a job belongs to, what is missing there, where its tools are. What proves the most
runs with `make test`; the rest, and the second kernel, are slow: each tool is a Perl program.
"""

import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import processes
import pytest
from bsd import KERNELS, BsdMachine
from each_link import rows
from gitproject import GitProject
from machines import set_up
from slow import slow
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import DeniedError, RefusedError
from sandbox_ops.machine import files, jobs, leases
from sandbox_ops.models.queue import QueueRequest, RetryPolicy
from sandbox_ops.workflows.doctor import doctor
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.put import put
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.sync import sync
from sandbox_ops.workflows.train import train

Make = Callable[..., BsdMachine]
IN_ANOTHER_SESSION = "perl -MPOSIX -e 'POSIX::setsid(); exec @ARGV'"


@pytest.fixture(params=[KERNELS[0], *slow(*KERNELS[1:])])
def kernel(request: pytest.FixtureRequest) -> str:
    """What `uname` says there."""
    return str(request.param)


@pytest.fixture
def make_sshd(kernel: str, tmp_path: Path) -> Iterator[Make]:
    """Make a machine of the test's own, that may be stopped."""
    numbers = itertools.count(1)
    machines: list[BsdMachine] = []

    def make(**options: object) -> BsdMachine:
        folder = tmp_path / f"machine-{next(numbers)}"
        without = options.get("without", ())
        assert isinstance(without, tuple)
        machines.append(BsdMachine(folder, kernel, without))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture
def sshd(make_sshd: Make) -> BsdMachine:
    """A machine."""
    return make_sshd()


@pytest.fixture
def sandbox(sshd: BsdMachine) -> Iterator[Sandbox]:
    """A sandbox on it."""
    with Sandbox(sshd.config()) as machine:
        yield machine


@pytest.fixture
def shared_sandbox(sandbox: Sandbox) -> Sandbox:
    """The same."""
    return sandbox


def slow_rows(file: str, *names: str) -> dict[str, object]:
    return {name: pytest.mark.slow(test) for name, test in rows(file, *names)}


globals().update(
    rows(
        "integration/machine/test_run.py",
        "test_exit_code_stdout_and_stderr_arrive_apart",
        "test_a_timeout_is_answered_when_the_whole_tree_is_dead",
    )
)
globals().update(
    slow_rows(
        "integration/machine/test_run.py",
        "test_a_signal_is_distinguished_from_an_exit_code",
        "test_stdin_is_empty_and_does_not_hang",
        "test_a_command_runs_in_its_directory_with_its_environment_as_data",
        "test_a_directory_that_is_not_there_is_named",
        "test_a_command_of_a_megabyte_arrives_whole",
        "test_of_a_long_output_head_and_tail_are_kept_and_the_rest_counted",
        "test_invalid_utf8_stays_visible",
        "test_processes_left_behind_are_counted_and_can_be_stopped",
        "test_a_killed_ssh_session_is_reconnected_and_the_real_end_answered",
    )
)
globals().update(
    rows(
        "integration/machine/test_jobs.py",
        "test_a_job_is_started_listed_and_ends_with_its_exit_code",
    )
)
globals().update(
    slow_rows(
        "integration/machine/test_jobs.py",
        "test_a_job_outlives_the_client_that_started_it",
        "test_reading_from_a_cursor_gives_only_what_is_new",
        "test_the_deadline_holds_with_nobody_connected",
        "test_one_token_is_one_job_however_often_it_is_sent",
        "test_a_killed_leader_is_failed_and_a_killed_supervisor_is_lost",
        "test_an_unknown_or_malformed_id_lists_the_known",
        "test_one_look_has_jobs_tails_disk_and_load",
    )
)
globals().update(
    rows(
        "integration/machine/test_files.py",
        "test_a_download_is_whole_resumed_and_atomic",
    )
)
globals().update(
    slow_rows(
        "integration/machine/test_files.py",
        "test_of_a_big_file_the_end_is_numbered_from_the_end",
        "test_a_line_that_is_too_long_is_given_in_part",
        "test_a_last_line_without_its_newline_is_a_line",
        "test_pages_of_a_big_file_follow_each_other_without_gap_or_overlap",
        "test_a_binary_file_is_refused_wherever_its_page_is",
        "test_a_missing_file_names_the_nearest_directory",
        "test_a_range_of_bytes_is_given_as_it_is",
        "test_a_listing_has_sizes_whatever_the_names",
        "test_checksums_are_of_as_much_as_is_asked_whatever_the_names",
        "test_what_is_known_of_a_path_is_reported_without_following_a_link",
        "test_an_empty_file_comes_too",
        "test_of_a_log_that_grows_as_much_comes_as_was_listed",
        "test_a_file_that_became_shorter_or_went_is_refused_and_leaves_nothing",
        "test_an_upload_is_whole_resumed_and_atomic",
    )
)
globals().update(
    slow_rows(
        "integration/machine/test_logs.py",
        "test_output_beyond_the_limit_keeps_its_beginning_and_its_end",
    )
)
globals().update(
    slow_rows(
        "integration/machine/test_jobs_removed.py",
        "test_a_job_that_removes_its_own_folder_keeps_its_exit_code",
        "test_a_job_whose_folder_was_removed_is_listed_and_stopped_by_its_id",
    )
)


def alive(machine: BsdMachine, command: str) -> set[int]:
    """Return the processes of jobs there whose command line begins so."""
    found = processes.carrying(f"HOME={machine.home}").items()
    return {pid for pid, line in found if line.startswith(command)}


def test_stop_ends_the_tree_with_what_left_the_session_or_lost_its_parent(
    sandbox: Sandbox, sshd: BsdMachine
) -> None:
    job = sandbox.start(
        f"({IN_ANOTHER_SESSION} sleep 7301 &); {IN_ANOTHER_SESSION} sleep 7302 & "
        "(sleep 7303 &); trap '' TERM; while :; do sleep 0.1; done"
    )
    wait_until(lambda: len(alive(sshd, "sleep 730")) == 3)
    report = jobs.stop(sandbox, job.id, grace_s=1)
    assert (report.job.state, report.left) == (JobState.STOPPED, ())
    assert sum("sleep" in line for line in report.killed) >= 3
    assert alive(sshd, "sleep 730") == set()


@pytest.mark.slow
def test_a_process_that_only_has_the_marker_in_its_arguments_is_nobody_s(
    sandbox: Sandbox, sshd: BsdMachine
) -> None:
    job = sandbox.start("sleep 7311")
    folder = job.log_path.rpartition("/")[0]
    other = sandbox.start(f"perl -e 'sleep 60' SANDBOX_JOB={folder} x")
    wait_until(lambda: len(alive(sshd, "perl")) == 1)
    jobs.stop(sandbox, job.id, grace_s=0)
    assert len(alive(sshd, "perl")) == 1
    jobs.stop(sandbox, other.id, grace_s=0)
    assert alive(sshd, "perl") == set()


@pytest.mark.slow
def test_stop_lets_a_training_save(sandbox: Sandbox) -> None:
    job = sandbox.start(
        "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    )
    wait_until(lambda: jobs.output(sandbox, job.id).data == b"up\n")
    report = jobs.stop(sandbox, job.id, grace_s=5)
    assert report.job.state is JobState.STOPPED
    assert jobs.output(sandbox, job.id).data.endswith(b"saved\n")


@pytest.mark.slow
def test_a_cancelled_command_is_dead_with_its_tree(
    sandbox: Sandbox, sshd: BsdMachine
) -> None:
    call = sandbox.submit(f"{IN_ANOTHER_SESSION} sleep 7321 & sleep 7322")
    wait_until(lambda: len(alive(sshd, "sleep 732")) == 2)
    call.cancel()
    assert call.future.result(20).job.state is JobState.STOPPED
    assert alive(sshd, "sleep 732") == set()


@pytest.mark.slow
def test_after_a_restart_of_the_machine_its_jobs_are_lost(
    sandbox: Sandbox, sshd: BsdMachine
) -> None:
    job = sandbox.start("sleep 7331")
    sandbox.close()
    sshd.restarted()
    with Sandbox(sshd.config()) as again:
        lost = jobs.get(again, job.id)
        assert (lost.state, lost.reason) == (JobState.LOST, "reboot")
        assert jobs.stop(again, job.id, grace_s=0).killed == ()
        assert len(alive(sshd, "sleep 7331")) == 1  # for it may be anybody's by now


@pytest.mark.slow
def test_a_job_whose_supervisor_was_killed_is_known_and_can_be_stopped(
    sandbox: Sandbox, sshd: BsdMachine
) -> None:
    job = sandbox.start("exec sleep 7341")
    (leader,) = wait_until(lambda: alive(sshd, "sleep 7341"))
    supervisor = processes.table()[leader].parent
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: jobs.get(sandbox, job.id).reason == "unsupervised")
    assert jobs.get(sandbox, job.id).state is JobState.RUNNING
    assert jobs.stop(sandbox, job.id, grace_s=1).left == ()
    assert alive(sshd, "sleep 7341") == set()


@pytest.mark.slow
def test_a_failed_attempt_is_tried_again_and_slots_hold(sandbox: Sandbox) -> None:
    first = sandbox.start("sleep 0.5", queue=QueueRequest(slots=1))
    retried = sandbox.start(
        "echo attempt $SANDBOX_ATTEMPT; [ $SANDBOX_ATTEMPT = 2 ]",
        queue=QueueRequest(slots=1, retry=RetryPolicy(retries=1, backoff_s=0)),
    )
    assert jobs.get(sandbox, retried.id).state is JobState.QUEUED
    assert jobs.wait(sandbox, first.id, timeout_s=60).exit_code == 0
    ended = jobs.wait(sandbox, retried.id, timeout_s=60)
    assert (ended.exit_code, ended.attempt) == (0, 2)
    assert jobs.output(sandbox, retried.id).data == b"attempt 1\nattempt 2\n"


@pytest.mark.slow
def test_commands_see_the_tools_and_the_locale_of_the_login_not_ours(
    sandbox: Sandbox,
) -> None:
    for name in ("timeout", "setsid", "sha256sum"):
        assert sandbox.run(f"command -v {name}").exit_code != 0
    seen = sandbox.run("env", env={"TOKEN": "a b'c"}).stdout.text
    assert ".tools" not in seen
    assert "LC_ALL" not in seen
    assert "LANG=C.UTF-8" in seen
    assert "TOKEN=a b'c\n" in seen


def test_a_link_to_what_may_not_be_read_is_not_followed(
    sshd: BsdMachine, tmp_path: Path
) -> None:
    good, secret = tmp_path / "good", tmp_path / "secret"
    good.mkdir()
    secret.write_text("secret\n")
    (good / "file").write_text("text\n")
    (good / "link").symlink_to(secret)
    os.mkfifo(good / "pipe")
    config = replace(sshd.config(), read_roots=(str(good),))
    with Sandbox(config) as sandbox:
        assert files.read_lines(sandbox, str(good / "file")).lines == ("text",)
        with pytest.raises(DeniedError):
            files.read_lines(sandbox, str(good / "link"))
        with pytest.raises(RefusedError, match="not a regular file"):
            files.read_lines(sandbox, str(good / "pipe"))


@pytest.mark.slow
def test_a_project_is_set_up_synced_trained_and_its_outputs_come_home(
    sandbox: Sandbox, git_project: GitProject, tmp_path: Path
) -> None:
    place = set_up(sandbox, git_project)
    git_project.commit({"train.py": "print('loss: 1')\n"})
    assert sync(sandbox, place.project, push=True).commit_after == git_project.head
    outputs = git_project.project(outputs=("out/",))
    command = "python3 train.py; mkdir -p out; echo 1 >out/x"
    report = train(sandbox, outputs, command=command)
    ended = jobs.wait(sandbox, report.job.id, timeout_s=60)
    assert (ended.state, ended.exit_code) == (JobState.SUCCEEDED, 0)
    (seen,) = monitor(sandbox, outputs).jobs
    assert seen.progress.metrics == {"loss": 1.0}
    of_run = fetch(sandbox, outputs, job=ended.id, into=str(tmp_path / "run")).files
    (file,) = (each for each in of_run if each.path == "out/x")
    assert re.fullmatch("[0-9a-f]{64}", file.sha256)


@pytest.mark.slow
def test_files_are_sent_and_edits_there_are_rescued(
    sandbox: Sandbox, git_project: GitProject, tmp_path: Path
) -> None:
    place = set_up(sandbox, git_project)
    local = tmp_path / "sent é"
    local.write_bytes(os.urandom(300_000))
    sent = place.clone.parent / "there" / local.name
    put(sandbox, place.project, path=str(local), dest=str(sent))
    assert sent.read_bytes() == local.read_bytes()
    place.write("README.md", "edited there\n")
    place.write("out/x", "1\n")
    outputs = git_project.project(outputs=("out/",))
    rescued = reset(sandbox, outputs)
    assert rescued.backup_ref
    assert place.run("show", f"{rescued.backup_ref}:README.md") == "edited there"
    brought = fetch(sandbox, outputs, into=str(tmp_path / "o"))
    assert [each.path for each in brought.files] == ["out/x"]


@pytest.mark.slow
def test_a_machine_without_gpus_is_monitored_and_doctor_says_experimental(
    sandbox: Sandbox, kernel: str
) -> None:
    job = sandbox.start("sleep 7351")
    report = monitor(sandbox)
    assert [view.job.id for view in report.jobs] == [job.id]
    assert report.gpus == ()
    assert report.cpus
    assert report.load_1min is not None
    assert report.disk is not None
    assert report.disk.free_inodes
    assert report.jobs[0].job.state is JobState.RUNNING
    checks = {check.name: check for check in doctor(sandbox).checks}
    assert kernel in checks["system"].detail
    assert "experimental" in checks["system"].detail
    assert checks["connection"].result == "ok"


@pytest.mark.slow
def test_a_lease_is_held_against_another_and_given_back(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    place = set_up(sandbox, git_project)
    with Sandbox(sandbox.config, started_by="rosa@laptop") as other:
        path = str(place.clone)
        with (
            leases.held(sandbox, path, "one"),
            pytest.raises(RefusedError, match="is at work"),
            leases.held(other, path, "two", wait_s=0),
        ):
            pass
        with leases.held(other, path, "two", wait_s=0):
            pass


def test_a_machine_without_perl_refuses_and_names_it(
    make_sshd: Make, kernel: str
) -> None:
    machine = make_sshd(without=("perl",))
    with Sandbox(machine.config()) as sandbox:
        with pytest.raises(RefusedError, match=f"perl is missing.*{kernel}"):
            sandbox.run("true")
        failed = [c for c in doctor(sandbox).checks if c.result == "fail"]
        assert "perl is missing" in failed[0].detail


def test_a_linux_machine_whose_proc_is_not_mounted_says_so(tmp_path: Path) -> None:
    machine = BsdMachine(tmp_path / "machine", "Linux")
    try:
        with (
            Sandbox(machine.config()) as sandbox,
            pytest.raises(RefusedError, match="/proc is not mounted"),
        ):
            sandbox.run("true")
    finally:
        machine.close()
