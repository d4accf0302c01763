"""Which runs fit a condition, and in which order they come."""

import pytest

from sandbox_ops.errors import UsageError
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.runs import Run, reference
from sandbox_ops.workflows import run_choice, run_find, run_query


def run(number: int, **facts: object) -> Run:
    settings = facts.pop("settings", {})
    record = {"settings": settings, "commit": f"{number}abc", "seed": number}
    record |= {k: facts.pop(k) for k in ("group", "cell") if k in facts}
    job = Job(
        id=f"remote-{number}",
        name=str(facts.pop("name", "")),
        state=JobState.SUCCEEDED,
        started_at=float(number),
        elapsed_s=10.0 * number,
    )
    sandbox = str(facts.pop("sandbox", "gpu1"))
    return Run(sandbox=sandbox, store=sandbox, job=job, record=record, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("lr<1e-3", True),
        ("lr<=0.0005", True),
        ("lr > 1e-3", False),
        ("lr=5e-4", True),
        ("lr!=5e-4", False),
        ("opt=adam", True),
        ("opt!=sgd", True),
        ("opt<5", False),
        ("loss>=0.5", True),
        ("best.loss<0.5", True),
        ("metrics.lr<1", False),
        ("settings.lr<1", True),
        ("nothing=1", False),
        ("nothing!=1", False),
        ("state=succeeded", True),
        ("elapsed_s>=30", True),
        ("commit=3ab", True),
        ("seed=3", True),
        ("x/y<2", True),
    ],
)
def test_a_condition_compares_settings_metrics_and_fields(
    text: str, *, fits: bool
) -> None:
    one = run(
        3,
        settings={"lr": "5e-4", "opt": "adam"},
        metrics={"loss": 0.5, "x/y": 1.0},
        best={"loss": 0.25},
    )
    assert run_query.condition(text).holds(one) is fits


@pytest.mark.parametrize("text", ["lr", "<3", "lr<", "lr ~ 3", "", "a b<3"])
def test_a_condition_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--where takes NAME"):
        run_query.condition(text)


def test_the_best_come_first_and_those_without_a_value_last() -> None:
    runs = [
        run(1, metrics={"loss": 3.0, "acc": 0.1}),
        run(2, metrics={"loss": float("nan")}),
        run(3, metrics={"loss": 1.0, "acc": 0.9}),
        run(4),
    ]

    def order(sort: str) -> list[int]:
        chosen = run_query.query(sort=sort).chosen(runs)
        return [each.number for each in chosen]

    assert order("loss")[:2] == [3, 1]
    assert set(order("loss")[2:]) == {2, 4}
    assert order("acc")[:2] == [3, 1]
    assert order("-acc")[:2] == [1, 3]
    assert order("elapsed_s") == [1, 2, 3, 4]


def test_metrics_are_only_read_where_a_name_can_be_nothing_else() -> None:
    runs = [run(1, settings={"lr": "1"})]
    assert not run_query.query(where=["lr<1"], sort="elapsed_s").needs_metrics(runs)
    assert run_query.query(where=["loss<1"]).needs_metrics(runs)
    assert run_query.query(sort="-best.loss").needs_metrics(runs)


def test_only_runs_of_the_machines_that_are_named_are_listed() -> None:
    runs = [run(2, sandbox="gpu2"), run(1)]
    listed, total = run_choice.selected(
        run_query.query(sandboxes=["gpu2"]), runs, lambda each: each
    )
    assert ([each.sandbox for each in listed], total) == (["gpu2"], 1)


def test_a_run_is_found_by_id_name_cell_and_machine() -> None:
    runs = [
        run(5, name="night", sandbox="gpu2"),
        run(3, name="night"),
        run(2, group="t1", cell=2),
        run(3, sandbox="gpu2"),
    ]
    names = ("gpu1", "gpu2")

    def found(text: str, default: str = "gpu1") -> tuple[str, int]:
        one = run_find.find(runs, reference(text, names), default)
        return one.sandbox, one.number

    assert found("remote-3") == ("gpu1", 3)
    assert found("3", "gpu2") == ("gpu2", 3)
    assert found("gpu2:remote-3") == ("gpu2", 3)
    assert found("remote-5") == ("gpu2", 5)
    assert found("night") == ("gpu1", 3)
    assert found("t1/2") == ("gpu1", 2)
    assert found("last") == ("gpu1", 3)
