"""Metrics as JSON, a line each: what a training writes to `$SANDBOX_METRICS`. Pure.

    {"step": 120, "total": 5000, "loss": 0.31, "eval": {"accuracy": 0.93}}

A line that is no JSON object, as the first of a file's end may be, is passed over.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox_ops.text.log_formats import EPOCH, STEP, Count
from sandbox_ops.text.log_numbers import MAX_LINE

_STEPS = (
    "step",
    "global_step",
    "iteration",
    "iter",
    "_step",
    "num_updates",
    "timestep",
)
_TOTALS = ("total", "total_steps", "max_steps", "num_steps", "max_iters")
_EPOCHS = ("epochs", "num_epochs", "max_epochs", "total_epochs")
_OTHERS = (
    "eta_s",
    "rate_per_s",
    "update",
    "time",
    "timestamp",
    "_timestamp",
    "_runtime",
    "ts",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file."""

    step: Count | None
    epoch: Count | None
    metrics: dict[str, float]


def entries(text: str) -> Iterator[Entry]:
    """Yield what the lines say that are JSON objects."""
    for line in text.split("\n"):
        if (entry := entry_of(line.strip())) is not None:
            yield entry


def entry_of(line: str) -> Entry | None:
    """Return what one line says; None if it is no JSON object."""
    if not (line.startswith("{") and line.endswith("}")) or len(line) > MAX_LINE:
        return None
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    numbers = dict(_numbers(values))
    step, total = _first(numbers, _STEPS), _first(numbers, _TOTALS)
    epoch, epochs = numbers.get("epoch"), _first(numbers, _EPOCHS)
    return Entry(
        step=None
        if step is None
        else Count(
            STEP,
            step,
            _whole(total),
            rate_per_s=_positive(numbers.get("rate_per_s")),
            eta_s=_positive(numbers.get("eta_s")),
        ),
        epoch=None if epoch is None else Count(EPOCH, epoch, _whole(epochs)),
        metrics={
            name: value
            for name, value in numbers.items()
            if name not in {*_STEPS, *_TOTALS, "epoch", *_EPOCHS, *_OTHERS}
        },
    )


def _numbers(
    values: Mapping[str, object], prefix: str = ""
) -> Iterator[tuple[str, float]]:
    """Yield the numbers of an object, those of objects in it as `outer/name`."""
    for key, value in values.items():
        name = f"{prefix}{key}"[:64]
        if isinstance(value, Mapping) and not prefix:
            yield from _numbers(value, f"{name}/")
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                yield name, float(value)
            except (ValueError, OverflowError):
                continue


def _first(numbers: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    values = (numbers.get(name) for name in names)
    return next((x for x in values if x is not None and 0 <= x < 1e15), None)  # noqa: PLR2004


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and math.isfinite(number) else None


def _positive(number: float | None) -> float | None:
    return number if number is not None and 0 <= number < math.inf else None
