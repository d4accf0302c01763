"""The course of metrics over a log, and what of it is best."""

import math
from pathlib import Path

import pytest

from sandbox_ops.text import curves, metric_history

LOGS = Path(__file__).parents[2] / "data" / "logs"


def test_a_metric_stands_at_the_step_of_its_line() -> None:
    course = curves.read("step 10/30 loss=0.5\nstep 20/30 loss=0.25 lr=0.1\n")
    assert course.unit == "step"
    assert course.points == {"loss": [(10, 0.5), (20, 0.25)], "lr": [(20, 0.1)]}


def test_steps_that_begin_again_with_each_epoch_are_added_up() -> None:
    text = "".join(
        f"Epoch {epoch}/2 step {step}/3 loss={epoch + step}\n"
        for epoch in (1, 2)
        for step in (1, 2, 3)
    )
    points = curves.read(text).points["loss"]
    assert [x for x, _ in points] == [1, 2, 3, 4, 5, 6]


def test_a_text_that_counts_nothing_is_drawn_by_its_lines() -> None:
    course = curves.read("loss=3\nsomething else\nloss=2\n")
    assert (course.unit, course.points) == ("line", {"loss": [(0, 3), (2, 2)]})


def test_epochs_are_the_axis_where_no_steps_are_counted() -> None:
    course = curves.read("epoch 1 loss=3\nepoch 2 loss=2\n")
    assert (course.unit, course.points) == ("epoch", {"loss": [(1, 3), (2, 2)]})


def test_the_best_is_the_least_of_losses_and_the_most_of_scores() -> None:
    text = "step 1 loss=2 acc=0.5 fid=9\nstep 2 loss=nan acc=0.75 fid=4\nstep 3 loss=3 acc=0.25 fid=5\n"
    course = curves.read(text)
    assert course.best == {"loss": 2, "acc": 0.75, "fid": 4}
    assert course.final == {"loss": 3, "acc": 0.25, "fid": 5}


@pytest.mark.parametrize(
    ("name", "goal"),
    [
        ("eval/loss", "least"),
        ("rmse", "least"),
        ("ep_rew_mean", "most"),
        ("accuracy", "most"),
        ("lr", None),
        ("it/s", None),
    ],
)
def test_it_is_known_which_metrics_are_to_fall_and_which_to_rise(
    name: str, goal: str | None
) -> None:
    assert metric_history.goal(name) == goal


def test_a_projects_own_patterns_stand_at_the_step_of_their_line() -> None:
    patterns = ("score -> (?P<score>[0-9.]+)",)
    text = "step 1/2\nscore -> 4\nstep 2/2\nscore -> 5\n"
    assert curves.read(text, patterns).points["score"] == [(1, 4), (2, 5)]


def test_a_file_of_metrics_is_read_as_a_log_is() -> None:
    text = '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": "NaN"}\n{"step": 3'
    points = curves.read(text).points["loss"]
    assert points[0] == (1.0, 0.5)
    assert math.isnan(points[1][1])


def test_smoothing_begins_where_the_values_do_and_passes_over_gaps() -> None:
    flat = curves.smoothed([(0, 4.0), (1, math.nan), (2, 4.0)], 0.9)
    assert [(x, round(y, 6)) for x, y in flat] == [(0, 4), (2, 4)]
    rising = curves.smoothed([(0, 0.0), (1, 1.0)], 0.5)
    assert [(x, round(y, 6)) for x, y in rising] == [(0, 0), (1, 0.666667)]


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.log")), ids=lambda log: log.stem)
def test_the_last_values_of_a_course_are_those_that_monitor_shows(log: Path) -> None:
    from sandbox_ops.text import progress

    text = log.read_text("utf-8", "replace")
    shown = progress.read(text).metrics
    final = curves.read(text).final
    assert {k: str(v) for k, v in final.items()} == {
        k: str(v) for k, v in shown.items()
    }
