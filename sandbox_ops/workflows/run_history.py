"""What ran where, kept in the local clone: a machine that is gone takes no history with it.

`.git/sandbox-ops/runs.jsonl`, in the git folder that all work trees of a clone share and git
does not track: JSON lines, readable by their owner alone, only ever added to. The newest
line of a key counts. Four kinds, by their first key: `run`, `metrics` (of a run that
ended), `label` (a note or a tag), `place` (up to where a machine was read). A line that was
torn by a crash, or that nobody can read, is passed over.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox_ops.errors import RefusedError, SandboxError
from sandbox_ops.git import local
from sandbox_ops.guard import line_file
from sandbox_ops.machine.run_records import Place
from sandbox_ops.models import Job, JobState, Project
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import run_labels

FILE = "sandbox-ops/runs.jsonl"
MAX_LINE_BYTES = 32 << 10
_MOST_OUTPUTS = 20
_JOB_FIELDS = (
    "id", "name", "reason", "exit_code", "signal", "signal_certain", "command",
    "description", "cwd", "started_at", "elapsed_s", "log_path", "log_incomplete",
    "project_path", "started_by",
)  # fmt: skip
_STATES = {str(state): state for state in JobState}
_DEFAULTS = {each.name: each.default for each in dataclasses.fields(Job)}
_PLACE_S = 600
"""So often a place is written down that says nothing new but when it was looked."""

Line = dict[str, Any]


@dataclass(kw_only=True)
class Remembered:
    """What the history says.

    Attributes:
        runs: By their key.
        places: Up to where each store was read, and when.
        stores: Which store each sandbox had last.
        labels: What was said of runs on this computer alone.
    """

    runs: dict[str, Run] = field(default_factory=dict)
    places: dict[str, tuple[Place, float]] = field(default_factory=dict)
    stores: dict[str, str] = field(default_factory=dict)
    labels: list[run_labels.Label] = field(default_factory=list)


class RunHistory:
    """The file. Threads and processes may add to it at once.

    Args:
        path: Where it is; None: there is no clone, and nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @classmethod
    def of(cls, project: Project) -> "RunHistory":
        """Return the history of a project: that of its local clone."""
        if not project.root:
            return cls(None)
        try:
            return cls(local.common_folder(project.root) / FILE)
        except SandboxError:  # it is no clone any more, or there is no git
            return cls(None)

    def read(self) -> Remembered:
        """Return what is remembered.

        Raises:
            RefusedError: The file cannot be read; says why.
        """
        remembered = Remembered()
        metrics: dict[str, Line] = {}
        for line in self._lines():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                _remember(remembered, metrics, line)
        for key, line in metrics.items():
            if key in remembered.runs:
                remembered.runs[key] = _measured(remembered.runs[key], line)
        return remembered

    def _lines(self) -> Iterator[Line]:
        if self.path is None:
            return
        try:
            yield from line_file.lines(self.path)
        except OSError as error:
            raise _cannot("read", self.path, error) from error

    def add(self, lines: Iterable[Line]) -> None:
        """Write lines at the end, whole.

        Raises:
            RefusedError: They cannot be written; says why.
        """
        data = b"".join(_encoded(line) for line in lines)
        if self.path is None or not data:
            return
        try:
            line_file.add(self.path, data)
        except OSError as error:
            raise _cannot("write", self.path, error) from error


def _remember(remembered: Remembered, metrics: dict[str, Line], line: Line) -> None:
    """Take in a line.

    Raises:
        ValueError, KeyError, TypeError: It is none of ours.
    """
    kind = next(iter(line), "")
    if kind == "run":
        run = run_of(line)
        remembered.runs[run.key] = run
    elif kind == "metrics":
        metrics[str(line["metrics"])] = line
    elif kind == "label":
        remembered.labels.append(run_labels.of_line(line["label"]))
    elif kind == "place":
        place = Place(**line["upto"])
        remembered.places[place.store] = (place, float(line["at"]))
        remembered.stores[str(line["place"])] = place.store


def _cannot(what: str, path: Path, error: OSError) -> RefusedError:
    return RefusedError(
        f"cannot {what} the history of runs {path}: {error.strerror}",
        "It only speeds up and outlives the machines: remove it, and what is on the "
        "machines is read again.",
    )


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


def _measured(run: Run, line: Line) -> Run:
    try:
        final = {str(k): float(v) for k, v in line["final"].items() if v is not None}
        best = {str(k): float(v) for k, v in line["best"].items() if v is not None}
    except (KeyError, TypeError, ValueError, AttributeError):
        return run
    sampled = bool(line.get("sampled"))
    return dataclasses.replace(run, metrics=final, best=best, is_sampled=sampled)


def _encoded(line: Line) -> bytes:
    """Return a line as bytes; of one that is too long what is long is left out."""
    data = line_file.encoded(line)
    if len(data) > MAX_LINE_BYTES and "run" in line:
        record = {k: v for k, v in line["record"].items() if k != "untracked"}
        shorter = {**line, "record": record, "outputs": line["outputs"][:_MOST_OUTPUTS]}
        data = line_file.encoded(shorter)
        if len(data) > MAX_LINE_BYTES:
            kept = {k: v for k, v in record.items() if len(str(v)) < 1000}  # noqa: PLR2004
            data = line_file.encoded({**shorter, "record": kept, "outputs": []})
    return data if len(data) <= MAX_LINE_BYTES else b""
