"""Curves as lines of text, at most so wide: colours where there are any, letters else."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox_ops.errors import NotFoundError
from sandbox_ops.text import formatting, remote_text

if TYPE_CHECKING:
    from sandbox_ops.workflows.plot import PlotReport

_COLOURS = ("blue+", "orange+", "green+", "red+", "magenta+", "cyan+", "gray")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TICKS = 5


def chart(
    report: "PlotReport",
    *,
    width: int = 80,
    height: int = 20,
    log: bool = False,
    colours: bool = False,
) -> str:
    """Return the curves, their axes, and a line for each run.

    Args:
        report: What to draw.
        width: In columns.
        height: In lines, without the lines of the runs.
        log: The values on a logarithmic axis; those that are not above 0 are left out.
        colours: Tell several runs apart by colour; without it by a letter each.

    Raises:
        NotFoundError: No value can be drawn, or the library is not installed.
    """
    try:
        import plotext
    except ImportError:
        raise missing("plotext") from None
    drawn = [_drawable(each.smooth or each.points, log=log) for each in report.series]
    if not any(drawn):
        raise NotFoundError(f"{report.metric} has no value that can be drawn")
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, height)
    by_letter = len(drawn) > 1 and not colours
    for number, points in enumerate(drawn):
        xs, ys = [x for x, _ in points], [y for _, y in points]
        if points:
            plotext.plot(
                xs,
                ys,
                marker=_letter(number) if by_letter else "braille",
                color=_COLOURS[number % len(_COLOURS)] if colours else "default",
            )
    xs = [x for points in drawn for x, _ in points]
    ys = [y for points in drawn for _, y in points]
    plotext.xticks(*_ticks(min(xs), max(xs), whole=all(x.is_integer() for x in xs)))
    plotext.yticks(*_ticks(min(ys), max(ys), log=log))
    scale = ", log" if log else ""
    plotext.xlabel(f"{report.unit} ({remote_text.safe_line(report.metric)}{scale})")
    text: str = plotext.build()
    if not colours:
        text = plotext.uncolorize(text)
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(
        [*lines, *_legend(report, width, by_letter=by_letter, colours=colours)]
    )


def sparkline(values: Sequence[float], width: int = 8) -> str:
    """Return the course of a metric in so many characters; "" of fewer than two values."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:  # noqa: PLR2004
        return ""
    width = min(width, len(finite))
    means = []
    for at in range(width):
        part = finite[at * len(finite) // width : (at + 1) * len(finite) // width]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    span = (high - low) or 1
    return "".join(
        _BARS[round((mean - low) / span * (len(_BARS) - 1))] for mean in means
    )


_BARS = "▁▂▃▄▅▆▇█"


def missing(package: str) -> NotFoundError:
    """Return that a library of the extra `plot` is not installed, and how to add it."""
    from sandbox_ops.config import installation

    command = installation.current().add("plot", ("plotext", "matplotlib"))
    return NotFoundError(
        f"a plot needs {package}, which is not installed", f"Install it: {command}"
    )


def _drawable(
    points: Sequence[tuple[float, float]], *, log: bool
) -> list[tuple[float, float]]:
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    return [(x, math.log10(y)) for x, y in finite if y > 0] if log else finite


def _ticks(
    low: float, high: float, *, log: bool = False, whole: bool = False
) -> tuple[list[float], list[str]]:
    count = _TICKS if high > low else 1
    values = [low + (high - low) * at / (max(count - 1, 1)) for at in range(count)]
    if whole:
        values = [float(round(value)) for value in dict.fromkeys(values)]
        return values, [f"{value:.0f}" for value in values]
    shown = [10**value for value in values] if log else values
    return values, [formatting.figure(value) for value in shown]


def _letter(number: int) -> str:
    return _LETTERS[number % len(_LETTERS)]


def _legend(
    report: "PlotReport", width: int, *, by_letter: bool, colours: bool
) -> list[str]:
    lines = []
    for number, each in enumerate(report.series):
        final = formatting.figure(each.points[-1][1])
        mark = _letter(number) if by_letter else "━━"
        if colours:
            import plotext

            mark = plotext.colorize(mark, _COLOURS[number % len(_COLOURS)])
        text = remote_text.safe_line(f"{each.label}  {report.metric} {final}")
        lines.append(f"{mark} {formatting.one_line(text, width - 3)}")
    return lines
