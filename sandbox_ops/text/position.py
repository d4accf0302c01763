"""Which of the counts in a log is the one that matters, how fast it grows, how long yet. Pure.

A log counts several things: steps, epochs, the batches of an evaluation. The count that
matters is that of the whole run, where the log says it: batches that begin again with
each epoch are a part of the epoch.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sandbox_ops.text.log_formats import EPOCH, STEP, Count

_DAY_S = 86400
_RESUMED = re.compile(r"resum|restor(?:ed|ing)|from[ _-]{1,3}checkpoint", re.IGNORECASE)
_DECLARED = re.compile(  # `max_iters = 5000`, `--epochs 3`, `Total optimization steps = 24`
    r"(?<![\w.-])(?:(--)|(?:max|total|num|number of)[ _-])?"
    r"(?:(?:max|total|num|train|training|optimization)[ _-]){0,2}"
    r"(steps|iters|iterations|timesteps|updates?|epochs|episodes|generations|gens|rounds"
    r"|trials)['\"]?[ \t]{0,4}[:= ][ \t]{0,4}(\d{1,15})(?![\w.])",
    re.IGNORECASE | re.ASCII,
)
_UNITS = {"gens": "generation", "epochs": EPOCH, "episodes": "episode"} | {
    "generations": "generation", "rounds": "round", "trials": "trial"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LineCounts:
    """The counts in one line: steps, and the epoch in it or in a line before."""

    step: Count | None = None
    outer: Count | None = None
    same_line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the training is; `step` is of `unit`s, `total` where the log says it."""

    unit: str
    step: int
    total: int | None = None
    rate_per_s: float | None = None
    eta_s: float | None = None
    epoch: float | None = None
    epochs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known beside the end of a log.

    Attributes:
        elapsed_s: How long the job has run.
        beginning: What the first lines of the log say; () where the end is all of it.
        resumed: Whether it may have begun at a later step than 0.
        totals: By unit, how many there will be.
    """

    elapsed_s: float | None = None
    beginning: Sequence[LineCounts] = ()
    resumed: bool = False
    totals: dict[str, int] = field(default_factory=dict)


def declared_totals(log: str, command: str = "") -> dict[str, int]:
    """Return how many steps, epochs, ... a log, or the command, says there will be."""
    totals: dict[str, int] = {}
    for text, is_command in ((log, False), (command, True)):
        for option, name, number in _DECLARED.findall(text):
            if is_command or not option:
                totals[_UNITS.get(name.lower(), STEP)] = int(number)
    return {unit: total for unit, total in totals.items() if total}


def says_resumed(*texts: str) -> bool:
    """Whether a log or a command speaks of going on from a checkpoint."""
    return any(_RESUMED.search(text) for text in texts)


def position(counts: Sequence[LineCounts], context: Context) -> Position | None:
    """Return how far the training is; None where nothing says it."""
    steps = [each for each in counts if each.step]
    outer = next((each.outer for each in reversed(counts) if each.outer), None)
    if outer is not None:
        outer = _with_total(outer, (s.outer for s in counts if s.outer), context)
    if not steps:
        return _of_outer(outer, [s.outer for s in counts if s.outer], context)
    chosen = _chosen([each.step for each in steps if each.step])
    chosen = _with_total(chosen, (s.step for s in steps if s.step), context)
    per_epoch = outer and not outer.from_zero and outer.total and outer.total > 1
    if outer and per_epoch and _begins_again(chosen, steps):
        latest = counts[-1].step is None and counts[-1].outer not in (
            None,
            steps[-1].outer,
        )
        return _of_epoch(outer, None if latest else chosen, context)
    series = [
        each.step for each in steps if each.step and _key(each.step) == _key(chosen)
    ]
    rate = chosen.rate_per_s or _rate(series, context, chosen.unit)
    eta = chosen.eta_s if chosen.eta_s is not None else _eta(chosen, rate)
    if (
        eta is not None
        and outer
        and outer.from_zero
        and outer.total
        and chosen.total
        and rate
    ):
        eta += max(0.0, outer.total - outer.step) * chosen.total / rate
    return Position(
        unit=chosen.unit,
        step=int(chosen.step),
        total=chosen.total,
        rate_per_s=rate,
        eta_s=eta,
        epoch=outer.step if outer and outer.unit == EPOCH else None,
        epochs=outer.total if outer and outer.unit == EPOCH else None,
    )


def _key(count: Count) -> tuple[object, ...]:
    return (count.unit, count.label, count.total) if count.bar else (count.unit,)


def _chosen(counts: Sequence[Count]) -> Count:
    """Return the last count, but no full bar while another is being filled."""
    latest: dict[tuple[object, ...], Count] = {}
    for count in counts:
        latest.pop(_key(count), None)
        latest[_key(count)] = count
    *_, last = latest.values()
    if last.bar and last.total is not None and last.step >= last.total:
        for count in reversed(latest.values()):
            if count.total is not None and count.step < count.total:
                return count
    return last


def _with_total(last: Count, counts: Iterable[Count], context: Context) -> Count:
    """Return a count with the total that an earlier line, or a declaration, says."""
    if last.total is not None or last.in_epoch or last.from_zero:
        return last
    totals = [
        c.total
        for c in counts
        if c.total is not None and c.unit == last.unit and not c.bar
    ]
    total = totals[-1] if totals else context.totals.get(last.unit)
    return replace(last, total=total) if total and last.step <= total else last


def _begins_again(chosen: Count, counts: Sequence[LineCounts]) -> bool:
    """Whether the steps are counted from the start in each epoch: the format or the log says so."""
    if chosen.in_epoch:
        return True
    if chosen.bar and any(
        s.same_line and s.step and _key(s.step) == _key(chosen) for s in counts
    ):
        return True
    before = None
    for each in counts:
        if each.step is None or each.outer is None or _key(each.step) != _key(chosen):
            continue
        if before and before[0] > each.step.step and before[1] < each.outer.step:
            return True
        before = (each.step.step, each.outer.step)
    return False


def _of_epoch(outer: Count, inner: Count | None, context: Context) -> Position:
    """Return an epoch as the position; the steps in it say how long it takes."""
    total = outer.total or 0
    part = inner.step / inner.total if inner and inner.total else 0.0
    seconds = (
        inner.total / inner.rate_per_s
        if inner and inner.total and inner.rate_per_s
        else None
    )
    done = max(0.0, outer.step - 1) + min(1.0, part)
    if seconds is None and context.elapsed_s and done and not context.resumed:
        seconds = context.elapsed_s / done
    left = max(0.0, total - done)
    return Position(
        unit=outer.unit,
        step=int(outer.step),
        total=outer.total,
        rate_per_s=1 / seconds if seconds else None,
        eta_s=left * seconds if seconds else None,
        epoch=outer.step,
        epochs=outer.total,
    )


def _of_outer(
    outer: Count | None, counts: list[Count], context: Context
) -> Position | None:
    if outer is None:
        return None
    rate = _rate([c for c in counts if c.unit == outer.unit], context, outer.unit)
    is_epoch = outer.unit == EPOCH
    return Position(
        unit=outer.unit,
        step=int(outer.step),
        total=outer.total,
        rate_per_s=rate,
        eta_s=outer.eta_s if outer.eta_s is not None else _eta(outer, rate),
        epoch=outer.step if is_epoch else None,
        epochs=outer.total if is_epoch else None,
    )


def _eta(last: Count, rate: float | None) -> float | None:
    if last.total is None or not rate:
        return None
    return max(0.0, last.total - last.step) / rate


def _rate(counts: Sequence[Count], context: Context, unit: str) -> float | None:
    """Return steps per second: between stamped lines, else over the whole run."""
    first, last = counts[0], counts[-1]
    if first.time_of_day_s is not None and last.time_of_day_s is not None:
        passed = (last.time_of_day_s - first.time_of_day_s) % _DAY_S
        if passed and last.step > first.step:
            return (last.step - first.step) / passed
    begin = _began_at(counts, context, unit)
    if begin is None or not context.elapsed_s or last.step <= begin:
        return None
    return (last.step - begin) / context.elapsed_s


def _began_at(counts: Sequence[Count], context: Context, unit: str) -> float | None:
    """Return the step at which this run began: not 0, where it went on from a checkpoint.

    The first lines are as far apart as the first is from the start, unless the run
    was resumed. None where that cannot be known.
    """
    first_counts = [
        x for s in context.beginning for x in (s.step, s.outer) if x and x.unit == unit
    ]
    steps = sorted({count.step for count in (*first_counts, *counts)})
    if context.beginning and not first_counts and context.resumed:
        return None
    if len(steps) < 2:  # noqa: PLR2004
        return None if context.resumed else 0.0
    apart = steps[1] - steps[0]
    return 0.0 if steps[0] <= 2 * apart + 1 else steps[0] - apart
