import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import UsageError
from sandbox_ops.text import clean

ESCAPES = st.sampled_from(
    ["\x1b[31m", "\x1b]0;t\x07", "\x1b", "\r", "\n", "\x9b", "\x00", "a", "\u202e"]
)
ANY = st.one_of(st.text(), st.lists(ESCAPES).map("".join))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain \xc3\xa9\ttext\n", "plain é\ttext\n"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bP+q\x1b\\text", "text"),
        (b"\x1b(Btext\x1b7", "text"),
        (b"ding\x07 \x08dong", "ding dong"),
        (b"a\x00b\x7f", "a\\x00b\\x7f"),
        (b"bad \xff byte", "bad \\xff byte"),
        ("\u202eabc\u200b", "\\u202eabc\\u200b"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("\ud800", "\\ud800"),
        ("line\u2028break\x85", "line\\u2028break\\x85"),
        ("\x9b31mred", "red"),
        ("\x1b", "\\x1b"),
        ("progress\r\n", "progress\r\n"),
    ],
)
def test_what_a_terminal_would_obey_is_dropped_or_shown(
    raw: bytes | str, shown: str
) -> None:
    assert clean.clean(raw) == shown


def test_an_open_terminal_string_hides_nothing_that_follows() -> None:
    cleaned = clean.clean("\x1b]0;never closed\nsecond line")
    assert "never closed" in cleaned
    assert "second line" in cleaned


@given(ANY)
def test_cleaning_leaves_nothing_hidden_and_every_line_where_it_was(raw: str) -> None:
    cleaned = clean.clean(raw)
    assert cleaned.count("\n") == raw.count("\n")
    assert clean.clean(cleaned) == cleaned
    assert all(c in "\n\r\t" or c >= " " for c in cleaned)
    cleaned.encode("utf-8")


@given(st.binary())
def test_any_bytes_can_be_cleaned(raw: bytes) -> None:
    assert clean.clean(raw).count("\n") == raw.count(b"\n")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("no bar\n", "no bar\n"),
        ("  1%\r 50%\r100%\ndone\n", "100%\ndone\n"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
        ("100%\r      \r", "100%"),
        ("\r", ""),
        ("a\r\rb", "b"),
    ],
)
def test_a_progress_bar_is_kept_in_its_last_state(raw: str, shown: str) -> None:
    assert clean.collapse(raw) == shown


@given(ANY)
def test_collapsing_keeps_the_number_of_lines(raw: str) -> None:
    collapsed = clean.collapse(raw)
    assert collapsed.count("\n") == raw.count("\n")
    assert "\r" not in collapsed


def test_a_short_text_is_not_cut() -> None:
    assert clean.head_tail("abc", 3) == ("abc", 0, "")


def test_a_long_text_is_cut_at_lines() -> None:
    whole = "".join(f"line {n}\n" for n in range(1000))
    head, omitted, tail = clean.head_tail(whole, 200)
    assert head.endswith("\n")
    assert tail.startswith("line ")
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + omitted + len(tail) == len(whole)


@given(ANY, st.integers(0, 40))
def test_head_and_tail_never_exceed_the_limit(whole: str, limit: int) -> None:
    head, omitted, tail = clean.head_tail(whole, limit)
    assert len(head) + len(tail) <= max(limit, 0) or not omitted
    assert len(head) + omitted + len(tail) == len(whole)
    assert whole.startswith(head)
    assert whole.endswith(tail)


def test_matching_lines_are_found_with_their_numbers() -> None:
    data = b"step 1 loss 2.0\nnothing\nstep 2 loss 1.5\nend"
    result = clean.matching(data, r"loss \d")
    assert result.lines == ("step 1 loss 2.0", "step 2 loss 1.5")
    assert result.numbers == (0, 2)
    assert result.searched == 4


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("^b", ("b",)),
        ("a$", ("a",)),
        ("^$", ("",)),
        ("(?i)B|zz", ("b",)),
        (r"a\nb", ()),
        (r"[^x]+", ("a", "b", "é\\xff")),
        ("é", ("é\\xff",)),
    ],
)
def test_a_pattern_sees_one_line_at_a_time(
    pattern: str, lines: tuple[str, ...]
) -> None:
    assert clean.matching(b"a\n\nb\n\xc3\xa9\xff\n", pattern).lines == lines


@given(st.lists(st.sampled_from(["a", "b", "ab", ""])), st.sampled_from(["a", "^b$"]))
def test_matching_agrees_with_looking_at_each_line(
    lines: list[str], pattern: str
) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    wanted = [
        (number, line)
        for number, line in enumerate(lines)
        if (pattern == "a" and "a" in line) or (pattern == "^b$" and line == "b")
    ]
    result = clean.matching(data, pattern)
    assert list(zip(result.numbers, result.lines, strict=True)) == wanted
    assert result.searched == len(lines)


@pytest.mark.parametrize(
    ("pattern", "where"),
    [
        ("loss(", "bad pattern at position 4: missing ) in loss("),
        ("a**", "bad pattern at position 2: bad repetition operator in a**"),
        ("x(?=y)", "bad pattern at position 1: invalid perl operator in x(?=y)"),
        (r"(a)\1", r"bad pattern at position 3: invalid escape sequence in (a)\1"),
        ("ab[c", "bad pattern at position 2: missing ] in ab[c"),
    ],
)
def test_a_bad_pattern_is_reported_with_its_position(pattern: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        clean.matching(b"", pattern)
    assert caught.value.message == where


def test_a_very_long_pattern_is_refused() -> None:
    with pytest.raises(UsageError, match="longer than 1000 bytes"):
        clean.matching(b"", "a" * 1001)


@given(st.text(max_size=30))
def test_any_pattern_is_used_or_refused(pattern: str) -> None:
    with contextlib.suppress(UsageError):
        assert clean.matching(b"some\nlines\n", pattern).searched == 2


def test_a_pattern_of_nested_repeats_takes_linear_time() -> None:
    began = time.perf_counter()
    clean.matching(b"x" * (1 << 20), "(x+x+)+y")
    assert time.perf_counter() - began < 5
