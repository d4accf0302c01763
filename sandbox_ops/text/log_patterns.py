"""A project's own patterns for its logs, from `[project.train]`: RE2, named groups. Pure.

    metrics  = ['score: (?P<score>[-+.0-9e]+)', '(?P<name>[a-z ]+) -> (?P<value>[-.0-9]+)']
    progress = ['sweep (?P<step>[0-9]+) of (?P<total>[0-9]+)']

RE2 needs time linear in the text, whatever the pattern.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sandbox_ops.errors import UsageError
from sandbox_ops.text import clean, log_numbers
from sandbox_ops.text.log_formats import STEP, Count

_PROGRESS_GROUPS = frozenset({"step", "total", "eta", "rate"})
_GROUP = re.compile(r"\(\?P?<([A-Za-z_]\w*)>")


def check_metrics(pattern: str) -> None:
    """Refuse a pattern that reads no metric.

    Raises:
        UsageError: It is no RE2 pattern, or has no named group.
    """
    names = _checked_groups(pattern)
    if not names or names in ({"name"}, {"value"}):
        raise UsageError(
            f"the pattern names no metric: {pattern}",
            "Name a group after the metric, (?P<loss>[0-9.]+), or use the groups "
            "(?P<name>...) and (?P<value>...).",
        )


def check_progress(pattern: str) -> None:
    """Refuse a pattern that reads no step.

    Raises:
        UsageError: It is no RE2 pattern, or its groups are others than `step`, which
            it must have, `total`, `eta` and `rate`.
    """
    names = _checked_groups(pattern)
    if "step" not in names or names - _PROGRESS_GROUPS:
        raise UsageError(
            f"the pattern's groups must be step, and total, eta, rate if wanted: {pattern}",
            "For example: sweep (?P<step>[0-9]+) of (?P<total>[0-9]+)",
        )


def _checked_groups(pattern: str) -> set[str]:
    clean.matching(b"", pattern)  # raises
    return set(_GROUP.findall(pattern))


def read_metrics(patterns: tuple[str, ...], text: str) -> Iterator[dict[str, float]]:
    """Yield the metrics that the patterns find, in the order of the text for each."""
    for pattern in patterns:
        for groups in _matches(pattern, text):
            if {"name", "value"} <= groups.keys():
                groups = {groups["name"][:64]: groups["value"]}  # noqa: PLW2901
            yield {k: n for k, v in groups.items() if (n := _number(v)) is not None}


def read_counts(patterns: tuple[str, ...], text: str) -> Iterator[Count]:
    """Yield how far the training is, as the patterns say it."""
    for pattern in patterns:
        for groups in _matches(pattern, text):
            step, total = _number(groups["step"]), _number(groups.get("total", ""))
            if step is None or not 0 <= step < 1e15:  # noqa: PLR2004
                continue
            eta = groups.get("eta", "")
            yield Count(
                STEP,
                step,
                int(total) if total is not None and 0 <= total < 1e15 else None,  # noqa: PLR2004
                rate_per_s=_number(groups.get("rate", "")),
                eta_s=log_numbers.seconds(eta) if ":" in eta else _number(eta),
            )


def _number(text: str) -> float | None:
    try:
        return log_numbers.number(text)
    except ValueError:
        return None


def _matches(pattern: str, text: str) -> Iterator[dict[str, str]]:
    for match in _compiled(pattern).finditer(text.encode("utf-8", "replace")):
        groups = match.groupdict()
        yield {
            _name(name): value.decode("utf-8", "replace").strip()
            for name, value in groups.items()
            if value is not None
        }


def _name(name: str | bytes) -> str:
    """Return a group's name: of a pattern of bytes RE2 says it in bytes."""
    return name.decode() if isinstance(name, bytes) else name


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:  # noqa: ANN401 - RE2 has no types
    import re2

    options = re2.Options()
    options.max_mem = 8 << 20
    options.log_errors = False
    options.never_nl = True
    return re2.compile(b"(?m)" + pattern.encode("utf-8", "replace"), options=options)
