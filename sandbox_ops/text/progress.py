"""How far a training is, read from what it prints. Pure, and linear in the text.

Every pattern repeats a bounded number of times, so that no log, however odd, can make
reading it slow. Where a log says a thing more than once, the last time counts.
"""

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

_NUMBER = r"[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:e[-+]?\d{1,3})?"
_VALUE = rf"((?:{_NUMBER}|[-+]?(?:nan|inf(?:inity)?))(?!\w|\.\d))"
_GAP = r"[ \t]{0,8}"
_FLAGS = re.IGNORECASE | re.ASCII
_OF = rf"(\d{{1,15}}){_GAP}(?:/|of){_GAP}(\d{{1,15}})"
_STEP = re.compile(  # `step 120/5000`, `Step: 120 / 5000`, `"iter": 7 of 9`
    rf"(?<![\w.-])(?:global_?)?(?:step|iter|iteration|batch|update)s?['\"]?"
    rf"{_GAP}[:=#]?[ \t\[(]{{0,8}}{_OF}",
    _FLAGS,
)
_STEP_ALONE = re.compile(
    rf"(?<![\w.-])(?:global_?)?(?:step|iter|iteration)['\"]?{_GAP}[:=#]?{_GAP}"
    r"(\d{1,15})(?![\w.])",
    _FLAGS,
)
_EPOCH = re.compile(
    rf"(?<![\w.-])epochs?['\"]?{_GAP}[:=#]?[ \t\[(]{{0,8}}{_OF}", _FLAGS
)
_BAR = re.compile(  # tqdm: `42%|###  | 420/1000 [00:10<00:14, 41.3it/s, loss=0.3]`
    rf"%\|[^|]{{0,400}}\|{_GAP}{_OF}{_GAP}\[[\d:]{{1,12}}<([\d:?]{{1,12}})", _FLAGS
)
_RICH_BAR = re.compile(  # lightning: `420/1000 0:00:10 \u2022 0:00:14 41.30it/s`
    rf"{_OF}{_GAP}[\d:]{{1,12}}{_GAP}\u2022{_GAP}([\d:-]{{1,12}})", _FLAGS
)
_RATE = re.compile(
    rf"(?<![\w.])(\d{{1,12}}(?:\.\d{{0,12}})?){_GAP}"
    r"(?:(it|iter|step|batch|update)(?:e?s)?/s(?:ec)?|s(?:ec)?/(?:it|iter|step|batch))"
    r"(?![\w/])",
    _FLAGS,
)
_NAMED = re.compile(  # `loss=1.2`, `loss: 1.2`, `'loss': 1.2`, also `train/loss`
    rf"(?<![\w./-])([a-z_][\w./-]{{0,63}})['\"]?{_GAP}[:=]{_GAP}['\"]?{_VALUE}", _FLAGS
)
_KNOWN = re.compile(  # also `loss 1.2` and `loss is nan`: sure to be metrics
    r"(?<![\w./-])((?:[\w-]{0,40}[_/])?"
    r"(?:loss|lr|acc|accuracy|ppl|perplexity|reward|grad_norm|f1|auc|bpc|tok/s))"
    rf"(?:['\"]?{_GAP}[:=]{_GAP}['\"]?|[ \t]{{1,8}}(?:is[ \t]{{1,8}})?){_VALUE}",
    _FLAGS,
)
_CLOCK = re.compile(r"(?<!\d)(\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,6}))?(?!\d)", re.ASCII)
_TRACEBACK = "Traceback (most recent call last)"
_OUT_OF_MEMORY = ("CUDA out of memory", "torch.OutOfMemoryError", "CUDA_ERROR_OUT_OF")
_NOT_METRICS = frozenset({"step", "global_step", "epoch", "iter", "iteration", "v_num"})
_MAX_LINE = 4096
_MAX_WARNING = 300
_DAY_S = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a log says of the training that writes it; None where it does not say."""

    step: int | None = None
    total: int | None = None
    rate_per_s: float | None = None
    eta_s: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return `progress` and `metrics`; NaN and infinity, which JSON lacks, as null."""
        return {
            "progress": {
                "step": self.step,
                "total": self.total,
                "rate_per_s": self.rate_per_s,
                "eta_s": self.eta_s,
            },
            "metrics": {
                name: value if math.isfinite(value) else None
                for name, value in self.metrics.items()
            },
        }


@dataclass(frozen=True, slots=True)
class _Point:
    """A line that said a step."""

    step: int
    total: int | None
    rate_per_s: float | None = None
    eta_s: float | None = None
    clock_s: float | None = None


