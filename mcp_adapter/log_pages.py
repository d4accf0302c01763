"""What of a job's log fits into an answer, and where the next answer goes on.

Pure. A page knows which bytes of the log it stands for, so that the pages of a log, put
together, are the log: nothing twice, nothing lost. What is not whole yet (half a
character, an open terminal sequence, for a filter half a line) waits for the next page.
"""

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_adapter import marks
from sandbox_ops.models import JobOutput
from sandbox_ops.text import clean, formatting

TAIL_LIMIT = 10_000
"""How many characters of the end of a log are shown when nothing is asked for."""

LIMIT = 28_000
"""How many characters a page has at most."""

TAIL_BYTES = 1 << 16
PAGE_BYTES = 100_000
FILTER_BYTES = 8 << 20

_LINE_LIMIT = 2_000
_LONG_LINE = 1 << 16
_OPEN_SEQUENCE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]{0,500}|[ -/]*)\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a log as text.

    Attributes:
        words: Which part of the log it is, or what of it was searched.
        next_offset: Where the next page begins, in bytes.
    """

    text: str
    words: str
    next_offset: int


def tail(piece: JobOutput) -> Page:
    """Return the end of a log, from a piece that reaches to it."""
    skipped = _line_start(piece)
    data = piece.data[skipped : len(piece.data) - _unfinished(piece)]
    whole = marks.remote(data)
    shown = clean.tail(whole, TAIL_LIMIT)
    cut = len(whole) - len(shown)
    if cut and whole[cut - 1] != "\n":  # in the midst of a long line
        begin = piece.offset + skipped + max(0, len(data) - len(shown.encode()))
    else:
        begin = piece.offset + skipped + _after_lines(data, whole.count("\n", 0, cut))
    return Page(
        text=shown,
        words=_tail_words(begin, piece.size_bytes) if data else _none_words(piece),
        next_offset=piece.offset + skipped + len(data),
    )


def _none_words(piece: JobOutput) -> str:
    return "no output" if piece.job.state.ended else "no output yet"


def _tail_words(begin: int, size_bytes: int) -> str:
    if not begin:
        return f"all {formatting.size(size_bytes)} of output"
    last = formatting.size(size_bytes - begin)
    return f"the last {last} of {formatting.size(size_bytes)} of output"


def following(piece: JobOutput) -> Page:
    """Return what comes next in a log, as much as fits."""
    whole = piece.data[: len(piece.data) - _unfinished(piece)]
    data = whole[: _fitting(whole)]
    end = piece.offset + len(data)
    if piece.restarted:
        words = "the log is not the one the cursor knew; from its beginning"
    elif data:
        words = f"{formatting.size(len(data))} of new output"
    else:
        words = "nothing new"
    words += _more(piece, end, cut=len(data) < len(whole))
    return Page(text=marks.remote(data), words=words, next_offset=end)


def matching(piece: JobOutput, pattern: str, *, forward: bool) -> Page:
    """Return the lines of a piece that match.

    Args:
        piece: What is searched.
        pattern: RE2's; was found to be one already.
        forward: Whether the first matches are wanted where not all fit, and the next
            page goes on behind them; else the last.
    """
    skipped = 0 if forward else _line_start(piece)
    data = piece.data[skipped : len(piece.data) - _unfinished_line(piece)]
    found = clean.matching(clean.collapse(clean.clean(data)).encode(), pattern)
    shown = _that_fit(found.lines, forward=forward)
    cut = forward and len(shown) < len(found.lines)
    if cut:
        data = data[: _after_lines(data, found.numbers[len(shown) - 1] + 1)]
    end = piece.offset + skipped + len(data)
    where = (
        f"the {formatting.size(len(data))} after the cursor"
        if forward
        else _tail_words(piece.offset + skipped, piece.size_bytes)
    )
    words = f"{_found_words(found, len(shown), forward=forward)} in {where}"
    return Page(
        text="\n".join(shown), words=words + _more(piece, end, cut=cut), next_offset=end
    )


def _that_fit(lines: Sequence[str], *, forward: bool) -> list[str]:
    ordered = lines if forward else reversed(lines)
    shown = (marks.cut(marks.remote(line), _LINE_LIMIT) for line in ordered)
    fitting = marks.that_fit(shown, LIMIT)
    return fitting if forward else fitting[::-1]


def _found_words(found: clean.Matches, shown: int, *, forward: bool) -> str:
    words = f"{len(found.lines):,} of {found.searched:,} lines match"
    if shown == len(found.lines):
        return words
    return f"{words}, the {'first' if forward else 'last'} {shown:,} are shown,"


def _more(piece: JobOutput, end: int, *, cut: bool) -> str:
    """Say how much the log has after a page; what has to wait does not count."""
    if not cut and _reaches_end(piece):
        return ""
    return f"; {formatting.size(piece.size_bytes - end)} more is there: go on from the cursor"


def _reaches_end(piece: JobOutput) -> bool:
    return piece.next_offset >= piece.size_bytes


def _unfinished(piece: JobOutput) -> int:
    """Return how many of the last bytes are not a whole character or sequence yet."""
    if piece.job.state.ended and _reaches_end(piece):
        return 0
    return _open_end(piece.data)


def _open_end(data: bytes) -> int:
    if open_sequence := _OPEN_SEQUENCE.search(data, max(0, len(data) - 600)):
        return len(data) - open_sequence.start()
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:  # noqa: PLR2004 - the first byte of a character of UTF-8
            length = 2 + (byte >= 0xE0) + (byte >= 0xF0)  # noqa: PLR2004
            return back if back < length else 0
        if byte < 0x80:  # noqa: PLR2004 - a character of its own
            break
    return 0


def _unfinished_line(piece: JobOutput) -> int:
    """Return how many of the last bytes are not a whole line yet."""
    if piece.job.state.ended and _reaches_end(piece):
        return 0
    begun = len(piece.data) - (piece.data.rfind(b"\n") + 1)
    return begun if begun < _LONG_LINE else _unfinished(piece)


def _line_start(piece: JobOutput) -> int:
    """Return where in a piece the first whole line begins; 0 if there is none."""
    start = piece.data.find(b"\n") + 1 if piece.offset else 0
    return start if start < len(piece.data) else 0


def _after_lines(data: bytes, lines: int) -> int:
    position = 0
    for _ in range(lines):
        position = data.index(b"\n", position) + 1
    return position


def _fitting(data: bytes) -> int:
    """Return how many of the bytes fit on a page, whole lines if one fits."""
    whole = marks.remote(data)
    if len(whole) <= LIMIT:
        return len(data)
    if cut := whole.rfind("\n", 0, LIMIT) + 1:
        return _after_lines(data, whole.count("\n", 0, cut))
    size = bisect.bisect_right(
        range(len(data)), LIMIT, key=lambda n: len(marks.remote(data[:n]))
    )
    size = max(1, size - 1)
    return max(1, size - _open_end(data[:size]))
