"""The verbs over Slurm: what a user does on a cluster, with the same functions as anywhere."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up
from slurm import OpenSandbox, SlurmCluster
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import RefusedError, UsageError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine import groups, jobs
from sandbox_ops.models.queue import QueueRequest, RetryPolicy
from sandbox_ops.workflows import placement
from sandbox_ops.workflows.doctor import doctor
from sandbox_ops.workflows.events import events
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.placement import PlacementReport
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.rerun import rerun
from sandbox_ops.workflows.stop import stop
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.train import train

_SOON_S = 25.0


@pytest.fixture
def place(log_in: OpenSandbox, git_project: GitProject, tmp_path: Path) -> Place:
    """A project on the cluster, set up by the login node."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return set_up(log_in(workspace=str(workspace)), git_project)


def test_a_training_on_a_node_is_watched_and_its_results_come_home(
    place: Place,
) -> None:
    project = dataclasses.replace(place.project, outputs=("models/",))
    report = train(
        place.sandbox,
        project,
        command="mkdir -p models; hostname >models/where; echo 'step 5/10 loss=0.25'",
        name="night",
        gpus=1,
        time_s=600,
    )
    assert report.warnings == () or "environment" in report.warnings[0]
    job = jobs.wait(place.sandbox, report.job.id, timeout_s=_SOON_S)
    assert job.state is JobState.SUCCEEDED
    (seen,) = monitor(place.sandbox, project, job="night").jobs
    assert seen.progress.metrics["loss"] == 0.25
    fetch(place.sandbox, project)
    assert (place.git.clone / "models/where").read_text().startswith("node")


def test_a_training_that_asks_for_gpus_is_given_them_by_slurm_and_not_by_us(
    place: Place,
) -> None:
    report = train(
        place.sandbox,
        place.project,
        command='echo "gpus $SLURM_GPUS_ON_NODE limit $(squeue -h -j $SLURM_JOB_ID -o %l)"',
        gpus=2,
        time_s=90,
    )
    ended = jobs.wait(place.sandbox, report.job.id, timeout_s=_SOON_S)
    assert ended.state is JobState.SUCCEEDED
    text = jobs.output(place.sandbox, ended.id, offset=0).data.decode()
    assert text == "gpus 2 limit 2:00\n"


def test_a_sweep_is_a_job_a_cell_and_what_comes_after_all_runs_at_the_end(
    place: Place,
) -> None:
    report = sweep(
        place.sandbox,
        place.project,
        {"n": ("1", "2", "3", "4")},
        command="echo cell {n} on $(hostname); [ {n} != 3 ]",
        name="t1",
        then='echo "$SANDBOX_GROUP_SUCCEEDED of $SANDBOX_GROUP_CELLS"',
        gpus=1,
    )
    assert report.ok, report.error
    assert report.then
    done = jobs.wait(place.sandbox, report.then.id, timeout_s=_SOON_S)
    assert done.state is JobState.SUCCEEDED
    text = jobs.output(place.sandbox, done.id, offset=0).data.decode()
    assert text == "3 of 4\n"
    cell = jobs.get(place.sandbox, "t1/3")
    assert (cell.state, cell.exit_code) == (JobState.FAILED, 1)
    assert jobs.output(place.sandbox, "t1/2", offset=0).data.startswith(
        b"cell 2 on node"
    )


def test_stopping_a_sweep_stops_what_runs_and_what_waits(place: Place) -> None:
    cells = {"n": tuple(map(str, range(5)))}
    sweep(
        place.sandbox, place.project, cells,
        command="echo begun; sleep 790{n}", name="t2", gpus=2,
    )  # fmt: skip

    def states() -> list[JobState]:
        group = groups.look(place.sandbox, "t2")
        assert group
        return [member.job.state for member in group.members]

    wait_until(lambda: states().count(JobState.RUNNING) == 3, _SOON_S)
    stop(place.sandbox, "t2", confirm=True)
    assert states() == [JobState.STOPPED] * 5


def test_the_end_of_a_job_on_a_node_is_an_event(place: Place) -> None:
    report = train(place.sandbox, place.project, command="exit 3", name="wrong")
    jobs.wait(place.sandbox, report.job.id, timeout_s=_SOON_S)
    happened = [(e.kind, e.job, e.state) for e in events([place.sandbox])]
    assert happened[-1] == ("ended", report.job.id, "failed")


def test_what_slurm_has_no_option_for_is_refused_before_anything_starts(
    place: Place,
) -> None:
    for options in (QueueOptions(share=2), QueueOptions(slots=3)):
        with pytest.raises(UsageError, match="Slurm"):
            train(place.sandbox, place.project, command="true", queue=options)
    assert jobs.recent(place.sandbox, 5) == ()


