"""A training over several nodes of a Slurm cluster: one job, whatever becomes of a node."""

import contextlib
import dataclasses
import json
import socket
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up
from slurm import OpenSandbox, SlurmCluster
from slurm_jobs import fake
from waiting import wait_until

from sandbox_ops import Job, JobState
from sandbox_ops.machine import jobs
from sandbox_ops.models.queue import RetryPolicy
from sandbox_ops.workflows.events import events
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.rerun import rerun
from sandbox_ops.workflows.runs import show
from sandbox_ops.workflows.stop import stop
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.train import train

_SOON_S = 30.0
PROGRAM_TEXT = (Path(__file__).parents[2] / "support/rendezvous.py").read_text()


@pytest.fixture
def place(log_in: OpenSandbox, git_project: GitProject, tmp_path: Path) -> Place:
    """A project on the cluster, set up by the login node."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    git_project.commit({"rendezvous.py": PROGRAM_TEXT}, push=True)
    return set_up(log_in(workspace=str(workspace)), git_project)


def log(place: Place, job: Job) -> list[str]:
    text = jobs.output(place.sandbox, job.id, offset=0).data.decode()
    return text.splitlines()


def ended(place: Place, job: Job) -> Job:
    done = jobs.wait(place.sandbox, job.id, timeout_s=_SOON_S)
    assert done.state.ended, log(place, done)
    return done


def test_a_training_meets_over_its_nodes_and_has_one_log(place: Place) -> None:
    report = train(
        place.sandbox,
        place.project,
        command="python3 rendezvous.py && hostname && echo step 5/10 loss=0.25",
        name="ddp",
        nodes=3,
    )
    job = ended(place, report.job)
    assert job.state is JobState.SUCCEEDED
    assert job.command.startswith("python3 rendezvous.py")
    lines = log(place, job)
    for rank in range(3):
        assert f"{rank}: rank {rank} of 3 at 127.0.0.1: sum 6" in lines
        assert f"{rank}: node{rank + 1}" in lines
    (seen,) = monitor(place.sandbox, place.project, job="ddp").jobs
    assert seen.progress.metrics["loss"] == 0.25
    assert (seen.progress.step, seen.progress.total) == (5, 10)


def test_where_one_node_fails_the_job_ends_as_that_node_did_and_names_it(
    place: Place, cluster: SlurmCluster
) -> None:
    report = train(
        place.sandbox,
        place.project,
        command="python3 rendezvous.py 1",
        name="ddp",
        nodes=2,
    )
    job = ended(place, report.job)
    assert (job.state, job.exit_code) == (JobState.FAILED, 3)
    assert job.reason == "rank 1 on node2 failed first: exit code 3"
    assert "[sandbox-ops] rank 1 on node2 failed first" in log(place, job)[-1]
    cluster.wait_until_idle(3)


def test_stop_ends_the_tasks_of_every_node(
    place: Place, cluster: SlurmCluster, home: Path
) -> None:
    command = 'touch "$HOME/on$RANK"; trap "touch $HOME/ended$RANK; exit 1" TERM; sleep 300 & wait'
    report = train(place.sandbox, place.project, command=command, name="ddp", nodes=2)
    wait_until(lambda: (home / "on0").exists() and (home / "on1").exists(), _SOON_S)
    stopped = stop(place.sandbox, "ddp", confirm=True)
    assert stopped.job.state is JobState.STOPPED
    wait_until(
        lambda: (home / "ended0").exists() and (home / "ended1").exists(), _SOON_S
    )
    cluster.wait_until_idle(3)
    assert ended(place, report.job).state is JobState.STOPPED


def test_the_next_attempt_of_a_run_over_nodes_begins_on_all_of_them(
    place: Place, home: Path
) -> None:
    command = (
        'echo $RANK >>"$HOME/ran"; python3 rendezvous.py; '
        "[ $RANK != 1 ] || [ $SANDBOX_ATTEMPT = 2 ]"
    )
    report = train(
        place.sandbox,
        place.project,
        command=command,
        nodes=2,
        queue=QueueOptions(retry=RetryPolicy(retries=1, backoff_s=0)),
    )
    job = ended(place, report.job)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert sorted((home / "ran").read_text().split()) == ["0", "0", "1", "1"]


def test_rerun_starts_a_run_over_nodes_again_on_as_many(
    place: Place, log_in: OpenSandbox
) -> None:
    first = train(
        place.sandbox,
        place.project,
        command="python3 rendezvous.py && echo {lr}",
        settings={"lr": "0.1"},
        name="ddp",
        nodes=3,
        gpus=1,
    )
    assert ended(place, first.job).state is JobState.SUCCEEDED, log(place, first.job)
    again = rerun(place.sandbox, place.project, "ddp", name="again")
    assert again.differs == ()
    job = ended(place, again.job)
    assert job.state is JobState.SUCCEEDED
    lines = log(place, job)
    assert [
        f"{rank}: rank {rank} of 3 at 127.0.0.1: sum 6" in lines for rank in range(3)
    ] == [True] * 3
    record = show([place.sandbox], place.project, "again").run.record
    assert (record["nodes"], record["gpus_wanted"]) == (3, 1)
    # another client, with a connection of its own, knows it by its name
    other = log_in(workspace=place.sandbox.config.workspace)
    assert jobs.get(other, "again").command == "python3 rendezvous.py && echo 0.1"


def test_each_cell_of_a_sweep_runs_over_its_own_nodes_also_when_it_is_started_again(
    place: Place, cluster: SlurmCluster
) -> None:
    command = (
        "python3 rendezvous.py; echo n {n} on $NODE_RANK; [ {n} = 1 ] || [ -e ok ]"
    )
    report = sweep(
        place.sandbox, place.project, {"n": ("1", "2")},
        command=command, name="t1", nodes=2, gpus=1,
    )  # fmt: skip
    assert report.ok, report.error
    first, second = (ended(place, job) for job in report.jobs)
    assert [first.state, second.state] == [JobState.SUCCEEDED, JobState.FAILED]
    assert first.command.startswith("python3 rendezvous.py; echo n 1")
    for rank in range(2):
        assert f"{rank}: rank {rank} of 2 at 127.0.0.1: sum 3" in log(place, first)
        assert f"{rank}: n 1 on {rank}" in log(place, first)
    place.sandbox.run("touch ok", cwd=place.sandbox.project_path(place.project))
    again = sweep(place.sandbox, place.project, {}, name="t1", failed=True)
    (job,) = again.jobs
    assert ended(place, job).state is JobState.SUCCEEDED
    record = json.loads((Path(job.log_path).parent / "run.json").read_text())
    assert record["gpus_wanted"] == 1
    assert "1: rank 1 of 2 at 127.0.0.1: sum 3" in log(place, job)
    cluster.wait_until_idle(3)


def test_another_client_stops_waits_for_and_fetches_a_run_over_nodes(
    place: Place, log_in: OpenSandbox, cluster: SlurmCluster
) -> None:
    project = dataclasses.replace(place.project, outputs=("out/",))
    command = "mkdir -p out; echo $RANK >out/$RANK; echo begun; sleep 300"
    report = train(place.sandbox, project, command=command, name="ddp", nodes=2)
    other = log_in(workspace=place.sandbox.config.workspace)
    wait_until(lambda: len(log(place, report.job)) == 2, _SOON_S)
    before = [*events([other])]
    stopped = stop(other, "ddp", confirm=True)
    assert stopped.job.state is JobState.STOPPED
    waited = jobs.wait(other, "ddp", timeout_s=_SOON_S)
    assert waited.state is JobState.STOPPED
    after = [(e.kind, e.state) for e in events([other], since=before[-1].cursor)]
    assert after == [("ended", "stopped")]
    fetched = fetch(other, project, job="ddp")
    fetched_names = {item.path.rpartition("/")[2] for item in fetched.files}
    assert fetched_names == {"0", "1", "log", "run.json"}
    cluster.wait_until_idle(3)


@pytest.mark.slow
def test_nodes_that_do_not_reach_the_first_are_named_and_the_command_begins_on_none(
    place: Place, tmp_path: Path, home: Path, cluster: SlurmCluster
) -> None:
    """Slurm has an address for the first node that leads nowhere, as of another network."""
    nowhere = "s/NodeAddr=[^ ]*/NodeAddr=240.0.0.1/"
    fake(tmp_path, "scontrol", f"real \"$@\" | sed '{nowhere}'")
    report = train(
        place.sandbox, place.project, command='touch "$HOME/ran"', name="ddp", nodes=2
    )
    job = ended(place, report.job)
    assert (job.state, job.exit_code) == (JobState.FAILED, 75)
    assert job.reason == "rank 1 on node2 failed first: exit code 75"
    text = "\n".join(log(place, job))
    assert "not begun: node2 cannot open a connection to node1 (240.0.0.1:2" in text
    assert "give MASTER_ADDR by --env" in text
    assert not (home / "ran").exists()
    cluster.wait_until_idle(3)
    # an address that the user knows is taken as it is
    again = train(
        place.sandbox,
        place.project,
        command="python3 rendezvous.py",
        env={"MASTER_ADDR": "127.0.0.1"},
        nodes=2,
    )
    assert ended(place, again.job).state is JobState.SUCCEEDED


def test_a_port_that_is_taken_is_passed_over(place: Place) -> None:
    first = train(place.sandbox, place.project, command="echo $SLURM_JOB_ID")
    (number,) = log(place, ended(place, first.job))
    taken = 20000 + (int(number) + 1) % 10000
    with contextlib.closing(socket.create_server(("127.0.0.1", taken))):
        report = train(
            place.sandbox,
            place.project,
            command="echo $MASTER_PORT; python3 rendezvous.py",
            nodes=2,
        )
        job = ended(place, report.job)
    assert job.state is JobState.SUCCEEDED
    assert f"0: {taken + 1}" in log(place, job)


def test_the_warning_before_the_limit_reaches_those_who_catch_it_on_every_node(
    place: Place, home: Path, cluster: SlurmCluster
) -> None:
    catching = (
        "import os, signal, sys\n"
        "def save(*_):\n"
        "    open(os.environ['HOME'] + '/saved' + os.environ['RANK'], 'w').close()\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGUSR1, save)\n"
        "open(os.environ['HOME'] + '/ready' + os.environ['RANK'], 'w').close()\n"
        "while True: signal.pause()\n"
    )
    (home / "catch.py").write_text(catching)
    report = train(
        place.sandbox,
        place.project,
        command='sleep 300 & python3 "$HOME/catch.py"; kill $! && echo it lives',
        nodes=2,
        name="ddp",
    )
    wait_until(
        lambda: (home / "ready0").exists() and (home / "ready1").exists(), _SOON_S
    )
    number = cluster.ask("squeue", "-h", "-o", "%i").split()[0]
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    job = ended(place, report.job)
    assert job.state is JobState.SUCCEEDED, log(place, job)
    assert (home / "saved0").exists()
    assert (home / "saved1").exists()
    lines = log(place, job)
    assert "0: it lives" in lines
    assert "1: it lives" in lines
