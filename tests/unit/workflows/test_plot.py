"""Curves in a terminal and in files, whatever the names and the values are."""

import math
import struct
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sandbox_ops.cli import chart
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.text import curves
from sandbox_ops.workflows import picture, plot
from sandbox_ops.workflows.plot import PlotReport, Series

HOSTILE = "$\\frac$ _x \x1b[31mred\x1b[0m <b>&amp; \u202e漢\n\nname"


def series(number: int, label: str = "", *, smooth: float = 0) -> Series:
    points = [(float(x), 2 * math.exp(-x / (10 * number))) for x in range(100)]
    job = Job(id=f"remote-{number}", state=JobState.SUCCEEDED)
    return Series(
        run=Run(sandbox="gpu1", store="s", job=job),
        label=label or f"remote-{number} lr={number}",
        points=points,
        smooth=curves.smoothed(points, smooth) if smooth else (),
    )


def report(*each: Series, metric: str = "loss") -> PlotReport:
    return PlotReport(metric=metric, unit="step", series=each)


@pytest.mark.parametrize("count", [1, 2, 5, 30])
@pytest.mark.parametrize("log", [False, True])
def test_a_chart_has_no_line_wider_than_it_may_be_and_no_escapes(
    count: int, *, log: bool
) -> None:
    drawn = chart.chart(report(*(series(n + 1) for n in range(count))), log=log)
    lines = drawn.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in drawn
    assert [line.split()[1] for line in lines[-count:]] == [
        f"remote-{n + 1}" for n in range(count)
    ]


def test_several_runs_have_a_letter_each_where_there_are_no_colours() -> None:
    drawn = chart.chart(report(series(1), series(9)))
    body = drawn.split("└")[0]
    assert "a" in body
    assert "b" in body
    coloured = chart.chart(report(series(1), series(9)), colours=True)
    assert coloured.count("\x1b[38;5;") > 4


def test_a_name_of_a_machine_draws_nothing_of_its_own() -> None:
    drawn = chart.chart(report(series(1, HOSTILE), series(2, HOSTILE), metric=HOSTILE))
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn
    assert max(map(len, drawn.splitlines())) <= 80


@pytest.mark.parametrize(
    "points",
    [
        [(0.0, 1.0)],
        [(0.0, 1.0), (0.0, 1.0)],
        [(0.0, math.nan), (1.0, 2.0)],
        [(0.0, math.inf), (1.0, -math.inf), (2.0, 1e300)],
        [(1e12, 1e-300), (1e13, 1e300)],
    ],
)
def test_odd_values_are_drawn_or_left_out(
    points: list[tuple[float, float]], tmp_path: Path
) -> None:
    one = Series(run=series(1).run, label="remote-1", points=points)
    assert "remote-1" in chart.chart(report(one))
    picture.draw(report(one), tmp_path / "x.png", log=True)


def test_values_that_a_logarithm_does_not_take_are_named_as_none() -> None:
    one = Series(run=series(1).run, label="x", points=[(0.0, -1.0), (1.0, 0.0)])
    with pytest.raises(NotFoundError, match="no value that can be drawn"):
        chart.chart(report(one), log=True)


def test_a_png_and_an_svg_are_drawn(tmp_path: Path) -> None:
    drawn = report(series(1, HOSTILE, smooth=0.9), series(2), metric=HOSTILE)
    picture.draw(drawn, tmp_path / "x.png", log=True)
    data = (tmp_path / "x.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (960, 540)
    picture.draw(drawn, tmp_path / "x.svg")
    root = ET.fromstring((tmp_path / "x.svg").read_text("utf-8"))  # noqa: S314 - ours
    assert root.tag.endswith("svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.png", "x.svg"]


def test_many_runs_have_their_legend_beside_the_curves(tmp_path: Path) -> None:
    picture.draw(report(*(series(n + 1) for n in range(40))), tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000


def test_a_file_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png or \.svg"):
        picture.check(str(tmp_path / "x.gif"), overwrite=False)
    with pytest.raises(NotFoundError, match="there is no folder"):
        picture.check(str(tmp_path / "a/x.png"), overwrite=False)
    (tmp_path / "x.png").touch()
    with pytest.raises(RefusedError, match="is there already"):
        picture.check(str(tmp_path / "x.png"), overwrite=False)
    assert picture.check(str(tmp_path / "x.png"), overwrite=True).name == "x.png"


def test_a_group_means_the_newest_run_of_each_of_its_cells() -> None:
    def cell(number: int, at: int) -> Run:
        job = Job(id=f"remote-{number}", state=JobState.SUCCEEDED)
        record = {"group": "t1", "cell": at}
        return Run(sandbox="gpu1", store="s", job=job, record=record)

    runs = [cell(9, 2), cell(3, 3), cell(2, 2), cell(1, 1)]
    assert [run.number for run in plot.meant(runs, ["t1"])] == [1, 9, 3]
    assert [run.number for run in plot.meant(runs, ["t1/2", "remote-2"])] == [9, 2]
    with pytest.raises(UsageError, match="needs a run"):
        plot.meant(runs, [])


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1.0], ""),
        ([1.0, math.nan], ""),
        ([1.0, 2.0], "▁█"),
        ([2.0, 2.0], "▁▁"),
        ([8.0, 4.0, 2.0, 1.0], "█▄▂▁"),
        ([float(n) for n in range(80)], "▁▂▃▄▅▆▇█"),
    ],
)
def test_a_sparkline_shows_the_course_in_eight_characters(
    values: list[float], line: str
) -> None:
    assert chart.sparkline(values) == line
