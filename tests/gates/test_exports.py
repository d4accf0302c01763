"""What is exported, read by the program that it is for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox_ops.models import Job, JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.text.curves import Curves
from sandbox_ops.workflows import run_mlflow

from .conftest import HERE, isolated, output

pytestmark = [pytest.mark.gates, pytest.mark.timeout(600)]


def test_mlflow_reads_the_folders_that_export_writes(
    client: Callable[[str], Path], tmp_path: Path, home: Path
) -> None:
    job = Job(
        id="remote-3",
        name='odd: "name" #1',
        state=JobState.FAILED,
        command="python train.py",
        started_at=1764100000.5,
        elapsed_s=30.0,
        started_by="me@here",
    )
    run = Run(
        sandbox="gpu1",
        store="s",
        job=job,
        record={"settings": {"lr": "0.1"}, "commit": "a" * 40},
        metrics={"loss": 0.5},
        tags=("baseline",),
        note="two\nlines",
    )
    points = {
        "loss": [(1.0, 2.0), (2.0, 0.5)],
        "loss/part": [(1.0, 3.0)],
        "../../out": [(1.0, 4.0)],
        "tok/s": [(1.0, 9.0)],
    }
    folder = tmp_path / "mlruns"
    run_mlflow.write(folder, "project", [run], {run.key: Curves(points=points)})
    shown = output(
        [client("mlflow"), HERE / "clients/mlflow_runs.py", folder, "project"],
        tmp_path,
        env=isolated(home, MLFLOW_ALLOW_FILE_STORE="true"),
    )
    (found,) = json.loads(shown[shown.index("[{") :])
    assert (found["name"], found["status"]) == ('odd: "name" #1', "FAILED")
    assert found["seconds"] == 30
    assert found["params"] == {"lr": "0.1"}
    assert found["losses"] == [[1, 2.0], [2, 0.5]]
    assert found["metrics"]["tok/s"] == 9
    assert len(found["metrics"]) == 4
    assert found["tags"]["mlflow.note.content"] == "two\nlines"
    assert found["tags"]["baseline"] == "true"
    assert {path.name for path in tmp_path.iterdir()} == {"mlruns", "home"}
