"""How far a training is, read from what it prints. Pure, and linear in the text.

Where a log says a thing more than once, the last time counts. What is read of which
library is in `docs/reference/log-formats.md`.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.text import (
    crashes,
    log_entries,
    log_numbers,
    log_patterns,
    metric_history,
    metrics_file,
    position,
)
from sandbox_ops.text.log_formats import Count
from sandbox_ops.text.log_warnings import LogWarning
from sandbox_ops.text.position import LineCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a log says of the training that writes it; None where it does not say.

    Attributes:
        step: How many steps are done; epochs, episodes, ... where those are counted.
        total: How many there will be.
        unit: What is counted: "step", "epoch", "episode", ...; "" where nothing is.
        eta_s: How long yet, in seconds.
        epoch: The epoch that it is in; a part of one where the log says so.
        epochs: How many there will be.
        metrics: The last value of each, those that matter most first: losses, then
            scores, then learning rate and speed.
        course: The last values of the first metric, in their order.
        findings: What looks wrong, each with its kind.
    """

    step: int | None = None
    total: int | None = None
    unit: str = ""
    rate_per_s: float | None = None
    eta_s: float | None = None
    epoch: float | None = None
    epochs: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    course: tuple[float, ...] = ()
    findings: tuple[LogWarning, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks wrong, in words."""
        return tuple(map(str, self.findings))

    def as_json(self) -> dict[str, Any]:
        """Return `progress` and `metrics`; NaN and infinity, which JSON lacks, as null."""
        return {
            "progress": {
                "step": self.step,
                "total": self.total,
                "unit": self.unit or None,
                "rate_per_s": self.rate_per_s,
                "eta_s": self.eta_s,
                "epoch": self.epoch,
                "epochs": self.epochs,
            },
            "metrics": {
                name: value if math.isfinite(value) else None
                for name, value in self.metrics.items()
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a job left to read, beside the end of its log.

    Attributes:
        head: The beginning of the log; "" where the end is all of it.
        notable: Lines that stand before the end of the log, but not all.
        metrics_file: The end of the file that `$SANDBOX_METRICS` names.
        command: Its options may say how many steps there will be.
        metric_patterns: A project's own, see `log_patterns`.
        progress_patterns: A project's own. Where one matches, it alone counts.
    """

    head: str = ""
    notable: str = ""
    metrics_file: str = ""
    command: str = ""
    metric_patterns: tuple[str, ...] = ()
    progress_patterns: tuple[str, ...] = ()


_NOTHING = Source()


def read(
    tail: str, elapsed_s: float | None = None, source: Source = _NOTHING
) -> Progress:
    """Return the progress that the end of a log shows. Any text is read.

    Args:
        tail: The end of the log; carriage returns end a line as newlines do.
        elapsed_s: How long the job has run: gives a rate where the log gives none.
        source: What else is known.
    """
    repeated = 0
    if source.head:
        notable = _from_line_start(source.notable)
        repeated = sum(1 for _ in log_entries.entries(notable))
        tail = f"{notable}\n{_from_line_start(tail)}"
    counts, history = _lines(tail, repeated)
    beginning, baseline = _lines(source.head)
    declared, own_names = _declared(history, tail, source)
    where = position.position(
        declared or counts,
        position.Context(
            elapsed_s=elapsed_s,
            beginning=beginning,
            resumed=position.says_resumed(source.head, source.command),
            totals=position.declared_totals(f"{source.head}\n{tail}", source.command),
        ),
    )
    metrics = metric_history.ordered(history.last, own_names)
    course = tuple(history.courses.get(next(iter(metrics), ""), ()))
    findings = (
        *history.warnings(baseline),
        *crashes.warnings(tail),
    )
    if where is None:
        return Progress(metrics=metrics, course=course, findings=findings)
    return Progress(
        step=where.step,
        total=where.total,
        unit=where.unit,
        rate_per_s=where.rate_per_s,
        eta_s=where.eta_s,
        epoch=where.epoch,
        epochs=where.epochs,
        metrics=metrics,
        course=course,
        findings=findings,
    )


def _from_line_start(tail: str) -> str:
    """Return a text without its first line, whose beginning is not in it."""
    end = log_numbers.line_end(tail)
    return tail[end:] if tail[end:].strip() else tail


def _lines(
    text: str, repeated: int = 0
) -> tuple[list[LineCounts], metric_history.History]:
    """Return the counts and the metrics that the lines of a log say.

    Args:
        text: The log.
        repeated: So many of its first entries may be among the later ones too: they are
            not in the courses of the metrics.
    """
    counts: list[LineCounts] = []
    history = metric_history.History()
    outer: Count | None = None
    for at, entry in enumerate(log_entries.entries(text)):
        if at == repeated:
            history.courses.clear()
        history.add(entry.metrics)
        if entry.step or entry.epoch:
            outer = entry.epoch or outer
            same_line = entry.epoch is not None
            counts.append(LineCounts(entry.step, outer, same_line=same_line))
    return counts, history


def _declared(
    history: metric_history.History, tail: str, source: Source
) -> tuple[list[LineCounts], list[str]]:
    """Return what is said on purpose: by the file of metrics, by the project's patterns.

    Its metrics are added to the history.

    Returns:
        How far the training is, and the names of the metrics that come first.
    """
    names: list[str] = []
    from_file: list[LineCounts] = []
    in_file: set[str] = set()
    for entry in metrics_file.entries(source.metrics_file):
        for name in entry.metrics.keys() - in_file:
            history.courses.pop(name, None)  # the log says the same
            in_file.add(name)
        history.add(entry.metrics)
        if entry.step or entry.epoch:
            from_file.append(LineCounts(entry.step, entry.epoch, same_line=True))
    for metrics in log_patterns.read_metrics(source.metric_patterns, tail):
        history.add(metrics)
        names += [name for name in metrics if name not in names]
    own = log_patterns.read_counts(source.progress_patterns, tail)
    return [LineCounts(count) for count in own] or from_file, names
