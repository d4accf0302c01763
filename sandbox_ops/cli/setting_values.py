r"""Reads the values of --set: one, a list (`1e-3,1e-4`) or a range (`1..5`, `1..9..2`). Pure.

A comma within brackets or quotes is part of a value, as in `[0.9,0.99]`; so is one with a
backslash before it, and so are two dots: `a\,b`, `1\..5`. A comma at the end makes a list
of one.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sandbox_ops.errors import UsageError

MOST_VALUES = 1000
"""So many values one setting may have."""

_RANGE = re.compile(r"(-?\d{1,15})\.\.(-?\d{1,15})(?:\.\.(\d{1,15}))?", re.ASCII)
_PIECE = re.compile(
    r"""\\,|\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}|"[^"]*"|'[^']*'|(?P<comma>,)|[^,\\]|\\""",
    re.DOTALL,
)


class Values(NamedTuple):
    """The values of one setting, and whether they are meant as a list."""

    values: tuple[str, ...]
    is_list: bool


def read(given: Mapping[str, str]) -> dict[str, Values]:
    """Return the values of each setting.

    Raises:
        UsageError: A list has an empty value, or a range has none or too many.
    """
    return {name: values(name, text) for name, text in given.items()}


def is_sweep(settings: Mapping[str, Values]) -> bool:
    """Whether any of them is a list."""
    return any(each.is_list for each in settings.values())


def values(name: str, text: str) -> Values:
    """Return the values that a text stands for; see the head of this file."""
    parts = _split(text)
    is_list = len(parts) > 1
    if is_list and not parts[-1]:
        parts.pop()
    if is_list and not all(parts):
        raise UsageError(
            f"--set {name}: one of the values of the list is empty: {text}",
            "A comma that belongs to a value is written \\,",
        )
    every: list[str] = []
    for part in parts:
        numbers = _range(name, part)
        is_list = is_list or numbers is not None
        every += [_literal(part)] if numbers is None else numbers
    return Values(tuple(every), is_list)


def _split(text: str) -> list[str]:
    """Return the parts between the commas that separate values."""
    parts, begin = [], 0
    for piece in _PIECE.finditer(text):
        if piece["comma"]:
            parts.append(text[begin : piece.start()])
            begin = piece.end()
    return [*parts, text[begin:]]


def _range(name: str, part: str) -> list[str] | None:
    match = _RANGE.fullmatch(part)
    if match is None:
        return None
    first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if not step or (last - first) // step >= MOST_VALUES or last < first:
        raise UsageError(
            f"--set {name}: {part} is no range of 1 to {MOST_VALUES} numbers",
            "Write FIRST..LAST or FIRST..LAST..STEP, such as 1..5 or 0..100..10; if the"
            " text itself is meant, write the dots as \\..",
        )
    width = (
        len(match[1]) if match[1].startswith("0") else 0
    )  # 01..10, as a shell has it
    return [f"{number:0{width}}" for number in range(first, last + 1, step)]


def _literal(part: str) -> str:
    return part.replace("\\,", ",").replace("\\..", "..")


def single(settings: Mapping[str, Values]) -> dict[str, str]:
    """Return the first value of each: of one training."""
    return {name: each.values[0] for name, each in settings.items()}


def lists(settings: Mapping[str, Values]) -> dict[str, Sequence[str]]:
    """Return the values alone."""
    return {name: each.values for name, each in settings.items()}
