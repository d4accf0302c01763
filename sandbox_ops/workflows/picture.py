"""Curves as a PNG or an SVG file, by matplotlib: imported when a picture is wanted."""

import math
import secrets
import warnings
from pathlib import Path
from typing import Any

from sandbox_ops.config import installation
from sandbox_ops.errors import NextStep, NotFoundError, RefusedError, UsageError
from sandbox_ops.text import remote_text
from sandbox_ops.text.curves import Points
from sandbox_ops.workflows.plot import PlotReport, Series

FORMATS = (".png", ".svg")
_SIZE_INCHES = (9.6, 5.4)
_STYLES = ("-", "--", "-.", ":")
_COLOURS = 10  # of matplotlib's own cycle
_MARKED = 30  # so few points are marked: a line through two says little
_IN_PLOT = 12  # so many runs have their legend inside of the axes


def check(out: str, *, overwrite: bool) -> Path:
    """Return the file that a picture goes to, before anything is read.

    Raises:
        UsageError: Its name ends otherwise than in `.png` or `.svg`.
        RefusedError: It is there.
        NotFoundError: Its folder is not there, or matplotlib is not installed.
    """
    file = Path(out).expanduser().absolute()
    if file.suffix.lower() not in FORMATS:
        raise UsageError(f"--out takes a file that ends in .png or .svg, not `{out}`")
    if file.exists() and not overwrite:
        raise RefusedError(
            f"{file} is there already",
            NextStep("plot", {"out": out, "overwrite": True}, "Replace it"),
        )
    if not file.parent.is_dir():
        raise NotFoundError(f"there is no folder {file.parent}")
    try:
        import matplotlib as _  # noqa: F401, ICN001 - whether it is there
    except ImportError:
        command = installation.current().add("plot", ("plotext", "matplotlib"))
        raise NotFoundError(
            "a picture needs matplotlib, which is not installed",
            f"Install it: {command}",
        ) from None
    return file


def draw(report: PlotReport, file: Path, *, log: bool = False) -> None:
    """Write the picture beside its place, then move it there.

    Args:
        report: What to draw.
        file: As `check` returned it.
        log: The values on a logarithmic axis.

    Raises:
        RefusedError: It cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    kind = file.suffix.lower()
    beside = file.with_name(f".{secrets.token_hex(4)}{kind}")
    # text of a machine is text: `$` begins no formula
    settings = {"text.parse_math": False, "svg.hashsalt": "sandbox-ops"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of glyphs that the font lacks
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        lines = [_line(axes, each, at) for at, each in enumerate(report.series)]
        _axes(axes, report, log=log)
        labels = [remote_text.safe_line(each.label)[:60] for each in report.series]
        if len(labels) <= _IN_PLOT:
            axes.legend(lines, labels, fontsize="small", frameon=False)
        else:
            figure.legend(lines, labels, loc="outside right upper", fontsize="x-small")
        try:
            figure.savefig(beside, metadata={"Date": None} if kind == ".svg" else {})
            beside.replace(file)
        except OSError as error:
            raise RefusedError(f"{file} cannot be written: {error.strerror}") from error
        finally:
            beside.unlink(missing_ok=True)


def _line(axes: Any, series: Series, number: int) -> Any:  # noqa: ANN401 - matplotlib's
    """Draw a run; return the line that stands for it in the legend."""
    colour, style = f"C{number % _COLOURS}", _STYLES[number // _COLOURS % len(_STYLES)]
    xs, ys = _columns(series.points)
    marker = "." if len(xs) <= _MARKED else ""
    if series.smooth:
        axes.plot(xs, ys, color=colour, alpha=0.25, linewidth=0.8)
        xs, ys = _columns(series.smooth)
    (line,) = axes.plot(xs, ys, style, color=colour, linewidth=1.4, marker=marker)
    return line


def _axes(axes: Any, report: PlotReport, *, log: bool) -> None:  # noqa: ANN401
    if log:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        axes.set_yscale("log", nonpositive="mask")  # its own labels are formulas
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(report.unit)
    axes.set_ylabel(remote_text.safe_line(report.metric)[:80])
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _columns(points: Points) -> tuple[list[float], list[float]]:
    """Return x and y; an infinity is a gap, as NaN is."""
    pairs = [(x, y if math.isfinite(y) else math.nan) for x, y in points]
    return [x for x, _ in pairs], [y for _, y in pairs]
