"""The course of each metric over a log or a file of metrics. Pure, linear in the text."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox_ops.text import log_entries, log_patterns, metric_history
from sandbox_ops.text.log_formats import STEP, Count
from sandbox_ops.text.metrics_file import Entry

MAX_METRICS = 100
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What a text says of metrics.

    Attributes:
        points: Of each metric, `(x, value)` in the order of the text.
        unit: What x counts: "step", "epoch", ...; "line" where the text counts nothing.
    """

    points: Mapping[str, Points] = field(default_factory=dict)
    unit: str = "line"

    @property
    def final(self) -> dict[str, float]:
        """The last value of each metric, those that matter most first."""
        last = {name: points[-1][1] for name, points in self.points.items()}
        return metric_history.ordered(last)

    @property
    def best(self) -> dict[str, float]:
        """The least of each loss or error, the most of each score."""
        best_values = {name: best(name, points) for name, points in self.points.items()}
        known = {
            name: value for name, value in best_values.items() if value is not None
        }
        return metric_history.ordered(known)


def best(name: str, points: Points) -> float | None:
    """Return the best finite value of a metric; None where none is known to be."""
    goal = metric_history.goal(name)
    values = [value for _, value in points if math.isfinite(value)]
    if goal is None or not values:
        return None
    return min(values) if goal == "least" else max(values)


def read(text: str, patterns: tuple[str, ...] = ()) -> Curves:
    """Return the course of every metric that a text names.

    Args:
        text: A log, or a file of metrics.
        patterns: A project's own for metrics, see `log_patterns`.
    """
    entries = list(_entries(text, patterns))
    counts = [entry.step or entry.epoch for entry in entries]
    has_steps = any(entry.step for entry in entries)
    points: dict[str, list[tuple[float, float]]] = {}
    axis = _Axis(has_steps=has_steps)
    for index, entry in enumerate(entries):
        x = axis.x(entry)
        for name, value in entry.metrics.items():
            if name in points or len(points) < MAX_METRICS:
                at = float(index) if x is None else x
                points.setdefault(name, []).append((at, value))
    counted = next((c for c in counts if c), None)
    unit = STEP if has_steps else counted.unit if counted else "line"
    return Curves(points=points, unit=unit)


def smoothed(points: Points, weight: float) -> list[tuple[float, float]]:
    """Return the points as a running mean that keeps `weight` (0 to 1) of what was before.

    The beginning is not drawn towards zero; what is not finite is left out.
    """
    mean, share = 0.0, 0.0
    smooth = []
    for x, value in points:
        if math.isfinite(value):
            mean = mean * weight + value * (1 - weight)
            share = share * weight + (1 - weight)
            smooth.append((x, mean / share if share else value))
    return smooth


def _entries(text: str, patterns: tuple[str, ...]) -> Iterator[Entry]:
    if not patterns:
        yield from log_entries.entries(text)
        return
    for line in text.split("\n"):
        own: dict[str, float] = {}
        for metrics in log_patterns.read_metrics(patterns, line):
            own |= metrics
        for entry in log_entries.entries(line):
            yield Entry(entry.step, entry.epoch, entry.metrics | own)
            own = {}
        if own:
            yield Entry(None, None, own)


class _Axis:
    """Where an entry stands: its step; counts that begin again with an epoch are added up."""

    def __init__(self, *, has_steps: bool) -> None:
        self._has_steps = has_steps
        self._offset = 0.0
        self._last: float | None = None
        self._epoch: float | None = None

    def x(self, entry: Entry) -> float | None:
        count = entry.step if self._has_steps else entry.epoch
        new_epoch = bool(entry.epoch and entry.epoch.step != self._epoch)
        if count is not None:
            before = self._last
            if (
                before is not None
                and count.step < before
                and _restarts(count, new_epoch)
            ):
                self._offset += before
            self._last = count.step
            if entry.epoch:
                self._epoch = entry.epoch.step
        return None if self._last is None else self._offset + self._last


def _restarts(count: Count, new_epoch: bool) -> bool:
    return count.in_epoch or count.bar or (new_epoch and count.unit == STEP)
