"""`link = { command = [...] }` with what people have there: a container, a compute node, another user."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtimes import Podman, podman_container
from slurm import slurm_cluster
from waiting import wait_until

from sandbox_ops import JobState, Sandbox, SandboxConfig
from sandbox_ops.errors import ConnectError
from sandbox_ops.machine import jobs, transfer
from sandbox_ops.workflows.doctor import doctor


@pytest.fixture
def podman() -> Iterator[Podman]:
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        podman_container(Path(folder) / "podman") as container,
    ):
        yield container


def reached_by(*command: str, workspace: str = "/workspace") -> SandboxConfig:
    return SandboxConfig(
        name="box", host="box", link=tuple(command), workspace=workspace
    )


def test_a_container_runs_commands_and_jobs_and_takes_files(
    podman: Podman, tmp_path: Path
) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "here").write_bytes(data)
    with Sandbox(reached_by(*podman.command)) as sandbox:
        result = sandbox.run("hostname; echo err >&2; exit 3")
        assert (result.exit_code, result.stdout.text) == (3, "box\n")
        assert result.stderr.text == "err\n"
        assert sandbox.run("kill -9 $$").job.signal == "KILL"
        transfer.upload(sandbox, tmp_path / "here", "/workspace/there")
        transfer.download(
            sandbox, "/workspace/there", tmp_path / "back", size_bytes=len(data)
        )
        job = sandbox.start("echo begun; sleep 7871", name="long")
        wait_until(lambda: jobs.output(sandbox, "long", offset=0).data)
        report = jobs.stop(sandbox, job.id, grace_s=0)
        assert (report.job.state, report.left) == (JobState.STOPPED, ())
        checks = {check.name: check.detail for check in doctor(sandbox).checks}
    assert checks["connection"].startswith("root@box, by `")
    assert checks["connection"].endswith("; jobs end with what it leads to")
    assert (tmp_path / "back").read_bytes() == data
    assert (podman.root / "workspace/there").read_bytes() == data


def test_jobs_end_with_their_container_and_are_lost_when_it_is_started_again(
    podman: Podman,
) -> None:
    with Sandbox(reached_by(*podman.command)) as sandbox:
        job = sandbox.start("echo begun; sleep 7881", name="long")
        wait_until(lambda: jobs.output(sandbox, "long", offset=0).data)
        podman.do("stop", "box")
    with (
        Sandbox(reached_by(*podman.command)) as sandbox,
        pytest.raises(ConnectError, match="container state improper"),
    ):
        jobs.get(sandbox, job.id)
    podman.do("start", "box")
    with Sandbox(reached_by(*podman.command)) as sandbox:
        lost = jobs.get(sandbox, job.id)
        assert (lost.state, lost.reason) == (JobState.LOST, "reboot")
        assert jobs.output(sandbox, job.id, offset=0).data == b"begun\n"
        assert sandbox.run("echo again").stdout.text == "again\n"


def test_a_compute_node_is_used_as_long_as_its_allocation_lasts() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        home = root / "home"
        home.mkdir()
        with slurm_cluster(root / "cluster", nodes=1) as cluster:
            held = ("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 600")
            number = cluster.ask(*held).strip()
            wait_until(
                lambda: (
                    cluster.ask("squeue", "-h", "-j", number, "-o", "%t").strip() == "R"
                ),
                20,
            )
            environment = (f"HOME={home}", f"SLURM_CONF={root}/cluster/slurm.conf")
            srun = ("srun", f"--jobid={number}", "--overlap", "--quiet", "sh")
            config = reached_by("env", *environment, *srun, workspace=str(home))
            with Sandbox(config) as sandbox:
                result = sandbox.run("hostname; exit 4")
                assert (result.exit_code, result.stdout.text) == (4, "node1\n")
                job = sandbox.start("sleep 7891", name="long")
                assert jobs.get(sandbox, job.id).state is JobState.RUNNING
            cluster.ask("scancel", number)


def test_another_user_of_this_computer_runs_it() -> None:
    account = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        home = Path(folder)
        os.chown(home, account.pw_uid, account.pw_gid)
        command = ("runuser", "-u", "nobody", "--", "env", f"HOME={home}", "sh")
        with Sandbox(reached_by(*command, workspace=folder)) as sandbox:
            assert sandbox.run("id -un").stdout.text == "nobody\n"
            job = sandbox.start("sleep 7901")
            report = jobs.stop(sandbox, job.id, grace_s=0)
            assert (report.job.state, report.left) == (JobState.STOPPED, ())
