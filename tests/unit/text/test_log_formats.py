"""What is read of the logs of the libraries that people train with.

The samples are real output of the real libraries wherever these can be run; see
`tests/data/logs/README.md`.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from sandbox_ops.text import progress

ROOT = Path(__file__).parents[3]
LOGS = ROOT / "tests" / "data" / "logs"
SAMPLES: dict[str, dict[str, Any]] = tomllib.loads(
    (LOGS / "samples.toml").read_text("utf-8")
)
PAGE = ROOT / "docs" / "reference" / "log-formats.md"
ELAPSED_S = 100.0


def _sentence(name: str) -> str:
    return f"of {SAMPLES[name]['library']}: {SAMPLES[name]['reads']}"


def _text(name: str) -> str:
    return (LOGS / f"{name}.log").read_bytes().decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("name", SAMPLES, ids=_sentence)
def test_read(name: str) -> None:
    expected = SAMPLES[name]
    result = progress.read(_text(name), ELAPSED_S)
    for field in ("step", "total", "epoch"):
        assert getattr(result, field) == expected.get(field), field
    assert result.unit == expected.get("unit", "")
    for field in ("rate_per_s", "eta_s"):
        value = expected.get(field)
        assert getattr(result, field) == (
            value if value is None else pytest.approx(value, rel=1e-5)
        )
    metrics = expected.get("metrics", [])
    assert list(result.metrics) == [name for name, _ in metrics]
    assert list(result.metrics.values()) == pytest.approx(
        [value for _, value in metrics], nan_ok=True
    )
    assert list(result.warnings) == expected.get("warnings", [])


@pytest.mark.parametrize("name", SAMPLES, ids=_sentence)
def test_the_end_of_a_log_says_what_all_of_it_says(name: str) -> None:
    """Monitor reads the last 8 KiB: cut anywhere, they lead to no other position."""
    text, whole = _text(name), progress.read(_text(name), ELAPSED_S)
    for size in (4096, 3000, 2500):
        if len(text) <= size:
            continue
        end = progress.read(text[-size:], ELAPSED_S, progress.Source(head=text[:2048]))
        assert (end.step, end.total, end.epoch) == (
            whole.step,
            whole.total,
            whole.epoch,
        )
        assert end.metrics.items() <= whole.metrics.items()


def test_every_sample_is_stated() -> None:
    assert {path.stem for path in LOGS.glob("*.log")} == set(SAMPLES)


def test_every_real_sample_has_its_program() -> None:
    for name, sample in SAMPLES.items():
        is_real = sample["origin"].startswith("real output of")
        assert (LOGS / "programs" / f"{name}.py").exists() == is_real, name


def table() -> str:
    """The table of the page, as the samples say it."""
    rows = [
        "| log of | what is read | counted in | first metrics | sample |",
        "|---|---|---|---|---|",
    ]
    for sample in SAMPLES.values():
        of = " of a total" if "total" in sample else ""
        unit = f"{sample['unit']}s{of}" if "unit" in sample else "-"
        shown = (
            ", ".join(f"`{metric}`" for metric, _ in sample.get("metrics", [])[:4])
            or "-"
        )
        origin = (
            "real" if sample["origin"].startswith("real") else "made up in its format"
        )
        origin = "written by hand" if sample["origin"] == "written by hand" else origin
        rows.append(
            f"| {sample['library']} | {sample['reads']} | {unit} | {shown} | {origin} |"
        )
    return "\n".join(rows)


def test_the_page_of_log_formats_shows_what_is_read() -> None:
    assert table() in PAGE.read_text("utf-8"), f"put this table there:\n{table()}"
