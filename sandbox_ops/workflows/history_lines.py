"""The lines of the history of runs, as values and as bytes. Pure."""

import dataclasses
import json
from typing import Any

from sandbox_ops.machine.run_records import Place
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import run_labels

MAX_LINE_BYTES = 32 << 10
_MOST_OUTPUTS = 20
_JOB_FIELDS = (
    "id", "name", "reason", "exit_code", "signal", "signal_certain", "command",
    "description", "cwd", "attempt", "queued_at", "started_at", "elapsed_s", "ended_at", "log_path",
    "log_incomplete",
    "project_path", "started_by",
)  # fmt: skip
_STATES = {str(state): state for state in JobState}
_DEFAULTS = {each.name: each.default for each in dataclasses.fields(Job)}
_PLACE_S = 600
"""So often a place is written down that says nothing new but when it was looked."""

Line = dict[str, Any]


def run_line(run: Run) -> Line:
    """Return the line of a run, without metrics and labels."""
    job = {
        name: value
        for name in _JOB_FIELDS
        if (value := getattr(run.job, name)) != _DEFAULTS[name]
    }
    return {
        "run": run.key,
        "sandbox": run.sandbox,
        "seen_at": run.seen_at,
        "job": {**job, "state": str(run.job.state)},
        "record": dict(run.record),
        "outputs": [dict(output) for output in run.outputs],
    }


def metrics_line(run: Run) -> Line:
    """Return the line of a run's metrics."""
    return {
        "metrics": run.key,
        "final": dict(run.metrics or {}),
        "best": dict(run.best),
        "sampled": run.is_sampled,
    }


def label_line(label: run_labels.Label) -> Line:
    """Return the line of what was said of a run."""
    return {"label": label.as_json()}


def place_line(sandbox: str, place: Place, at: float) -> Line:
    """Return the line that says up to where a machine was read."""
    return {"place": sandbox, "at": at, "upto": dataclasses.asdict(place)}


def is_worth_a_line(
    before: tuple[Place, float] | None, place: Place, at: float
) -> bool:
    """Whether a place is news, or the last word of it is old. Pure."""
    return before is None or before[0] != place or at - before[1] > _PLACE_S


def run_of(line: Line) -> Run:
    """Return the run that a line is; of ten thousand none is copied.

    Raises:
        ValueError, KeyError, TypeError: It is none.
    """
    job, record = line["job"], line["record"]
    if not isinstance(job, dict) or not isinstance(record, dict):
        raise TypeError("a run without its job or its record")
    job["state"] = _STATES[job["state"]]
    return Run(
        sandbox=line["sandbox"],
        store=line["run"].rpartition("/")[0],
        job=Job(**job),
        record=record,
        outputs=tuple(line["outputs"]),
        seen_at=float(line["seen_at"]),
        is_current=False,
    )


def measured(run: Run, line: Line) -> Run:
    """Return a run with the metrics that a line has; as it was where it has none."""
    try:
        final = {str(k): float(v) for k, v in line["final"].items() if v is not None}
        best = {str(k): float(v) for k, v in line["best"].items() if v is not None}
    except (KeyError, TypeError, ValueError, AttributeError):
        return run
    sampled = bool(line.get("sampled"))
    return dataclasses.replace(run, metrics=final, best=best, is_sampled=sampled)


def encoded(line: Line) -> bytes:
    """Return a line as bytes; of one that is too long what is long is left out."""
    data = _dumped(line)
    if len(data) > MAX_LINE_BYTES and "run" in line:
        record = {k: v for k, v in line["record"].items() if k != "untracked"}
        shorter = {**line, "record": record, "outputs": line["outputs"][:_MOST_OUTPUTS]}
        data = _dumped(shorter)
        if len(data) > MAX_LINE_BYTES:
            kept = {k: v for k, v in record.items() if len(str(v)) < 1000}  # noqa: PLR2004
            data = _dumped({**shorter, "record": kept, "outputs": []})
    return data if len(data) <= MAX_LINE_BYTES else b""


def _dumped(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=True).encode() + b"\n"
