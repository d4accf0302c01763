"""A queue whose machine restarts, whose disk fills, and whose keeper is of another version."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containers import start_container
from mounts import Mounts, private_mounts
from records import folder_of, write
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.models.queue import QueueRequest, RetryPolicy

Make = Callable[..., SshServer]
ONE_AT_A_TIME = QueueRequest(slots=1)


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


def keeper(server: SshServer) -> int:
    """Return the pid of the queue's keeper, as it wrote it; 0 where there is none."""
    for file in folder_of(server.home).glob("queue/*/keeper"):
        pid = int((file.read_text().split() or ["0"])[0])
        return pid if pid and Path(f"/proc/{pid}/cwd").exists() else 0
    return 0


@row(
    "it waits in the queue and the machine restarts",
    "it waits on, and begins after the next connection of anybody; what was running is "
    "lost, or waits for its next attempt where `--retries` says so",
)
@pytest.mark.parametrize("boots", ["0f0f", "f0f0"], ids=["container", "machine"])
def test_after_a_restart_the_queue_goes_on_at_the_next_connection(
    tmp_path: Path, boots: str
) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("0f0f\n")
    retry = RetryPolicy(retries=1)
    with start_container(tmp_path / "server", boot_id) as server:
        with Sandbox(server.config()) as sandbox:
            lost = sandbox.start("sleep 600", queue=QueueRequest(slots=2))
            again = sandbox.start(
                "[ $SANDBOX_ATTEMPT = 2 ] || sleep 600",
                queue=QueueRequest(slots=2, retry=retry),
            )
            for job in (lost, again):
                wait_until(
                    lambda: (
                        jobs.get(sandbox, job.id).state is JobState.RUNNING  # noqa: B023
                    )
                )
            waits = sandbox.start("echo ran", queue=QueueRequest(slots=2))
        server.stop()
        boot_id.write_text(f"{boots}\n")
        server.start(busy=True)
        with Sandbox(server.config()) as sandbox:
            assert jobs.get(sandbox, again.id).state is not JobState.LOST
            assert jobs.get(sandbox, lost.id).words == "lost (reboot)"
            assert jobs.wait(sandbox, waits.id, timeout_s=40).exit_code == 0
            ended = jobs.wait(sandbox, again.id, timeout_s=40)
            assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)


@row(
    "the disk is full when it is queued, or when its turn comes",
    "it is refused when it is queued; later it waits until there is room, and says so",
)
@pytest.mark.slow
def test_a_full_disk_refuses_a_job_and_keeps_one_that_waits(
    mounts: Mounts, make_sshd: Make
) -> None:
    server: SshServer = mounts.do(make_sshd)
    folder = server.home / ".sandbox-ops"
    mounts.tmpfs(folder, "size=4m,nr_inodes=200,mode=700")
    with Sandbox(server.config()) as sandbox:
        retry = RetryPolicy(retries=1, backoff_s=300)
        request = QueueRequest(slots=1, retry=retry)
        waits = sandbox.start("[ $SANDBOX_ATTEMPT = 2 ]", queue=request)
        wait_until(lambda: jobs.get(sandbox, waits.id).attempt == 2)
        mounts.fill(folder)
        mounts.do(lambda: _use_inodes(folder))
        with pytest.raises(RefusedError, match=r"disk (is )?full"):
            sandbox.start("echo never", queue=ONE_AT_A_TIME)
        assert [job.id for job in jobs.recent(sandbox)] == [waits.id]

        def waits_for_room() -> bool:
            mounts.do(lambda: _fill_again(folder))  # what others give back is taken
            reason = jobs.get(sandbox, waits.id).waits_for
            return reason == "waits for room on the disk"

        mounts.do(lambda: _come_due(folder, waits.id))
        pid = wait_until(lambda: mounts.do(lambda: keeper(server)))
        os.kill(pid, signal.SIGUSR1)  # it looks at once
        wait_until(waits_for_room, 30)
        mounts.free(folder)
        mounts.do(lambda: _give_back(folder))
        assert jobs.wait(sandbox, waits.id, timeout_s=40).exit_code == 0


def _come_due(folder: Path, job_id: str) -> None:
    """Let the pause before an attempt be over now: its entry in the queue says so first."""
    pattern = f"v1/home/queue/*/waiting/*.{job_id}"
    (entry,) = wait_until(lambda: list(folder.glob(pattern)))
    with entry.open("r+b") as file:
        file.write(b"%12d" % 0)


def _fill_again(folder: Path) -> None:
    _use_inodes(folder)
    with contextlib.suppress(OSError), (folder / "fill").open("ab", 0) as file:
        while True:
            file.write(b"x")


def _use_inodes(folder: Path) -> None:
    for number in range(1000):
        try:
            (folder / f"inode-{number}").touch()
        except OSError:
            return


def _give_back(folder: Path) -> None:
    for file in folder.glob("inode-*"):
        file.unlink()