def read(tail: str, elapsed_s: float | None = None) -> Progress:
    """Return the progress that the end of a log shows. Any text is read.

    Args:
        tail: The end of the log; carriage returns end a line as newlines do.
        elapsed_s: How long the job has run: gives a rate where the log gives none.
    """
    lines = [line[:_MAX_LINE] for line in re.split(r"[\r\n]", tail) if line.strip()]
    points = [point for line in lines if (point := _step_point(line))]
    points = points or [point for line in lines if (point := _epoch_point(line))]
    metrics: dict[str, float] = {}
    for line in lines:
        metrics |= _metrics(line)
    warnings = (*_not_finite(metrics), *_crashes(tail))
    if not points:
        return Progress(metrics=metrics, warnings=warnings)
    last = _with_total(points)
    rate = last.rate_per_s or _rate(points, elapsed_s)
    return Progress(
        step=last.step,
        total=last.total,
        rate_per_s=rate,
        eta_s=last.eta_s if last.eta_s is not None else _eta(last, rate),
        metrics=metrics,
        warnings=warnings,
    )


def _step_point(line: str) -> _Point | None:
    """Return the last bar of a line, else its last `step n/m`, else its `step n`."""
    rate, clock = _line_rate(line), _clock(line)
    if bar := _last(_BAR, line) or _last(_RICH_BAR, line):
        return _Point(int(bar[1]), int(bar[2]), rate, _seconds(bar[3]))
    if match := _last(_STEP, line):
        return _Point(int(match[1]), int(match[2]), rate, None, clock)
    if match := _last(_STEP_ALONE, line):
        return _Point(int(match[1]), None, rate, None, clock)
    return None


def _with_total(points: list[_Point]) -> _Point:
    """Return the last point, with the total that an earlier one may have said."""
    last = points[-1]
    totals = [point.total for point in points if point.total is not None]
    if last.total is None and totals and last.step <= totals[-1]:
        return replace(last, total=totals[-1])
    return last


def _epoch_point(line: str) -> _Point | None:
    match = _last(_EPOCH, line)
    if match is None:
        return None
    return _Point(int(match[1]), int(match[2]), clock_s=_clock(line))


def _last(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    found = None
    for match in pattern.finditer(line):
        found = match
    return found


def _line_rate(line: str) -> float | None:
    """Return the steps per second that a line states, also as seconds per step."""
    match = _last(_RATE, line)
    if match is None or not (value := float(match[1])):
        return None
    return value if match[2] else 1 / value


def _seconds(clock: str) -> float | None:
    """Return `1:02:03` as seconds; None for `?` and `-:--:--`."""
    if not re.fullmatch(r"[\d:]{1,12}", clock, re.ASCII):
        return None
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part or 0)
    return float(seconds)


def _clock(line: str) -> float | None:
    """Return the time of day that a line begins with, or otherwise holds."""
    match = _CLOCK.search(line)
    if match is None:
        return None
    fraction = float(f"0.{match[4]}") if match[4] else 0.0
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]) + fraction


def _rate(points: list[_Point], elapsed_s: float | None) -> float | None:
    """Return steps per second: between stamped lines, else over the whole run."""
    first, last = points[0], points[-1]
    if first.clock_s is not None and last.clock_s is not None:
        passed = (last.clock_s - first.clock_s) % _DAY_S
        if passed and last.step > first.step:
            return (last.step - first.step) / passed
    return last.step / elapsed_s if elapsed_s and last.step else None


def _eta(last: _Point, rate: float | None) -> float | None:
    if last.total is None or not rate:
        return None
    return max(0, last.total - last.step) / rate


def _metrics(line: str) -> dict[str, float]:
    """Return the metrics of a line that speaks of training at all."""
    known = {name: float(value) for name, value in _KNOWN.findall(line)}
    training = (_STEP_ALONE, _STEP, _EPOCH, _BAR, _RICH_BAR)
    if not known and not any(pattern.search(line) for pattern in training):
        return {}
    named = {name: float(value) for name, value in _NAMED.findall(line)}
    return {
        name: value
        for name, value in (named | known).items()
        if name.lower() not in _NOT_METRICS
    }


def _not_finite(metrics: dict[str, float]) -> tuple[str, ...]:
    return tuple(
        f"{name} is {value}"
        for name, value in metrics.items()
        if not math.isfinite(value)
    )


def _crashes(tail: str) -> tuple[str, ...]:
    """Return a warning for the last traceback, and one for exhausted GPU memory."""
    warnings = []
    before, found, after = tail.rpartition(_TRACEBACK)
    if found:
        prefix = before[before.rfind("\n") + 1 :]  # torchrun's `[rank0]: `
        warnings.append(f"traceback: {_exception(prefix, after)}"[:_MAX_WARNING])
    if any(words in tail for words in _OUT_OF_MEMORY):
        warnings.append("CUDA out of memory")
    return tuple(warnings)


def _exception(prefix: str, after: str) -> str:
    """Return the first line after a traceback's indented ones."""
    for line in after.split("\n")[1:]:
        text = line.removeprefix(prefix).rstrip()
        if text and not text[0].isspace():
            return text
    return "its end is not in the log yet"
