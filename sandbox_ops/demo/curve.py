"""A loss curve: read from metrics.csv, drawn in the terminal and as a PNG."""

import csv
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.errors import NotFoundError, ProtocolError

_FINE = 3  # drawn that much larger, then made smaller: smooth lines
_INK, _PALE, _LINE, _PAPER = "#24292f", "#d0d7de", "#0969da", "#ffffff"
_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Losses by step. Never empty."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]


def read(path: Path) -> Curve:
    """Return the curve that a training wrote: a CSV with columns `step` and `loss`.

    Raises:
        NotFoundError: there is no such file.
        ProtocolError: it holds no such numbers.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = tuple(csv.DictReader(file))
        curve = Curve(
            steps=tuple(int(row["step"]) for row in rows),
            losses=tuple(float(row["loss"]) for row in rows),
        )
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no {path}", "A training writes it when it saves."
        ) from error
    except (KeyError, ValueError, TypeError) as error:
        raise ProtocolError(f"{path} is no table of step and loss: {error}") from error
    if not rows:
        raise ProtocolError(f"{path} holds no measurement")
    return curve


def chart(curve: Curve, *, width: int = 78, height: int = 16) -> str:
    """Return the curve as lines of text, without colours."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, height)
    plotext.plot(curve.steps, curve.losses, marker="braille")
    first, last = curve.steps[0], curve.steps[-1]
    plotext.xticks(
        [first + (last - first) * tick // (_TICKS - 1) for tick in range(_TICKS)]
    )
    plotext.xlabel("step")
    plotext.ylabel("loss")
    text: str = plotext.uncolorize(plotext.build())
    return "\n".join(line.rstrip() for line in text.splitlines())


def picture(curve: Curve, path: Path, *, width: int = 960, height: int = 540) -> None:
    """Write the curve as a PNG."""
    from PIL import Image, ImageDraw, ImageFont

    paper = Image.new("RGB", (width * _FINE, height * _FINE), _PAPER)
    pen = ImageDraw.Draw(paper)
    font = ImageFont.load_default(16 * _FINE)
    left, top = 80 * _FINE, 50 * _FINE
    right, bottom = paper.width - 40 * _FINE, paper.height - 60 * _FINE
    low, high = min(curve.losses), max(curve.losses)
    first, last = curve.steps[0], curve.steps[-1]

    def x(step: float) -> float:
        return left + (right - left) * (step - first) / ((last - first) or 1)

    def y(loss: float) -> float:
        return bottom - (bottom - top) * (loss - low) / ((high - low) or 1)

    for tick in range(_TICKS):
        part = tick / (_TICKS - 1)
        loss, step = low + (high - low) * part, first + (last - first) * part
        pen.line((left, y(loss), right, y(loss)), _PALE, _FINE)
        pen.text((left - 8 * _FINE, y(loss)), f"{loss:.2f}", _INK, font, "rm")
        pen.text((x(step), bottom + 8 * _FINE), f"{step:.0f}", _INK, font, "ma")
    points = [
        (x(step), y(loss)) for step, loss in zip(curve.steps, curve.losses, strict=True)
    ]
    pen.line(points, _LINE, 3 * _FINE, "curve")
    title = f"loss {curve.losses[0]:.2f} to {curve.losses[-1]:.2f} in {last} steps"
    pen.text((left, top - 14 * _FINE), title, _INK, font, "ls")
    pen.text((right, paper.height - 12 * _FINE), "step", _INK, font, "rs")
    paper.resize((width, height), Image.Resampling.LANCZOS).save(path, "PNG")
