"""One home, one store: machines that are renamed, created again, or share their home."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import records
from containers import Container, start_container
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job

Make = Callable[..., SshServer]
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@pytest.fixture
def boot_id(tmp_path: Path) -> Path:
    """A boot id of a container's own: its host's."""
    file = tmp_path / "boot_id"
    file.write_text(BOOT_ID.read_text())
    return file


def rename(server: Container, node: str) -> None:
    server.ssh(f"echo {node} >/proc/sys/kernel/hostname")
    assert server.ssh("cat /proc/sys/kernel/hostname").strip() == node


@row(
    "its machine gets another host name",
    "nothing changes: it is listed, holds its claims, and its id is not given again",
)
def test_a_renamed_machine_knows_its_jobs_and_gives_no_id_again(
    tmp_path: Path, boot_id: Path
) -> None:
    with start_container(tmp_path / "server", boot_id, "before") as server:
        with Sandbox(server.config()) as sandbox:
            job = sandbox.start(
                "echo up; sleep 7841", gpus=(0,), name="it", unique_name=True
            )
            wait_until(lambda: jobs.output(sandbox, job.id).data)
        rename(server, "after")
        with Sandbox(server.config()) as sandbox:
            assert [each.id for each in jobs.recent(sandbox)] == [job.id]
            assert jobs.get(sandbox, job.id).words == "running"
            with pytest.raises(RefusedError, match=f"GPU 0 is held by {job.id}"):
                sandbox.start("true", gpus=(0,))
            with pytest.raises(RefusedError, match=f"the name it is held by {job.id}"):
                sandbox.start("true", name="it", unique_name=True)
            assert sandbox.start("true").id not in {job.id, "remote-1"}
            report = jobs.stop(sandbox, job.id, grace_s=0)
            assert (report.job.state, report.left) == (JobState.STOPPED, ())


@row(
    "its container is created again, under another name, with the same home",
    "`lost (its machine NAME is gone)` half a minute later; its log can be read",
)
def test_jobs_of_a_container_that_was_created_again_are_lost_and_readable(
    tmp_path: Path, boot_id: Path
) -> None:
    with start_container(tmp_path / "server", boot_id, "first") as server:
        with Sandbox(server.config()) as sandbox:
            job = sandbox.start("echo up; sleep 7842", gpus=(0,))
            wait_until(lambda: jobs.output(sandbox, job.id).data)
        server.stop()
        server.node = "second"
        server.start()
        with Sandbox(server.config()) as sandbox:
            # it may be another machine with the same home: until it is silent for long
            assert jobs.get(sandbox, job.id).words == "running (on first)"
            fall_silent(job)
            lost = jobs.get(sandbox, job.id)
            assert lost.words == "lost (its machine first is gone)"
            assert jobs.recent(sandbox) == (lost,)
            assert jobs.output(sandbox, job.id).data == b"up\n"
            assert jobs.stop(sandbox, job.id, grace_s=0).killed == ()
            after = sandbox.start("true", gpus=(0,))
            assert after.id == "remote-2"
            assert jobs.get(sandbox, job.id).state is JobState.LOST


def fall_silent(job: Job) -> None:
    """Make it long ago that anybody wrote into the record."""
    for file in Path(job.log_path).parent.iterdir():
        os.utime(file, (time.time() - 60, time.time() - 60))


@row(
    "another machine with the same home looks at it",
    "it is `running (on NAME)`; only there it can be stopped; each has its own GPUs",
)
def test_two_machines_that_share_a_home_are_distinguished(
    tmp_path: Path, boot_id: Path
) -> None:
    other_boot = tmp_path / "other_boot"
    other_boot.write_text("0f0f\n")
    with (
        start_container(tmp_path / "a", boot_id, "alpha") as alpha,
        start_container(tmp_path / "b", other_boot, "beta") as beta,
    ):
        for file in beta.home.iterdir():
            file.rename(alpha.home / file.name)
        beta.home.rmdir()
        beta.home.symlink_to(alpha.home)
        with Sandbox(alpha.config()) as there, Sandbox(beta.config()) as local:
            job = there.start("sleep 7843", gpus=(0,))
            wait_until(lambda: jobs.get(there, job.id).state is JobState.RUNNING)
            seen = jobs.get(local, job.id)
            assert (seen.words, seen.gpus) == ("running (on alpha)", ())
            with pytest.raises(RefusedError, match=f"{job.id} runs on alpha"):
                jobs.stop(local, job.id)
            mine = local.start("sleep 7843", gpus=(0,))
            assert mine.id == "remote-2"
            assert there.start("true").id == "remote-3"
            with pytest.raises(RefusedError, match=f"GPU 0 is held by {job.id}"):
                there.start("true", gpus=(0,))
            assert {each.id for each in jobs.recent(there)} >= {job.id, mine.id}
            for sandbox, each in ((there, job), (local, mine)):
                report = jobs.stop(sandbox, each.id, grace_s=0)
                assert report.job.state is JobState.STOPPED
            assert jobs.get(local, job.id).state is JobState.STOPPED


def test_records_of_an_older_version_are_found_and_their_ids_not_given_again(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    folder = server.home / ".sandbox-ops" / "v1"
    for name, last in ((platform.node(), 7), ("other", 40)):
        records.write(folder / name, last, age_days=1, now=time.time())
        (folder / name / "last").write_text(f"{last}\n")
    with Sandbox(server.config()) as sandbox:
        assert [job.id for job in jobs.recent(sandbox)] == ["remote-7"]
        assert jobs.get(sandbox, "remote-7").state is JobState.SUCCEEDED
        assert sandbox.start("true").id == "remote-41"
    with Sandbox(server.config()) as sandbox:
        assert [job.id for job in jobs.recent(sandbox)] == ["remote-41", "remote-7"]
