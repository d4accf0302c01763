"""Sweeps on a Slurm cluster: how many at once, and what happens where the cluster takes no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up
from slurm import OpenSandbox, SlurmCluster, slurm_cluster
from slurm_jobs import SOON_S, fake
from waiting import wait_until

from sandbox_ops import JobState
from sandbox_ops.machine import jobs
from sandbox_ops.workflows import report_lines
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.stop import stop
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.sweep_report import SweepReport

_MOST_JOBS = 4
_FORGET_S = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A cluster that holds few jobs, and forgets soon those that ended."""
    folder = tmp_path_factory.mktemp("slurm")
    more = f"MaxJobCount={_MOST_JOBS}"
    with slurm_cluster(folder / "cluster", min_job_age=2, more=more) as running:
        yield running


@pytest.fixture
def place(
    log_in: OpenSandbox, git_project: GitProject, tmp_path: Path, cluster: SlurmCluster
) -> Iterator[Place]:
    """A project on the cluster, which has room for jobs at the end of the test."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    yield set_up(log_in(workspace=str(workspace)), git_project)
    cluster.ask("scancel", "--me")
    wait_until(lambda: not cluster.ask("squeue", "-h", "-t", "all"), _FORGET_S)


def started(
    place: Place, n: int, command: str, queue: QueueOptions | None = None
) -> SweepReport:
    values = {"n": tuple(str(number) for number in range(1, n + 1))}
    return sweep(
        place.sandbox, place.project, values, command=command, name="t1", queue=queue
    )


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_where_slurm_holds_no_more_jobs_it_is_said_what_started_and_the_rest_starts_later(
    place: Place, cluster: SlurmCluster
) -> None:
    report = started(place, 5, "sleep 7801; echo {n}")
    count = len(report.jobs)
    assert 0 < count < 5
    assert report.error is not None
    lines = "\n".join(map(str, report_lines.sweep(report)))
    assert f"t1: {count} jobs started" in lines
    assert (
        "takes no more jobs now: it has as many jobs as it may (MaxJobCount)" in lines
    )
    assert len(jobs.recent(place.sandbox, 10)) == count  # nothing is left of the others
    stop(place.sandbox, "t1", confirm=True)
    wait_until(lambda: not cluster.ask("squeue", "-h", "-t", "all"), _FORGET_S)
    rest = started(place, 5, "sleep 7801; echo {n}")
    assert {cell.key.number for cell in rest.skipped} == set(range(1, count + 1))
    assert [job.cell for job in rest.jobs] == list(range(count + 1, 6))


def test_no_more_jobs_of_a_sweep_run_at_once_than_was_asked_for(
    place: Place, home: Path
) -> None:
    command = (
        'mkdir "$HOME/in{n}"; ls -d "$HOME"/in* | wc -l >>"$HOME/at_once"; sleep 1;'
        ' rmdir "$HOME/in{n}"; [ {n} != 1 ]'
    )
    report = started(place, 3, command, queue=QueueOptions(slots=1))
    assert report.ok, report.error
    waiting = jobs.get(place.sandbox, report.jobs[2].id)
    assert waiting.state is JobState.QUEUED
    wait_until(
        lambda: jobs.get(place.sandbox, report.jobs[2].id).state.ended, 2 * SOON_S
    )
    states = [jobs.get(place.sandbox, job.id).state for job in report.jobs]
    assert states == [JobState.FAILED, JobState.SUCCEEDED, JobState.SUCCEEDED]
    assert (home / "at_once").read_text().split() == ["1", "1", "1"]


def test_a_job_that_is_stopped_while_it_waits_lets_no_two_others_run_at_once(
    place: Place,
) -> None:
    report = started(place, 3, "sleep 7802; echo {n}", queue=QueueOptions(slots=1))
    first, second, third = report.jobs
    wait_until(
        lambda: jobs.get(place.sandbox, first.id).state is JobState.RUNNING, SOON_S
    )
    jobs.stop(place.sandbox, second.id)
    assert "another job comes first" in jobs.get(place.sandbox, third.id).waits_for
    jobs.stop(place.sandbox, first.id)
    wait_until(
        lambda: jobs.get(place.sandbox, third.id).state is JobState.RUNNING, SOON_S
    )


def test_a_submission_that_slurm_has_no_room_for_yet_is_not_lost(
    place: Place, tmp_path: Path
) -> None:
    """Its first answer was lost; at the second try the cluster is full."""
    sbatch = fake(tmp_path, "sbatch", "exit 124")
    (job,) = started(place, 1, "true; echo {n}").jobs
    full = (
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"
    )
    fake(tmp_path, "sbatch", f"echo '{full}' >&2; exec sleep 100")
    (Path(job.log_path).parent / "slurm.tried").write_text("1\n")
    assert jobs.get(place.sandbox, job.id).state is JobState.QUEUED
    sbatch.unlink()
    (Path(job.log_path).parent / "slurm.tried").write_text("1\n")
    wait_until(
        lambda: jobs.get(place.sandbox, job.id).state is JobState.SUCCEEDED, SOON_S
    )
