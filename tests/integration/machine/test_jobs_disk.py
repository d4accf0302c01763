"""Disks that are full, closed or somebody else's; machines that lack what we need."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mounts import Mounts, private_mounts
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import DeniedError, RefusedError
from sandbox_ops.machine import jobs

Make = Callable[..., SshServer]


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


def small_disk(
    mounts: Mounts, make_sshd: Make, options: str = "size=2m"
) -> tuple[SshServer, Path]:
    """Return a server whose records lie on a disk of their own."""
    server: SshServer = mounts.do(make_sshd)
    folder = server.home / ".sandbox-ops"
    mounts.tmpfs(folder, f"{options},mode=700")
    return server, folder


@row(
    "the disk is full when it starts",
    "the start is refused and says so; no id is given",
)
def test_a_start_on_a_full_disk_is_refused_and_leaves_nothing(
    mounts: Mounts, make_sshd: Make
) -> None:
    server, folder = small_disk(mounts, make_sshd)
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        mounts.fill(folder)
        with pytest.raises(RefusedError, match="disk is full") as caught:
            sandbox.start("echo never", gpus=(0,), name="x", unique_name=True)
        (step,) = caught.value.next_steps
        assert step.command == "sandbox-ops shell"
        mounts.free(folder)
        assert [job.command for job in jobs.recent(sandbox, include_commands=True)] == [
            "true"
        ]
        assert sandbox.start("true", gpus=(0,)).id


def test_a_start_without_inodes_is_refused(mounts: Mounts, make_sshd: Make) -> None:
    server, folder = small_disk(mounts, make_sshd, "size=2m,nr_inodes=60")
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        mounts.do(lambda: _use_up_inodes(folder))
        with pytest.raises(RefusedError, match="disk"):
            sandbox.run("echo never")


def _use_up_inodes(folder: Path) -> None:
    for number in range(1000):
        try:
            (folder / f"inode-{number}").touch()
        except OSError:
            return


def test_a_read_only_home_refuses_and_says_why(mounts: Mounts, make_sshd: Make) -> None:
    server, folder = small_disk(mounts, make_sshd)
    mounts.remount(folder, "ro")
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(RefusedError, match="read-only"),
    ):
        sandbox.run("true")


def test_a_folder_of_another_user_is_refused(make_sshd: Make) -> None:
    server = make_sshd()
    folder = server.home / ".sandbox-ops"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(DeniedError, match="another user"),
    ):
        sandbox.run("true")


def test_nothing_of_ours_needs_to_be_executable(
    mounts: Mounts, make_sshd: Make
) -> None:
    server, _ = small_disk(mounts, make_sshd, "noexec,size=2m")
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("echo fine; exit 3").exit_code == 3


@row(
    "the disk fills up while it runs",
    "its exit code is kept; its log is marked incomplete, also where room came back",
)
@pytest.mark.parametrize("lasts", ["", "sleep 0.4; "])
def test_a_disk_that_fills_midway_costs_no_exit_code_and_the_log_says_so(
    mounts: Mounts, make_sshd: Make, lasts: str
) -> None:
    server, folder = small_disk(mounts, make_sshd)
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        job = sandbox.start(
            f"cat /dev/zero >{folder}/fill; {lasts}echo last words; exit 5"
        )
        ended = jobs.wait(sandbox, job.id, timeout_s=10)
        assert (ended.state, ended.exit_code) == (JobState.FAILED, 5)
        assert ended.log_incomplete
        mounts.free(folder)
        assert jobs.get(sandbox, job.id) == ended


def test_a_disk_that_was_full_for_a_while_is_remembered(
    mounts: Mounts, make_sshd: Make
) -> None:
    server, folder = small_disk(mounts, make_sshd)
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        go = server.home / "go"
        call = sandbox.submit(f"until [ -e {go} ]; do sleep 0.1; done")
        wait_until(lambda: call.job_id)
        mounts.fill(folder)
        record = folder.joinpath(*Path(call_log(sandbox, call.job_id)).parts[-5:-1])
        wait_until(lambda: mounts.do((record / "incomplete").exists))
        mounts.free(folder)
        go.touch()
        assert call.future.result(10).job.log_incomplete


def test_a_full_disk_is_reported_although_another_job_made_room_meanwhile(
    mounts: Mounts, make_sshd: Make
) -> None:
    server, folder = small_disk(mounts, make_sshd)
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        go = server.home / "go"
        first = sandbox.start("sleep 3600")
        wait_until(lambda: jobs.get(sandbox, first.id).state is JobState.RUNNING)
        second = sandbox.start(f"until [ -e {go} ]; do sleep 0.1; done; exit 5")
        wait_until(lambda: jobs.get(sandbox, second.id).state is JobState.RUNNING)
        mounts.fill(folder)
        with pytest.raises(RefusedError):
            sandbox.start("true")  # finds it full, and says so to all
        mounts.free(folder)
        go.touch()
        assert jobs.wait(sandbox, second.id, timeout_s=10).log_incomplete
        later = sandbox.run("true").job
        assert not later.log_incomplete
        jobs.stop(sandbox, first.id, grace_s=0)


def records(sandbox: Sandbox, folder: Path) -> Path:
    """Return the store of records, which `mounts` can see."""
    return folder / sandbox.base.partition("/.sandbox-ops/")[2]


def running(sandbox: Sandbox, command: str) -> str:
    """Start a job; return its id once it runs."""
    job = sandbox.start(command)
    wait_until(lambda: jobs.get(sandbox, job.id).state is JobState.RUNNING)
    return job.id


def test_a_log_that_lost_lines_says_so_when_the_end_of_another_job_made_room(
    mounts: Mounts, make_sshd: Make
) -> None:
    server, folder = small_disk(mounts, make_sshd)
    home = server.home
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        other = running(sandbox, f"until [ -e {home}/end ]; do sleep 0.02; done")
        mark = records(sandbox, folder) / "live" / other  # what its end removes
        wait_until(lambda: mounts.do(mark.exists) and mounts.do(mark.read_text))
        loses = running(
            sandbox,
            f"until [ -e {home}/write ]; do sleep 0.02; done; "
            f"head -c 9000 /dev/zero; touch {home}/written; "
            f"until [ -e {home}/end-too ]; do sleep 0.02; done; exit 5",
        )
        mounts.fill(folder)
        (home / "write").touch()
        wait_until((home / "written").exists)
        (home / "end").touch()
        assert jobs.wait(sandbox, other, timeout_s=10).log_incomplete
        (home / "end-too").touch()
        ended = jobs.wait(sandbox, loses, timeout_s=10)
        assert (ended.exit_code, ended.log_incomplete) == (5, True)


def call_log(sandbox: Sandbox, job_id: str | None) -> str:
    return jobs.get(sandbox, str(job_id)).log_path


@row("somebody deletes our whole folder", "the next command creates it again")
def test_a_removed_folder_is_created_again(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        shutil.rmtree(server.home / ".sandbox-ops")
        assert sandbox.run("echo again").stdout.text == "again\n"


TOOLS = [
    "cat",
    "chmod",
    "cut",
    "date",
    "dd",
    "df",
    "du",
    "find",
    "grep",
    "head",
    "ln",
    "mkdir",
    "mkfifo",
    "mv",
    "readlink",
    "rm",
    "sed",
    "setsid",
    "sh",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tr",
    "truncate",
    "wc",
]


def few_tools(folder: Path, *missing: str) -> str:
    """Return a PATH that has what we promise to be content with, less some."""
    folder.mkdir()
    for name in set(TOOLS) - set(missing):
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


@pytest.mark.parametrize("missing", ["setsid", "grep", "mkfifo"])
def test_a_missing_tool_refuses_the_start_and_is_named(
    make_sshd: Make, tmp_path: Path, missing: str
) -> None:
    server = make_sshd(environment={"PATH": few_tools(tmp_path / "bin", missing)})
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(RefusedError, match=f"{missing} is missing"),
    ):
        sandbox.run("true")


def test_without_bash_commands_run_under_sh(make_sshd: Make, tmp_path: Path) -> None:
    server = make_sshd(environment={"PATH": few_tools(tmp_path / "bin")})
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("echo ${BASH_VERSION:-sh}; exit 7")
        assert sandbox.login == "none"
        assert (result.stdout.text, result.exit_code) == ("sh\n", 7)
        job = sandbox.start("sleep 7401 & sleep 7401")
        wait_until(lambda: jobs.get(sandbox, job.id).state is JobState.RUNNING)
        assert jobs.stop(sandbox, job.id, grace_s=1).job.state is JobState.STOPPED
