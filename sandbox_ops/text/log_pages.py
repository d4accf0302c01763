"""Pages of a log as an agent reads them: how much fits, and the line that says what it is.

What is cut, and which bytes a page stands for, `text.paging` decides. Pure.
"""

import dataclasses
from dataclasses import dataclass

from sandbox_ops.models import JobOutput
from sandbox_ops.text import formatting, marks, paging
from sandbox_ops.text.paging import Found, InTime

TAIL_LIMIT = 3_000
"""How many characters of the end of a log are shown when nothing is asked for."""

LIMIT = 28_000
"""How many characters a page has at most."""

TAIL_BYTES = 1 << 16
PAGE_BYTES = 100_000

_LINE_LIMIT = 2_000
_ANOTHER_LOG = "the log is not the one the cursor knew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a log as text.

    Attributes:
        summary: Which part of the log it is, or what of it was searched.
        next_offset: Where the next page begins, in bytes.
    """

    text: str
    summary: str
    next_offset: int


def tail(piece: JobOutput, lines: int | None = None) -> Page:
    """Return the end of a log, from a piece that reaches to it.

    Args:
        piece: The end of the log, or more.
        lines: How many of the last lines, as far as they fit; None: what is short.
    """
    page = paging.tail(piece, limit=LIMIT if lines else TAIL_LIMIT, show=marks.remote)
    if lines:
        page = _last_lines(page, lines)
    ended = piece.job.state.ended
    nothing = "no output" if ended else "no output yet"
    summary = _tail_summary(page) if page.n_bytes else nothing
    return _laid_out(page, summary)


def _last_lines(page: paging.Page, lines: int) -> paging.Page:
    kept = page.text.removesuffix("\n").split("\n")[-lines:]
    text = "\n".join(kept)
    cut_bytes = len(page.text.encode()) - len(text.encode())
    if cut_bytes <= 1:  # but for the last line's end
        return page
    return dataclasses.replace(page, text=text, offset=page.offset + cut_bytes)


def following(piece: JobOutput) -> Page:
    """Return what comes next in a log, as much as fits."""
    page = paging.following(piece, limit=LIMIT, show=marks.remote)
    if page.restarted and page.offset:
        summary = f"part was dropped, it was too much; {_tail_summary(page)}"
    elif page.restarted:
        summary = f"{_ANOTHER_LOG}; from its beginning"
    elif page.n_bytes:
        summary = f"{formatting.size(page.n_bytes)} of new output"
    else:
        summary = "nothing new"
    return _laid_out(page, summary)


def matching(
    piece: JobOutput,
    pattern: str,
    *,
    forward: bool,
    lines: int | None = None,
    in_time: InTime | None = None,
) -> Page:
    """Return the lines of a piece that match.

    Args:
        piece: What is searched.
        pattern: RE2's, valid.
        forward: Whether the first matches are wanted where not all fit, and the next
            page goes on behind them; else the last.
        lines: At most so many.
        in_time: Whether there is still time.
    """
    page = paging.matching(
        piece,
        pattern,
        limit=LIMIT,
        most=lines,
        forward=forward,
        show=_line,
        in_time=in_time or (lambda: True),
    )
    assert page.found is not None  # noqa: S101 - a filter finds, if only nothing
    if forward and page.restarted and not page.offset:
        where = f"its beginning: {_ANOTHER_LOG}"
    elif forward:
        where = f"the {formatting.size(page.n_bytes)} after the cursor"
    else:
        where = _tail_summary(page)
    redrawn = "; the last line is being redrawn" if page.redrawn else ""
    matches = _found_summary(page.found, forward=forward)
    return _laid_out(page, f"{matches} in {where}{redrawn}")


def _line(data: bytes | str) -> str:
    return marks.cut(marks.remote(data), _LINE_LIMIT)


def _laid_out(page: paging.Page, summary: str) -> Page:
    if page.more:
        left = formatting.size(page.size_bytes - page.next_offset)
        summary += f"; {left} more is there: go on from the cursor"
    return Page(text=page.text, summary=summary, next_offset=page.next_offset)


def _tail_summary(page: paging.Page) -> str:
    if not page.offset:
        return f"all {formatting.size(page.size_bytes)} of output"
    last = formatting.size(page.size_bytes - page.offset)
    return f"the last {last} of {formatting.size(page.size_bytes)} of output"


def _found_summary(counts: Found, *, forward: bool) -> str:
    summary = f"{counts.matched:,} of {counts.searched:,} lines match"
    if counts.shown == counts.matched:
        return summary
    return (
        f"{summary}, the {'first' if forward else 'last'} {counts.shown:,} are shown,"
    )
