from typing import Any

from mcp_adapter import answers, file_pages
from sandbox_ops.models import FileSlice


def piece(first: int, count: int, **changes: object) -> FileSlice:
    values: dict[str, Any] = {
        "path": "/w/a.log",
        "lines": tuple(f"text {n}" for n in range(first, first + count)),
        "first_line": first,
        "total_lines": 5000,
        "size_bytes": 40_000,
        "at_end": False,
    }
    return FileSlice(**(values | changes))


def test_lines_are_numbered_and_the_next_call_is_given() -> None:
    answer = file_pages.lines(piece(1, 2), from_end=False)
    assert answer.text == (
        "/w/a.log: lines 1 to 2 of 5,000 (39.1 KiB)\n"
        'next: remote_file_read(file_path="/w/a.log", offset=3)\n'
        "     1\ttext 1\n     2\ttext 2"
    )


def test_the_next_call_asks_for_as_many_lines_as_this_one() -> None:
    answer = file_pages.lines(piece(101, 20), from_end=False, limit=20)
    call = 'remote_file_read(file_path="/w/a.log", offset=121, limit=20)'
    assert f"\nnext: {call}\n" in answer.text


def test_a_path_of_any_length_breaks_no_limit() -> None:
    answer = file_pages.lines(piece(1, 2, path="/" + "x" * 40_000), from_end=False)
    assert len(answer.text) <= answers.LIMIT


def test_a_tail_is_reported_with_the_call_for_what_comes_before() -> None:
    answer = file_pages.lines(piece(4951, 50, at_end=True), from_end=True)
    assert answer.text.split("\n")[:2] == [
        "/w/a.log: lines 4951 to 5000 of 5,000 (39.1 KiB)",
        'before: remote_file_read(file_path="/w/a.log", offset=4901, limit=50)',
    ]


def test_a_tail_of_unknown_place_is_numbered_from_the_end() -> None:
    result = piece(-50, 50, at_end=True, total_lines=None)
    assert file_pages.lines(result, from_end=True).text.split("\n")[:3] == [
        "/w/a.log: lines -50 to -1, counted from the end (39.1 KiB)",
        'before: remote_file_read(file_path="/w/a.log", offset=-100, limit=50)',
        "   -50\ttext -50",
    ]


def test_lines_that_do_not_fit_are_left_to_the_next_call() -> None:
    wide = tuple("x" * 100 for _ in range(2000))
    answer = file_pages.lines(piece(1, 2000, lines=wide), from_end=False)
    assert len(answer.text) <= answers.LIMIT
    last = int(answer.text.rpartition("\n")[2].split("\t")[0])
    assert f"lines 1 to {last} of" in answer.text
    assert f"offset={last + 1})" in answer.text


def test_a_tail_that_does_not_fit_keeps_its_end() -> None:
    wide = tuple("x" * 100 for _ in range(1000))
    result = piece(4001, 1000, lines=wide, at_end=True)
    answer = file_pages.lines(result, from_end=True)
    assert len(answer.text) <= answers.LIMIT
    assert answer.text.rpartition("\n")[2].startswith("  5000\t")
    first = int(answer.text.split("\n")[2].split("\t")[0])
    assert f"lines {first} to 5000 of" in answer.text


def test_a_giant_line_is_cut_and_says_how_much_is_missing() -> None:
    result = piece(1, 1, lines=("x" * 100_000,), total_lines=1, at_end=True)
    shown = file_pages.lines(result, from_end=False).text
    assert len(shown) < 6_000
    assert shown.endswith("[sandbox-ops: 95,000 characters left out]")


def test_an_empty_file_and_a_place_past_the_end_are_reported() -> None:
    empty = piece(1, 0, total_lines=0, size_bytes=0, at_end=True)
    assert file_pages.lines(empty, from_end=False).text == "/w/a.log is empty"
    past = piece(9000, 0, at_end=True)
    assert file_pages.lines(past, from_end=False).text == (
        "/w/a.log: no line there; the file has 5,000 lines (39.1 KiB)"
    )
