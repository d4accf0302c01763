"""The loss curve: text and picture from a table."""

from pathlib import Path

import pytest
from PIL import Image

from sandbox_ops.demo import curve
from sandbox_ops.errors import NotFoundError, ProtocolError

FALLING = curve.Curve(
    steps=tuple(range(1, 101)),
    losses=tuple(3.3 * 0.98**step + 1 for step in range(100)),
)


def test_a_table_is_read(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    table.write_text("step,loss,lr\n1,3.25,0.1\n10,2.5,0.05\n", "utf-8")
    assert curve.read(table) == curve.Curve(steps=(1, 10), losses=(3.25, 2.5))


@pytest.mark.parametrize("text", ["", "step,loss\n", "a,b\n1,2\n", "step,loss\n1\n"])
def test_what_is_no_curve_is_refused(tmp_path: Path, text: str) -> None:
    table = tmp_path / "metrics.csv"
    table.write_text(text, "utf-8")
    with pytest.raises(ProtocolError, match=r"metrics\.csv"):
        curve.read(table)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no .*nothing"):
        curve.read(tmp_path / "nothing.csv")


def test_the_chart_falls_from_left_to_right() -> None:
    lines = curve.chart(FALLING, width=60, height=12).splitlines()
    drawn = [
        (min(places), number)
        for number, line in enumerate(lines)
        if (places := [at for at, char in enumerate(line) if "⠁" <= char <= "⣿"])
    ]
    assert len(drawn) > 6
    assert drawn == sorted(drawn)
    assert max(map(len, lines)) <= 60


def test_the_chart_is_plain_text() -> None:
    assert "\x1b" not in curve.chart(FALLING)


def test_the_picture_shows_the_line(tmp_path: Path) -> None:
    curve.picture(FALLING, tmp_path / "loss.png", width=480, height=270)
    with Image.open(tmp_path / "loss.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (480, 270))
        colours = {colour for _, colour in picture.getcolors(1 << 20) or ()}
    assert (9, 105, 218) in colours


@pytest.mark.parametrize("losses", [(2.0,), (2.0, 2.0)])
def test_a_single_point_and_a_flat_line_can_be_drawn(
    tmp_path: Path, losses: tuple[float, ...]
) -> None:
    flat = curve.Curve(steps=tuple(range(len(losses))), losses=losses)
    curve.picture(flat, tmp_path / "flat.png")
    assert "loss" in curve.chart(flat)
