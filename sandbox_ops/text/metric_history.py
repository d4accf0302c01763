"""Which metrics matter most, and what is wrong with them. Pure."""

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal

from sandbox_ops.text.log_warnings import LogWarning

_EXPLODED = 1e4
_MAX_METRICS = 100
_COURSE = 256  # so many values of each are kept, the last ones
_WORD = re.compile(r"[a-z0-9]+")
_LEARNING_RATE = re.compile(r"(?:.*[ _/])?(?:lr|learning.?rate|g(?:rad)?.?norm)")
_SPEED = re.compile(
    r".*(?:runtime|per.second|/s(?:ec)?|fps|wall|speed|throughput|elapsed|memory|_mem|_ms"
    r"|time|scale|batch.size|samples|\bsize)\b.*|[wu]ps|wpb|bsz|mfu"
)
_WHOLE_LOSS = re.compile(  # of a training or an evaluation, not a part such as `value_loss`
    r"(?:(?:train|training|val|valid|validation|eval|test|lm|total|mean|avg|average|running"
    r"|best|final|step|epoch|ema|loss)(?:[^a-z0-9]{1,3}|$)){1,8}"
)
_ERRORS = re.compile(
    r"(?<![a-z])(?:rms(?:l)?e|mse|mae|mape|m?logloss|m?error|nll|ce|cross_entropy|bpc|bpb"
    r"|ppl|perplexity|l[12](?!\d)|huber|quantile|wer|cer|learn|elbo)(?![a-z])"
)
_SCORES = re.compile(
    r"(?<![a-z])(?:acc(?:uracy)?|rew(?:ard)?|return|score|f1|auc|map(?:50)?|bleu|rouge|m?iou"
    r"|dice|precision|recall|fitness|r2|success|psnr|ssim|fid|top[15])(?![a-z])"
)


def ordered(
    metrics: Mapping[str, float], first: Iterable[str] = ()
) -> dict[str, float]:
    """Return the metrics, those that matter most first: losses, then scores, then speeds.

    Args:
        metrics: In the order in which the log says them.
        first: Names that come before all others.
    """
    wanted = list(first)
    has_main = any(_rank(name) <= _OTHER_LOSS for name in metrics)

    def key(name: str) -> tuple[int, int]:
        if name in wanted:
            return -1, wanted.index(name)
        rank = _rank(name)
        return (0 if rank == _PART_OF_LOSS and not has_main else rank), 0

    return {name: metrics[name] for name in sorted(metrics, key=key)}


_LOSS, _OTHER_LOSS, _ERROR, _SCORE, _PART_OF_LOSS, _OTHER, _RATE, _FIGURE = range(8)


def _rank(name: str) -> int:
    """Return how much a metric matters: the less, the more."""
    plain = name.lower()
    name_parts = set(_WORD.findall(plain))
    if _LEARNING_RATE.fullmatch(plain):
        return _RATE
    if _SPEED.fullmatch(plain):
        return _FIGURE
    if name_parts == {"loss"}:
        return _LOSS
    if "loss" in name_parts:
        return _OTHER_LOSS if _WHOLE_LOSS.fullmatch(plain) else _PART_OF_LOSS
    if _ERRORS.search(plain):
        return _ERROR
    return _SCORE if _SCORES.search(plain) else _OTHER


def is_loss(name: str) -> bool:
    """Whether a metric gets worse as it grows: a loss or an error."""
    return _rank(name) in {_LOSS, _OTHER_LOSS, _ERROR, _PART_OF_LOSS}


Goal = Literal["least", "most"]
_LESS_IS_BETTER = frozenset({"fid"})


def goal(name: str) -> Goal | None:
    """Return whether the least or the most of a metric is its best; None if not known."""
    if is_loss(name):
        return "least"
    if _rank(name) != _SCORE:
        return None
    is_distance = _LESS_IS_BETTER & set(_WORD.findall(name.lower()))
    return "least" if is_distance else "most"


class History:
    """The metrics of a whole text: the last values of each, and the least of each loss."""

    def __init__(self) -> None:
        """Begin without any."""
        self.last: dict[str, float] = {}
        self.least: dict[str, float] = {}
        self.courses: dict[str, deque[float]] = {}

    def add(self, metrics: Mapping[str, float]) -> None:
        """Take what a later line says."""
        for name, value in metrics.items():
            if (before := self.last.get(name)) is not None and math.isfinite(before):
                self.least[name] = min(abs(before), self.least.get(name, math.inf))
            if name in self.last or len(self.last) < _MAX_METRICS:
                self.last[name] = value
                self.courses.setdefault(name, deque(maxlen=_COURSE)).append(value)

    def warnings(self, baseline: "History | None" = None) -> tuple[LogWarning, ...]:
        """Say what is not a number, and which loss has exploded.

        Args:
            baseline: What the beginning of the same log said.
        """
        objections = []
        for name, value in self.last.items():
            if not math.isfinite(value):
                text = f"{name} is {value}"
                objections.append(LogWarning("not-a-number", text, name))
                continue
            least = self._lowest(name, baseline) if is_loss(name) else math.inf
            if abs(value) > _EXPLODED * max(1.0, least):
                text = f"{name} has exploded: {value:.4g} after {least:.4g}"
                objections.append(LogWarning("exploded", text, name))
        return tuple(objections)

    def _lowest(self, name: str, baseline: "History | None") -> float:
        """Return the least that a loss was before; infinity where it never was another."""
        before = [self.least.get(name, math.inf)]
        if baseline and name in baseline.last:
            before += [baseline.least.get(name, math.inf), abs(baseline.last[name])]
        return min(
            (value for value in before if math.isfinite(value)), default=math.inf
        )
