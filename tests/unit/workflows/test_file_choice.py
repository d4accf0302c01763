"""Which files are wanted, and how fast they come: pure decisions."""

from pathlib import Path

import pytest

from sandbox_ops.errors import UsageError
from sandbox_ops.machine.upload_batches import LocalFile, batches
from sandbox_ops.models.transfers import TransferProgress
from sandbox_ops.workflows import file_choice
from sandbox_ops.workflows.file_choice import FileChoice
from sandbox_ops.workflows.transfer_progress import Meter


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/b.pt", "*.pt", True),
        ("a/b.pt", "a", True),
        ("a/b.pt", "a/", True),
        ("a/b.pt", "b", False),
        ("x/a/b.pt", "a/*.pt", False),
        ("a/b.pt", "a/*.pt", True),
        ("a/b/c", "a/b", True),
        ("a/b.pt", "/a", True),
        ("x/a", "/a", False),
    ],
)
def test_a_pattern_names_what_a_shell_and_gitignore_would(
    path: str, pattern: str, expected: bool
) -> None:
    assert file_choice.matches(path, pattern) is expected


def test_exclude_beats_include_and_the_reason_is_said() -> None:
    choice = FileChoice(include=("*.pt",), exclude=("old",), max_size_bytes=10)
    assert choice.reason_against("a.pt", 10) == ""
    assert choice.reason_against("a.txt", 1) == "not included"
    assert choice.reason_against("old/a.pt", 1) == "excluded by old"
    assert choice.reason_against("a.pt", 11) == "larger than --max-size"


def test_sizes_are_read_in_powers_of_1024() -> None:
    texts = ("", "1", "500k", "8M", "1.5GB", "2 GiB")
    sizes = [file_choice.size_bytes(text, "--max-size") for text in texts]
    assert sizes == [None, 1, 512000, 8 << 20, 3 << 29, 2 << 30]
    for text in ("0", "x", "-1M", "8X", "M"):
        with pytest.raises(UsageError, match="--max-size takes a size"):
            file_choice.size_bytes(text, "--max-size")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    reports: list[TransferProgress] = []
    meter = Meter(10_000, reports.append, clock=lambda: now[0])
    report = meter.file("a")
    assert report is not None
    for second in range(20):
        now[0] = float(second)
        report(100 * second if second < 10 else 1000 + 200 * (second - 10), 5000)
    assert reports[0].eta_s is None
    assert reports[-1].rate_bytes_s == pytest.approx(200, rel=0.1)
    assert reports[-1].eta_s == pytest.approx((10_000 - 2800) / 200, rel=0.1)


def test_batches_are_bounded_in_files_and_bytes() -> None:
    sizes = [1] * 1200 + [9 << 20] * 3
    files = [
        LocalFile(path=f"{n:05}", place=Path("x"), size_bytes=size)
        for n, size in enumerate(sizes)
    ]
    groups = list(batches(files))
    assert [file for group in groups for file in group] == files
    assert max(map(len, groups)) == 500
    assert max(sum(f.size_bytes for f in group) for group in groups) <= 16 << 20
