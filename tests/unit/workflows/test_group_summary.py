"""A group in one row: states, how long yet, the best."""

import json

import pytest

from sandbox_ops import JobState, Project
from sandbox_ops.errors import UsageError
from sandbox_ops.models import Job, LogDigest
from sandbox_ops.models.groups import Group, Member
from sandbox_ops.text import best_metric
from sandbox_ops.workflows import group_rows, group_summary, report_lines


def member(
    number: int,
    state: JobState,
    log: str = "",
    elapsed_s: float | None = None,
) -> Member:
    job = Job(id=f"remote-{number}", state=state, elapsed_s=elapsed_s)
    digest = LogDigest(tail=log.encode())
    return Member(number=number, identity=str(number), job=job, digest=digest)


def test_the_best_is_the_lowest_loss_unless_told_otherwise() -> None:
    group = Group(
        name="t1",
        members=(
            member(1, JobState.SUCCEEDED, "step 1/2 loss=0.5 accuracy=0.7\n"),
            member(2, JobState.SUCCEEDED, "step 1/2 loss=0.3 accuracy=0.6\n"),
            member(3, JobState.FAILED, "step 1/2 loss=nan accuracy=0.1\n"),
        ),
    )
    best = group_summary.summary(group).best
    assert best is not None
    assert (best.metric, best.value, best.job) == ("loss", 0.3, "remote-2")
    project = Project(train_best="accuracy")
    chosen = group_summary.summary(group, project).best
    assert chosen is not None
    assert (chosen.value, chosen.job) == (0.7, "remote-1")
    asked = group_summary.summary(group, project, best_metric.read("min:accuracy")).best
    assert asked is not None
    assert asked.job == "remote-3"
    assert group_summary.summary(group, by=best_metric.read("reward")).best is None
    json.dumps(group_summary.summary(group).as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "metric", "way"),
    [
        ("", "", "min"),
        ("val_loss", "val_loss", "min"),
        ("accuracy", "accuracy", "max"),
        ("max:loss", "loss", "max"),
        ("min:reward", "reward", "min"),
    ],
)
def test_a_metric_says_which_way_is_better(text: str, metric: str, way: str) -> None:
    assert best_metric.read(text) == best_metric.BestBy(metric, way)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["avg:loss", "max:", "a b", "a=b", ":"])
def test_what_is_no_metric_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="metric"):
        best_metric.read(text)


def test_how_long_yet_counts_those_that_wait_at_the_pace_of_the_others() -> None:
    done = member(1, JobState.SUCCEEDED, elapsed_s=100)
    running = member(2, JobState.RUNNING, "step 50/100 loss=1 eta 50s\n", 50)
    waits = tuple(member(number, JobState.QUEUED) for number in (3, 4))
    row = group_summary.summary(Group(name="t", members=(done, running, *waits)))
    assert row.counts == {"queued": 2, "running": 1, "succeeded": 1}
    assert row.eta_s is not None
    assert 200 <= row.eta_s <= 300
    nothing_left = group_summary.summary(Group(name="t", members=(done,)))
    assert nothing_left.eta_s is None
    unknown = group_summary.summary(Group(name="t", members=waits))
    assert unknown.eta_s is None


def test_a_list_shows_few_of_those_that_wait_and_counts_the_others() -> None:
    waiting = [
        Job(id=f"remote-{cell}", state=JobState.QUEUED, group="t1", cell=cell)
        for cell in range(40, 0, -1)
    ]
    alone = Job(id="remote-50", state=JobState.QUEUED)
    runs = Job(id="remote-51", state=JobState.RUNNING, group="t1", cell=41)
    then = Job(id="remote-52", state=JobState.QUEUED, group="t1")
    shown, left_out = group_rows.without_waiting([then, runs, alone, *waiting])
    assert [job.id for job in shown] == [
        "remote-52", "remote-51", "remote-50", "remote-3", "remote-2", "remote-1",
    ]  # fmt: skip
    assert left_out == {"t1": 37}
    lines = list(report_lines.jobs([then, runs, alone, *waiting], 0))
    assert lines[-1] == "37 more jobs of the group t1 wait"
    assert len(lines) == 7