def test_the_keeper_of_an_older_version_hands_over_before_it_starts_anything(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        blocker = sandbox.start("sleep 600", queue=ONE_AT_A_TIME)
        sandbox.start("true", queue=ONE_AT_A_TIME)
        old = wait_until(lambda: keeper(server))
        queue = next((folder_of(server.home) / "queue").iterdir())
        os.kill(old, signal.SIGSTOP)  # or it writes that it lives, in its real version
        for file in (
            queue / "keeper",
            *queue.glob("keeper.*"),
        ):  # as an older one has it
            pid, ticks, _ = file.read_text().split()
            file.write_text(f"{pid} {ticks} 0\n")
        job = sandbox.start("true", queue=ONE_AT_A_TIME)
        new = wait_until(lambda: (keeper(server) != old) and keeper(server))
        assert new != old
        os.kill(old, signal.SIGCONT)
        jobs.stop(sandbox, blocker.id, grace_s=0)
        assert jobs.wait(sandbox, job.id, timeout_s=20).exit_code == 0
        wait_until(lambda: not Path(f"/proc/{old}/cwd").exists(), 20)


def test_what_a_newer_version_queued_is_left_to_it(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        blocker = sandbox.start("sleep 600", queue=ONE_AT_A_TIME)
        newer = sandbox.start("echo never", queue=ONE_AT_A_TIME)
        start = Path(newer.log_path).with_name("start")
        start.write_text(start.read_text().replace("format=1", "format=2"))
        ours = sandbox.start("true", queue=QueueRequest(slots=2))
        jobs.stop(sandbox, blocker.id, grace_s=0)
        assert jobs.wait(sandbox, ours.id, timeout_s=30).exit_code == 0
        wait_until(
            lambda: "newer sandbox-ops" in jobs.get(sandbox, newer.id).waits_for, 20
        )
        assert Path(newer.log_path).read_text() == ""
        jobs.stop(sandbox, newer.id)


def test_a_record_that_waits_is_never_pruned(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        blocker = sandbox.start("sleep 600", queue=ONE_AT_A_TIME)
        waits = sandbox.start("echo ran", queue=ONE_AT_A_TIME)
        base = folder_of(server.home)
        for number in range(100, 198):
            write(base, number, age_days=400, now=4e9)
        (base / "last").write_text("197\n")
        (base / "keep").write_text("count=1\nmib=1\ndays=1\n")
        for _ in range(4):  # past a multiple of 200
            jobs.wait(sandbox, sandbox.start("true").id, timeout_s=20)
        wait_until(lambda: len(list((base / "jobs").glob("remote-1??"))) < 60, 30)
        assert jobs.get(sandbox, waits.id).state is JobState.QUEUED
        jobs.stop(sandbox, blocker.id, grace_s=0)
        assert jobs.wait(sandbox, waits.id, timeout_s=20).exit_code == 0


def test_the_queue_of_a_container_that_was_created_again_goes_on(
    tmp_path: Path,
) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("0f0f\n")
    with start_container(tmp_path / "server", boot_id, node="old") as server:
        with Sandbox(server.config()) as sandbox:
            sandbox.start("sleep 600", queue=ONE_AT_A_TIME)
            waits = sandbox.start("echo ran", queue=ONE_AT_A_TIME)
            wait_until(lambda: jobs.get(sandbox, waits.id).waits_for.count("remote-1"))
        server.stop()
        server.node = "new"
        boot_id.write_text("f0f0\n")
        server.start(busy=True)
        with Sandbox(server.config()) as sandbox:  # who may only be slow to come back
            assert "waits on its machine old" in jobs.get(sandbox, waits.id).waits_for
        beat = folder_of(server.home) / "queue/old/keeper"
        os.utime(beat, (beat.stat().st_mtime - 700,) * 2)
        with Sandbox(server.config()) as sandbox:
            assert jobs.wait(sandbox, waits.id, timeout_s=60).exit_code == 0


@row(
    "the process that keeps the queue is killed, again and again",
    "the next client that looks, or the next job that ends, starts another; none begins twice",
)
def test_a_keeper_that_is_killed_all_the_time_starts_each_job_once(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd()
    truth, go = tmp_path / "truth", tmp_path / "go"
    work = f"until [ -e {go} ]; do sleep 0.05; done; echo {{}} >>{truth}"
    with Sandbox(server.config()) as sandbox:
        started = [
            sandbox.start(work.format(n), queue=QueueRequest(slots=2)).id
            for n in range(20)
        ]
        killed = 0
        while not all(job.state.ended for job in jobs.recent(sandbox)):
            if pid := keeper(server):
                os.kill(pid, signal.SIGKILL)
                killed += 1
            if killed >= 3:
                go.touch()
            jobs.recent(sandbox)
    assert len(started) == 20
    assert sorted(map(int, truth.read_text().split())) == list(range(20))
