"""The history of runs in the clone: torn lines, several writers, foreign folders."""

import json
import multiprocessing
from pathlib import Path

import pytest

from sandbox_ops.errors import RefusedError
from sandbox_ops.machine.run_records import Place
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import history_lines, run_labels
from sandbox_ops.workflows.run_history import RunHistory


def run(number: int, **record: object) -> Run:
    job = Job(id=f"remote-{number}", state=JobState.SUCCEEDED, started_at=float(number))
    return Run(sandbox="gpu1", store="s", job=job, record=record)


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    return RunHistory(tmp_path / "sandbox-ops" / "runs.jsonl")


def text(history: RunHistory) -> bytes:
    assert history.path
    return history.path.read_bytes()


def test_the_newest_line_of_a_run_counts(history: RunHistory) -> None:
    history.add([history_lines.run_line(run(1, commit="a"))])
    history.add([history_lines.run_line(run(1, commit="b"))])
    assert history.read().runs["s/remote-1"].commit == "b"


def test_the_file_and_its_folder_are_closed_to_others(history: RunHistory) -> None:
    history.add([history_lines.run_line(run(1))])
    assert history.path
    assert history.path.stat().st_mode & 0o777 == 0o600
    assert history.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_torn_last_line_costs_that_line_alone(history: RunHistory) -> None:
    history.add([history_lines.run_line(run(1)), history_lines.run_line(run(2))])
    assert history.path
    history.path.write_bytes(text(history)[:-20])
    history.add([history_lines.run_line(run(3))])
    assert set(history.read().runs) == {"s/remote-1", "s/remote-3"}


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'"text"',
        b'{"run": "s/remote-1"}',
        b'{"run": "s/remote-1", "sandbox": "x", "job": {"id": "remote-1", "state": "odd"}}',
        b'{"place": "x", "at": 1, "upto": {"unknown": 1}}',
        b'{"label": {"run": "s/remote-1", "at": "x", "kind": "odd", "value": 1}}',
        b'{"metrics": "s/remote-2", "final": [1], "best": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_line_that_nobody_can_read_is_passed_over(
    history: RunHistory, line: bytes
) -> None:
    history.add([history_lines.run_line(run(2))])
    assert history.path
    history.path.write_bytes(line + b"\n" + text(history) + line + b"\n")
    assert set(history.read().runs) == {"s/remote-2"}


def _add(path: Path, first: int) -> None:
    history = RunHistory(path)
    for number in range(first, first + 200):
        history.add([history_lines.run_line(run(number, commit="c" * 2000))])


def test_two_processes_that_write_at_once_lose_no_line(history: RunHistory) -> None:
    assert history.path
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=_add, args=(history.path, first)) for first in (1, 1001)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(history.read().runs) == 400


def test_no_line_is_longer_than_it_may_be(history: RunHistory) -> None:
    long = run(1, commit="c", untracked=["x" * 100] * 10_000, branch="main")
    history.add([history_lines.run_line(long)])
    history.add([history_lines.run_line(run(2, command="y" * 100_000, commit="d"))])
    assert max(map(len, text(history).split(b"\n"))) < history_lines.MAX_LINE_BYTES
    runs = history.read().runs
    assert runs["s/remote-1"].record == {"commit": "c", "branch": "main"}
    assert runs["s/remote-2"].commit == "d"


def test_a_folder_that_leads_elsewhere_is_not_written_to(
    history: RunHistory, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    assert history.path
    history.path.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="cannot write the history of runs"):
        history.add([history_lines.run_line(run(1))])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_metrics_labels_and_places_come_back(history: RunHistory) -> None:
    label = run_labels.new("s/remote-1", 5.0, "tag", "good")
    place = Place(store="s", seen=7, labels=3, pruned=2)
    measured = Run(
        sandbox="gpu1",
        store="s",
        job=run(1).job,
        metrics={"loss": 0.5, "bad": float("nan")},
        best={"loss": 0.25},
    )
    history.add(
        [
            history_lines.metrics_line(measured),
            history_lines.run_line(run(1)),
            history_lines.label_line(label),
            history_lines.place_line("gpu1", place, 9.0),
        ]
    )
    remembered = history.read()
    one = remembered.runs["s/remote-1"]
    assert one.metrics
    assert (one.metrics["loss"], one.best) == (0.5, {"loss": 0.25})
    assert remembered.labels == [label]
    assert remembered.places == {"s": (place, 9.0)}
    assert remembered.stores == {"gpu1": "s"}


def test_without_a_clone_nothing_is_kept() -> None:
    nowhere = RunHistory(None)
    nowhere.add([history_lines.run_line(run(1))])
    assert nowhere.read().runs == {}


def test_labels_are_added_up_in_the_order_of_their_time() -> None:
    lines = [
        json.dumps({"id": "remote-1", "at": at, "kind": kind, "value": value})
        for at, kind, value in [
            (3, "untag", "a"),
            (1, "tag", "a"),
            (2, "tag", "b"),
            (1, "note", "old"),
            (2, "note", "new"),
        ]
    ]
    labels = run_labels.of_lines("s", [*lines, "torn {", '{"id": 1}'])
    assert run_labels.applied(labels) == {"s/remote-1": ("new", ("b",))}
