"""What ran where, kept in the local clone: a machine that is gone takes no history with it.

`.git/sandbox-ops/runs.jsonl`, in the git folder that all work trees of a clone share and git
does not track: JSON lines, readable by their owner alone, only ever added to. The newest
line of a key counts. Four kinds, by their first key: `run`, `metrics` (of a run that
ended), `label` (a note or a tag), `place` (up to where a machine was read). A line that was
torn by a crash, or that cannot be read, is passed over.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox_ops.errors import RefusedError, SandboxError
from sandbox_ops.git import local
from sandbox_ops.guard import line_file
from sandbox_ops.machine.run_records import Place
from sandbox_ops.models import Project
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import history_lines, run_labels
from sandbox_ops.workflows.history_lines import Line

FILE = "sandbox-ops/runs.jsonl"


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
                remembered.runs[key] = history_lines.measured(
                    remembered.runs[key], line
                )
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
        data = b"".join(history_lines.encoded(line) for line in lines)
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
        run = history_lines.run_of(line)
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
