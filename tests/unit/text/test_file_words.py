from typing import Any

from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from sandbox_ops.models import FileSlice
from sandbox_ops.text import file_words
from sandbox_ops.text.command_words import LIMIT


def lines(part: FileSlice, *, from_end: bool, limit: int | None = None) -> str:
    return file_words.lines(part, from_end=from_end, steps=Calls(), limit=limit)


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
    answer = lines(piece(1, 2), from_end=False)
    assert answer == (
        "/w/a.log: lines 1 to 2 of 5,000 (39.1 KiB)\n"
        'next: remote_file_read(file_path="/w/a.log", offset=3)\n'
        "     1\ttext 1\n     2\ttext 2"
    )


def test_the_next_call_asks_for_as_many_lines_as_this_one() -> None:
    answer = lines(piece(101, 20), from_end=False, limit=20)
    call = 'remote_file_read(file_path="/w/a.log", offset=121, limit=20)'
    assert f"\nnext: {call}\n" in answer


def test_a_path_of_any_length_breaks_no_limit() -> None:
    answer = lines(piece(1, 2, path="/" + "x" * 40_000), from_end=False)
    assert len(ToolAnswer(answer).text) <= LIMIT


def test_a_tail_is_shown_with_the_call_for_what_comes_before() -> None:
    answer = lines(piece(4951, 50, at_end=True), from_end=True)
    assert answer.split("\n")[:2] == [
        "/w/a.log: lines 4951 to 5000 of 5,000 (39.1 KiB)",
        'before: remote_file_read(file_path="/w/a.log", offset=4901, limit=50)',
    ]


def test_a_tail_of_unknown_place_is_numbered_from_the_end() -> None:
    part = piece(-50, 50, at_end=True, total_lines=None)
    assert lines(part, from_end=True).split("\n")[:3] == [
        "/w/a.log: lines -50 to -1, counted from the end (39.1 KiB)",
        'before: remote_file_read(file_path="/w/a.log", offset=-100, limit=50)',
        "   -50\ttext -50",
    ]


def test_lines_that_do_not_fit_are_left_to_the_next_call() -> None:
    wide = tuple("x" * 100 for _ in range(2000))
    answer = lines(piece(1, 2000, lines=wide), from_end=False)
    assert len(answer) <= LIMIT
    last = int(answer.rpartition("\n")[2].split("\t")[0])
    assert f"lines 1 to {last} of" in answer
    assert f"offset={last + 1})" in answer


def test_a_tail_that_does_not_fit_keeps_its_end() -> None:
    wide = tuple("x" * 100 for _ in range(1000))
    part = piece(4001, 1000, lines=wide, at_end=True)
    answer = lines(part, from_end=True)
    assert len(answer) <= LIMIT
    assert answer.rpartition("\n")[2].startswith("  5000\t")
    first = int(answer.split("\n")[2].split("\t")[0])
    assert f"lines {first} to 5000 of" in answer


def test_a_giant_line_is_cut_and_says_how_much_is_missing() -> None:
    part = piece(1, 1, lines=("x" * 100_000,), total_lines=1, at_end=True)
    shown = lines(part, from_end=False)
    assert len(shown) < 6_000
    assert shown.endswith("[sandbox-ops: 95,000 characters left out]")


def test_an_empty_file_and_a_place_past_the_end_are_reported() -> None:
    empty = piece(1, 0, total_lines=0, size_bytes=0, at_end=True)
    assert lines(empty, from_end=False) == "/w/a.log is empty"
    past = piece(9000, 0, at_end=True)
    assert lines(past, from_end=False) == (
        "/w/a.log: no line there; the file has 5,000 lines (39.1 KiB)"
    )
