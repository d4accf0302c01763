"""Whatever a machine says, to show it takes time in proportion to its length.

Compared are processor times of a text and of eight times as much: eight times as long
where time is linear, sixty-four times where it is quadratic.
"""

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcp_adapter.answers import ToolAnswer
from sandbox_ops.errors import TimedOutError, UsageError
from sandbox_ops.text import clean, formatting, marks, paging, remote_text

SMALL = 6_000  # characters
TIMES = 8
NOISE_S = 0.03
ATOMS = st.lists(
    st.sampled_from(
        [
            *"\x1b\x9b\x9d\x90\x98\x9c\x07\x08\r\n\t []();:0a\\{}\u202e\ud800\uff3b",
            *("\x1b[", "\x1b]", "\x1bP", "\x1b[0", "\x1b ", "\r\n", "[sandbox-ops:"),
        ]
    ),
    min_size=1,
    max_size=5,
).map("".join)


def stream(text: str) -> None:
    """Show it in pieces of a few bytes."""
    data = text.encode("utf-8", "surrogatepass")
    safe = remote_text.SafeStream()
    for begin in range(0, len(data), 50):
        safe.feed(data[begin : begin + 50])
    safe.finish()


SHOWING: dict[str, Callable[[str], object]] = {
    "clean": clean.clean,
    "collapse": clean.collapse,
    "unfinished": lambda text: clean.unfinished(text.encode("utf-8", "replace")),
    "a stream": stream,
    "one line": formatting.one_line,
    "marks": marks.remote,
    "an answer": ToolAnswer,
    "filtered": lambda text: paging.filtered(text.encode("utf-8", "replace"), "x$"),
}


def processor_time(action: Callable[[str], object], text: str) -> float:
    """The processor time that it takes, in seconds."""
    began = time.thread_time()
    action(text)
    return time.thread_time() - began


def is_linear(action: Callable[[str], object], text: str) -> bool:
    """Whether eight times the text takes not much more than eight times as long.

    One fair comparison of many is enough: a busy machine spoils some, and what is
    quadratic loses them all.
    """
    for _ in range(8):
        small = min(processor_time(action, text) for _ in range(3))
        large = processor_time(action, text * TIMES)
        if large < 3 * TIMES * small + NOISE_S:
            return True
    return False


@pytest.mark.parametrize("name", SHOWING)
@settings(max_examples=8)
@given(ATOMS)
@example("\x9d")
@example("\x1b]")
@example("\x9d\x1b")
@example("\r ")
def test_eight_times_the_text_takes_no_more_than_linear_time(
    name: str, atom: str
) -> None:
    text = (atom * SMALL)[:SMALL]
    assert is_linear(SHOWING[name], text)


@pytest.mark.parametrize(
    "pattern", ["a{1,1000}" * 100, r"(\pL{1,100}){1,9}", "(((a{0,99}){0,9}){0,9}){0,9}"]
)
def test_a_pattern_that_would_take_long_to_compile_is_refused_at_once(
    pattern: str,
) -> None:
    began = time.thread_time()
    with pytest.raises(UsageError, match=r"too large|bad pattern") as caught:
        clean.matching(b"a", pattern)
    assert caught.value.hint
    assert time.thread_time() - began < 2  # it was 11 s


def test_a_filter_stops_when_its_time_is_over() -> None:
    asked = []

    def in_time() -> bool:
        asked.append(1)
        return len(asked) < 3

    lines = b"no such thing\n" * 100_000
    with pytest.raises(TimedOutError, match="the filter takes too long"):
        clean.matching(lines, "loss", in_time=in_time)
    assert len(asked) == 3


@example(b"a\n" + b"y" * ((1 << 20) - 2) + b"loss\nloss\n")
@given(
    st.lists(
        st.sampled_from([b"a", b"loss", b"\n", b"x" * 40_000, b"y" * 1_048_574])
    ).map(b"".join)
)
@settings(max_examples=50)
def test_a_filter_finds_the_same_lines_however_the_text_is_cut(data: bytes) -> None:
    lines = data.split(b"\n")
    lines = lines[:-1] if data.endswith(b"\n") or not data else lines
    expected = tuple(
        (number, line.decode()) for number, line in enumerate(lines) if b"loss" in line
    )
    result = clean.matching(data, "loss")
    pieces = tuple(zip(result.numbers, result.lines, strict=True))
    assert pieces == expected
    assert result.searched == len(lines)
