"""Which columns of a table give way where a terminal is narrow. Pure.

Ids stay whatever the width, names and paths wrap rather than lose a letter; the last
columns are narrowed first, then left out. A command that does not fit is no loss: a job
without its id is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2  # blanks between two columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading.
        least: How narrow it may be drawn, in characters; None where all is shown.
        most: How wide it is drawn at most, where the room is short.
        optional: Whether it may be left out altogether.
        wraps: Whether a value that is longer goes on in the next line, or is cut.
    """

    name: str
    least: int | None = None
    most: int | None = None
    optional: bool = False
    wraps: bool = False


def fit(
    columns: Sequence[Column], natural: Sequence[int], width: int
) -> tuple[int | None, ...]:
    """How wide each column is drawn within `width`; None where it is left out.

    The last columns are narrowed first, each down to its least, then left out.

    Args:
        columns: In the order of the table.
        natural: How wide the widest value of each is, its heading included.
        width: Of the terminal, in characters.
    """
    excess = sum(natural) + GAP * (len(columns) - 1) - width
    if excess <= 0:
        return tuple(natural)
    natural = [
        size if each.most is None else min(size, each.most)
        for each, size in zip(columns, natural, strict=True)
    ]
    widths: list[int | None] = list(natural)
    excess = sum(natural) + GAP * (len(columns) - 1) - width
    for at in reversed(range(len(columns))):
        least = columns[at].least
        if least is not None and excess > 0:
            cut = min(excess, max(0, natural[at] - least))
            widths[at] = natural[at] - cut
            excess -= cut
    for at in reversed(range(len(columns))):
        if columns[at].optional and excess > 0:
            excess -= (widths[at] or 0) + GAP
            widths[at] = None
    return _given_back(columns, natural, widths, -excess)


def _given_back(
    columns: Sequence[Column],
    natural: Sequence[int],
    widths: Sequence[int | None],
    spare: int,
) -> tuple[int | None, ...]:
    """Hand room that a left-out column freed to narrowed ones, from the first on."""
    result = list(widths)
    for at, each in enumerate(columns):
        current = result[at]
        if current is not None and each.least is not None and spare > 0:
            grown = min(spare, natural[at] - current)
            result[at] = current + grown
            spare -= grown
    return tuple(result)