def test_retries_go_through_train(place: Place, cluster: SlurmCluster) -> None:
    retry = RetryPolicy(retries=1, backoff_s=0)
    report = train(
        place.sandbox,
        place.project,
        command='echo "$SANDBOX_ATTEMPT" >>tries; [ "$SANDBOX_ATTEMPT" = 2 ]',
        queue=QueueOptions(waits=False, retry=retry),
    )
    ended = jobs.wait(place.sandbox, report.job.id, timeout_s=40)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2), ended
    assert "Requeue=1" in cluster.ask("scontrol", "show", "job", "-o")


def test_a_cluster_is_taken_by_what_slurm_says_of_it_and_not_by_its_login_node(
    place: Place, tmp_path: Path
) -> None:
    """The login node has no GPU; Slurm's own queue refuses nobody."""
    memory = ReliabilityFile({"XDG_STATE_HOME": str(tmp_path)})

    def taken(gpus: int) -> PlacementReport:
        return placement.place(
            [place.sandbox], place.project, gpus=gpus, memory=memory, dry_run=True
        )

    assert taken(2).sandbox == "cluster"
    for index in range(3):
        place.sandbox.start(
            "sleep 7991", name=f"fill-{index}", queue=QueueRequest(gpus=2)
        )
    wait_until(lambda: taken(2).lines == ("on cluster",), _SOON_S)
    (looked,) = placement.look([place.sandbox], place.project, 2, memory)
    assert looked.against == ""
    with pytest.raises(RefusedError, match="Slurm takes no such job"):
        taken(9)


def test_a_rerun_asks_slurm_for_as_many_gpus_as_the_run_had(place: Place) -> None:
    first = train(
        place.sandbox, place.project, name="one", gpus=2, command="echo $SLURM_GPUS_ON_NODE"
    )  # fmt: skip
    jobs.wait(place.sandbox, first.job.id, timeout_s=_SOON_S)
    again = rerun(place.sandbox, place.project, "one", name="two")
    ended = jobs.wait(place.sandbox, again.job.id, timeout_s=_SOON_S)
    assert jobs.output(place.sandbox, ended.id, offset=0).data == b"2\n"


def test_doctor_asks_slurm_whether_it_would_take_a_job(
    login: Sandbox, log_in: OpenSandbox
) -> None:
    good = {check.name: check for check in doctor(login).checks}
    assert good["slurm"].result == "ok"
    assert "partitions main, urgent" in good["slurm"].detail
    assert good["shared folder"].result in ("ok", "warn")
    bad = {
        check.name: check for check in doctor(log_in(slurm_partition="nowhere")).checks
    }
    assert bad["slurm"].result == "fail"
    assert "nowhere" in bad["slurm"].detail
    assert "main" in bad["slurm"].fix


def test_doctor_says_which_file_system_is_over_its_quota(
    log_in: OpenSandbox, tmp_path: Path
) -> None:
    """The tables of quota(1) and of Lustre's lfs, which put a star behind what is too much."""
    fake_quota = tmp_path / "home" / "bin"
    for name, line in (
        ("quota", "nfs1:/home 104857* 100000 120000 6days 812 0 0"),
        ("lfs", "/scratch 512 1000 1100 - 7 0 0 -"),
    ):
        (fake_quota / name).write_text(f"#!/bin/sh\necho '{line}'\n")
        (fake_quota / name).chmod(0o755)
    over = {check.name: check for check in doctor(log_in()).checks}["quota"]
    assert over.result == "fail"
    assert "nfs1:/home 104857*" in over.detail
    assert "/scratch" not in over.detail
    (fake_quota / "quota").write_text("#!/bin/sh\n")
    well = {check.name: check for check in doctor(log_in()).checks}["quota"]
    assert well.result == "ok"


def test_a_job_is_started_found_and_stopped_over_ssh(
    make_sshd: Callable[..., SshServer], cluster: SlurmCluster
) -> None:
    server = make_sshd()
    (server.home / ".profile").write_text(
        f"export SLURM_CONF={cluster.environment['SLURM_CONF']}\n"
    )
    with Sandbox(server.config(engine="slurm")) as sandbox:
        job = sandbox.start("echo begun; sleep 7951", name="far")
        wait_until(lambda: jobs.output(sandbox, "far", offset=0).data, _SOON_S)
    with Sandbox(server.config(engine="slurm")) as sandbox:
        assert jobs.get(sandbox, job.id).state is JobState.RUNNING
        report = jobs.stop(sandbox, "far", grace_s=2)
        assert (report.job.state, len(report.killed)) == (JobState.STOPPED, 2)
