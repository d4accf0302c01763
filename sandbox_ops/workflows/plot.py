"""plot: a metric of several runs over time, for a face to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import NextStep, NotFoundError, UsageError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.runs import Run, RunReference, reference
from sandbox_ops.text import curves, metric_history
from sandbox_ops.text.curves import Curves, Points
from sandbox_ops.workflows import run_find, run_metrics, run_sync

MOST_RUNS = 50
_ALL_LINES = 40_000
_MOST_LINES = 20_000
_LEAST_LINES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One run's curve.

    Attributes:
        label: What tells it from the others: its name, or the settings that differ.
        points: `(x, value)`, as they were written.
        smooth: The same, smoothed; empty where nothing is to be.
    """

    run: Run
    label: str
    points: Points
    smooth: Points = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotReport:
    """What is to be drawn.

    Attributes:
        metric: Its name.
        unit: What the x axis counts: "step", "epoch", ...; "line" where nothing is counted.
        metrics: Every metric that the runs have, those that matter most first.
        without: Runs that have no such metric, or whose machine was not reached.
        out: The file that was drawn; "".
    """

    metric: str
    unit: str
    series: tuple[Series, ...]
    metrics: tuple[str, ...] = ()
    without: tuple[Run, ...] = ()
    out: str = ""

    @property
    def ok(self) -> bool:
        """Always."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `plot --json` shows it."""
        return {
            "metric": self.metric,
            "unit": self.unit,
            "series": [
                {
                    "id": each.run.job.id,
                    "sandbox": each.run.sandbox,
                    "name": each.run.job.name,
                    "label": each.label,
                    "points": [list(point) for point in each.smooth or each.points],
                }
                for each in self.series
            ],
            "metrics": list(self.metrics),
            "without": [run.job.id for run in self.without],
            "out": self.out,
        }


def plot(
    sandboxes: Sequence[Sandbox],
    project: Project,
    runs: Sequence[str],
    *,
    metric: str = "",
    smooth: float = 0,
    default: str = "",
) -> PlotReport:
    """Return a metric of some runs over time, read from their logs or files of metrics.

    Args:
        sandboxes: The machines to ask.
        project: Whose runs, and whose patterns for metrics.
        runs: Ids, numbers, names, groups, `last`, `t1/3`, or `gpu1:remote-3`.
        metric: Which; "": the one that matters most.
        smooth: How much of what was before a running mean keeps, 0 to less than 1.
        default: The machine that an id belongs to where none is named.

    Raises:
        UsageError: No run is named, too many are, or `smooth` cannot be.
        NotFoundError: There is no such run, or none of them has that metric.
    """
    if not 0 <= smooth < 1:
        raise UsageError(
            f"--smooth takes 0 to less than 1, not {smooth:g}", "such as 0.9"
        )
    known = run_sync.known_runs(sandboxes, project)
    wanted = meant(known.runs, runs, default)
    lines = max(_LEAST_LINES, min(_MOST_LINES, _ALL_LINES // len(wanted)))
    courses = run_metrics.courses(known, wanted, sandboxes, project, lines=lines)
    names = _names(courses.values())
    chosen = metric or next(iter(names), "")
    with_it = [run for run in wanted if chosen in _points(courses, run)]
    if not with_it:
        raise _no_such(chosen, names, wanted, known.unreachable)
    labels = _labels(with_it)
    series = tuple(
        Series(
            run=run,
            label=labels[run.key],
            points=(points := courses[run.key].points[chosen]),
            smooth=curves.smoothed(points, smooth) if smooth else (),
        )
        for run in with_it
    )
    return PlotReport(
        metric=chosen,
        unit=courses[with_it[0].key].unit,
        series=series,
        metrics=names,
        without=tuple(run for run in wanted if run not in with_it),
    )


def meant(runs: Sequence[Run], texts: Sequence[str], default: str = "") -> list[Run]:
    """Return the runs that are named, each once; of a group all of them. Pure.

    Raises:
        UsageError: None is named, or too many are.
        NotFoundError: There is no such run.
    """
    if not texts:
        raise UsageError(
            "`plot` needs a run",
            NextStep("plot", {"run": "last"}, "For example"),
            NextStep("runs", purpose="They are listed by"),
        )
    names = tuple({run.sandbox for run in runs})
    runs_by_key: dict[str, Run] = {}
    for text in texts:
        wanted = reference(text, names)
        group = _group(runs, wanted)
        for run in group or [run_find.find(runs, wanted, default)]:
            runs_by_key[run.key] = run
    if len(runs_by_key) > MOST_RUNS:
        raise UsageError(
            f"{len(runs_by_key)} runs are too many for one picture",
            f"At most {MOST_RUNS}.",
        )
    return list(runs_by_key.values())


def _group(runs: Sequence[Run], wanted: RunReference) -> list[Run]:
    """Return the newest run of each cell of a group; none where no group is meant."""
    if wanted.job_id or wanted.cell is not None:
        return []
    cells: dict[object, Run] = {}
    for run in runs:  # newest first
        if run.group == wanted.name and wanted.sandbox in {"", run.sandbox}:
            cells.setdefault(run.cell or run.key, run)
    return sorted(cells.values(), key=lambda run: run.cell or 0)


def _points(courses: Mapping[str, Curves], run: Run) -> Mapping[str, Points]:
    course = courses.get(run.key)
    return course.points if course else {}


def _names(courses: Sequence[Curves] | Any) -> tuple[str, ...]:  # noqa: ANN401 - a view
    metric_names = dict.fromkeys(
        (name for each in courses for name in each.points), 0.0
    )
    return tuple(metric_history.ordered(metric_names))


def _no_such(
    metric: str,
    names: tuple[str, ...],
    runs: Sequence[Run],
    unreachable: Mapping[str, str],
) -> NotFoundError:
    ids = ", ".join(run.job.id for run in runs[:5])
    lost = [f"{name} cannot be reached: {why}" for name, why in unreachable.items()]
    what = f"metric {metric!r}" if metric else "metric that can be read"
    known = f"There is {', '.join(names[:20])}." if names else ""
    have = "has" if len(runs) == 1 else "have"
    return NotFoundError(f"{ids} {have} no {what}", *lost, known)


def _labels(runs: Sequence[Run]) -> dict[str, str]:
    """Return what tells runs apart in a legend: id, and name or settings that differ."""
    several = len({run.sandbox for run in runs}) > 1
    names = dict.fromkeys(name for run in runs for name in run.settings)
    varied = [n for n in names if len({run.settings.get(n) for run in runs}) > 1]
    labels = {}
    for run in runs:
        where = f"{run.sandbox}:" if several else ""
        settings = ", ".join(
            f"{n}={run.settings[n]}" for n in varied if n in run.settings
        )
        description = settings or run.job.name
        labels[run.key] = f"{where}{run.job.id} {description}".rstrip()
    return labels
