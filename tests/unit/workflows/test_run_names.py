"""A name that no run has is an error, which says what there is."""

from collections.abc import Sequence

import pytest

from sandbox_ops.errors import NotFoundError
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import run_query
from sandbox_ops.workflows.run_choice import selected


def run(number: int, state: JobState = JobState.SUCCEEDED, **facts: object) -> Run:
    record = {"settings": facts.pop("settings", {}), "group": facts.pop("group", "")}
    return Run(
        sandbox="gpu1",
        store="s",
        job=Job(id=f"remote-{number}", state=state),
        record=record,
        **facts,  # type: ignore[arg-type]
    )


TWO = (
    run(1, settings={"lr": "0.1"}, metrics={"loss": 0.5}, group="t1", tags=("good",)),
    run(2, settings={"lr": "0.2"}, metrics={"loss": 0.4, "val/acc": 0.9}),
)


def chosen(runs: Sequence[Run], **options: object) -> list[str]:
    query = run_query.query(**options)  # type: ignore[arg-type]
    return [each.job.id for each in selected(query, runs, lambda some: some)[0]]


@pytest.mark.parametrize(
    "options",
    [
        {"sort": "nosuch"},
        {"sort": "-nosuch"},
        {"where": ["nosuch<1"]},
        {"sort": "metrics.nosuch"},
        {"sort": "best.nosuch"},
    ],
)
def test_a_name_that_no_run_has_is_refused_with_those_there_are(
    options: dict[str, object],
) -> None:
    with pytest.raises(NotFoundError) as caught:
        chosen(TWO, **options)
    assert "nosuch`" in caught.value.message
    lines = caught.value.hint.splitlines()
    assert lines[:2] == ["settings: lr", "metrics: loss, val/acc"]
    assert lines[2].startswith("fields: id, name, sandbox, group, state")
    assert all(len(f"hint: {line}") <= 80 for line in lines)


def test_a_name_that_is_nearly_right_is_proposed() -> None:
    with pytest.raises(NotFoundError) as caught:
        chosen(TWO, sort="elapsed")
    assert caught.value.hint.startswith("Did you mean `elapsed_s`?\n")


def test_a_setting_that_is_asked_for_as_one_is_no_metric() -> None:
    with pytest.raises(NotFoundError, match=r"has a setting `settings\.loss`"):
        chosen(TWO, sort="settings.loss")


@pytest.mark.parametrize("sort", ["loss", "val/acc", "lr", "exit_code", "best.loss"])
def test_a_name_that_one_run_has_or_every_run_may_have_is_known(sort: str) -> None:
    runs = (*TWO, run(3, best={"loss": 0.1}, metrics={"loss": 0.2}))
    assert len(chosen(runs, sort=sort)) == 3


def test_while_no_run_has_said_a_metric_yet_nothing_is_refused() -> None:
    early = run(4, JobState.RUNNING, metrics={})
    assert chosen([early], sort="loss") == ["remote-4"]
    assert chosen([early], where=["loss<1"]) == []
    assert chosen([], where=["loss<1"], groups=["t1"]) == []


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"groups": ["t2"]}, "groups: t1"),
        ({"tags": ["bad"]}, "tags: good"),
    ],
)
def test_a_group_or_tag_that_no_run_has_is_refused_with_those_there_are(
    options: dict[str, list[str]], known: str
) -> None:
    with pytest.raises(NotFoundError) as caught:
        chosen(TWO, **options)
    assert caught.value.hint == known
    with pytest.raises(NotFoundError, match="no run has the group `t2`") as caught:
        chosen([run(1)], groups=["t2"])
    assert caught.value.hint == "No run has a group yet."
