"""What a cluster has for a training, by what Slurm says of a job like it."""

import pytest

from sandbox_ops.models import Job, JobState, MachineStatus
from sandbox_ops.remote.script_replies import Reply
from sandbox_ops.workflows.candidates import order, verdict
from sandbox_ops.workflows.slurm_room import SlurmRoom, cells, room

NOW = "2026-11-26T04:50:00"


def said(verdict: str, takes: str = "yes", **more: str) -> SlurmRoom:
    reply = {"slurm": "slurm-wlm 22.05.8", "now": NOW, "takes": takes}
    return room(Reply(tuple((reply | {"verdict": verdict} | more).items())))


def test_a_cluster_that_would_start_it_within_a_minute_has_room() -> None:
    real = "Job 12 to start at 2026-11-26T04:50:08 using 1 processors on nodes node1 in partition main"
    assert said(real) == SlurmRoom()


def test_a_cluster_that_would_start_it_later_is_busy_and_not_refused() -> None:
    later = said("Job 12 to start at 2026-11-26T06:48:02 using 1 processors on node1")
    assert later == SlurmRoom(busy="Slurm would start it at 2026-11-26 06:48")


@pytest.mark.parametrize(
    ("verdict", "now"),
    [
        ("", NOW),
        ("Job 12 to start at 2026-99-26T06:48:02 using 1", NOW),
        ("Job 12 to start at 2026-11-26T06:48:02 using 1", ""),
    ],
)
def test_where_slurm_names_no_start_it_may_wait_there(verdict: str, now: str) -> None:
    assert "does not say" in said(verdict, now=now).busy


def test_what_slurm_refuses_speaks_against_it_in_slurms_words() -> None:
    refused = said("Requested node configuration is not available", "no")
    assert refused.against == (
        "Slurm takes no such job: Requested node configuration is not available"
    )
    assert "sbatch" in said("", slurm="missing").against


def test_a_cluster_with_a_queue_comes_after_a_free_one_and_no_gpu_is_looked_for() -> (
    None
):
    waiting = (Job(id="remote-1", state=JobState.QUEUED),)
    full = verdict(
        MachineStatus(gpus=None, jobs=waiting, load_1min=99.0, cpus=2),
        None, None, 4, is_current=True, slurm=SlurmRoom(busy="later"),
    )  # fmt: skip
    free = verdict(
        MachineStatus(gpus=None), None, None, 4, is_current=True, slurm=SlurmRoom()
    )
    assert (full.against, full.busy, full.queue_length) == ("", "later", 1)
    assert order([full, free]) == [free, full]


def test_as_many_cells_may_wait_in_slurm_as_run_there() -> None:
    def jobs(running: int, waiting: int) -> list[Job]:
        states = [JobState.RUNNING] * running + [JobState.QUEUED] * waiting
        return [Job(id=f"remote-{n}", state=each) for n, each in enumerate(states)]

    assert [cells(jobs(*each)) for each in ((0, 0), (0, 4), (9, 2), (2, 7))] == [
        4,
        0,
        7,
        0,
    ]
