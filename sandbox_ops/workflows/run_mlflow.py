"""Runs as MLflow's file store keeps them: `mlruns/EXPERIMENT/RUN/{meta.yaml,params,metrics,tags}`.

Ids are made of what a run is, so that the same run exported again is the same run there.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox_ops.models import JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.text import remote_text
from sandbox_ops.text.curves import Curves

_FINISHED, _FAILED, _KILLED, _RUNNING, _SCHEDULED = 3, 4, 5, 1, 2
_STATUS = {
    JobState.SUCCEEDED: _FINISHED,
    JobState.FAILED: _FAILED,
    JobState.LOST: _FAILED,
    JobState.TIMED_OUT: _KILLED,
    JobState.STOPPED: _KILLED,
    JobState.QUEUED: _SCHEDULED,
}
_SOURCE_LOCAL = 4
_ODD = re.compile(r"[^A-Za-z0-9_./ -]")


def write(
    folder: Path, project: str, runs: Sequence[Run], courses: Mapping[str, Curves]
) -> None:
    """Write the runs below a folder.

    Args:
        folder: `mlruns`, made where it is not there.
        project: The name of the experiment.
        runs: What to write.
        courses: The metrics of each over time, by its key; of one without, the last values.

    Raises:
        OSError: It cannot be written.
    """
    name = project or "runs"
    experiment = str(int(hashlib.sha256(name.encode()).hexdigest()[:14], 16))
    place = folder / experiment
    place.mkdir(parents=True, exist_ok=True)
    started = [_start_ms(run) for run in runs]
    _yaml(
        place / "meta.yaml",
        {
            "artifact_location": place.as_uri(),
            "creation_time": min(started, default=0),
            "experiment_id": experiment,
            "last_update_time": max(started, default=0),
            "lifecycle_stage": "active",
            "name": name,
        },
    )
    for run in runs:
        _write_run(place, experiment, run, courses.get(run.key))


def run_id(run: Run) -> str:
    """Return the id that a run has there."""
    return hashlib.sha256(run.key.encode()).hexdigest()[:32]


def _start_ms(run: Run) -> int:
    return round((run.job.started_at or run.job.queued_at or 0) * 1000)


def _write_run(place: Path, experiment: str, run: Run, course: Curves | None) -> None:
    folder = place / run_id(run)
    for part in ("params", "metrics", "tags", "artifacts"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    start_ms = _start_ms(run)
    end_ms = start_ms + round((run.job.elapsed_s or 0) * 1000)
    if run.job.ended_at is not None:
        end_ms = round(run.job.ended_at * 1000)
    name = remote_text.safe_line(run.job.name or run.job.id)
    _yaml(
        folder / "meta.yaml",
        {
            "artifact_uri": (folder / "artifacts").as_uri(),
            "end_time": end_ms if run.job.state.ended else None,
            "entry_point_name": "",
            "experiment_id": experiment,
            "lifecycle_stage": "active",
            "run_id": folder.name,
            "run_name": name,
            "run_uuid": folder.name,
            "source_name": "",
            "source_type": _SOURCE_LOCAL,
            "source_version": "",
            "start_time": start_ms,
            "status": _STATUS.get(run.state, _RUNNING),
            "tags": [],
            "user_id": run.job.started_by,
        },
    )
    for setting, value in run.settings.items():
        _text(folder / "params", setting, value)
    for tag, value in _tags(run, name).items():
        _text(folder / "tags", tag, value)
    points = dict(course.points) if course else {}
    points |= {k: [(0.0, v)] for k, v in (run.metrics or {}).items() if k not in points}
    for metric, values in points.items():
        lines = (f"{end_ms} {value!r} {max(0, round(x))}\n" for x, value in values)
        _text(folder / "metrics", metric, "".join(lines))


def _tags(run: Run, name: str) -> dict[str, str]:
    values = {
        "mlflow.runName": name,
        "mlflow.user": run.job.started_by,
        "mlflow.source.git.commit": run.commit,
        "mlflow.note.content": run.note,
        "sandbox": run.sandbox,
        "job": run.job.id,
        "group": run.group,
        "command": run.job.command,
        **dict.fromkeys(run.tags, "true"),
    }
    return {tag: value for tag, value in values.items() if value}


def _text(folder: Path, name: str, text: str) -> None:
    """Write one value; a name that would leave the folder, or that MLflow refuses, is changed."""
    parts = [part for part in _ODD.sub("_", name).split("/") if part.strip(". ")]
    if not parts:
        return
    file = folder.joinpath(*(part[:100] for part in parts))
    if file.is_dir() or any(each.is_file() for each in file.parents):
        file = (
            folder / f"{'_'.join(parts)[:200]}_"
        )  # both `loss` and `loss/train` are there
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(remote_text.safe(text), "utf-8")


def _yaml(file: Path, values: Mapping[str, Any]) -> None:
    """Write a flat mapping; a JSON value is a YAML value too."""
    lines = (
        f"{name}: {json.dumps(remote_text.safe_value(value))}\n"
        for name, value in values.items()
    )
    file.write_text("".join(lines), "utf-8")
