"""What of a log fits on a page, and which bytes of the log the page stands for.

Pure, and the only pager: `logs`, `remote_bash_output`, followers and `monitor` all lay
out what this module cuts. The pages of a log, put together, are the log: nothing twice,
nothing lost. What is not whole yet (half a character, an open terminal sequence, for a
filter half a line) waits for the next page. A line that a program redraws (a progress
bar) is shown as it is now, and comes again once it has changed. (Over 250 lines, as every cut
here has to agree with every other on what waits.)
"""

import bisect
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox_ops.models import JobOutput
from sandbox_ops.text import clean, remote_text

Show = Callable[[bytes | str], str]
"""How bytes of a log become text, with as many lines; a face may add marks of its own."""

InTime = Callable[[], bool]
"""Whether there is still time: asked now and then, as nothing here has a clock."""

_LONG_LINE = 1 << 16


def shown(data: bytes | str) -> str:
    """Return what a log says as text: safe, with progress bars in their last state."""
    return clean.collapse(remote_text.safe(data))


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a log, which a caller may keep for any time.

    Attributes:
        offset: In bytes.
        inode: Of the log.
        known_bytes: So many bytes right before it are known.
        digest: Their CRC-32.
    """

    offset: int
    inode: int
    known_bytes: int = 0
    digest: int = 0

    @classmethod
    def after(cls, known: bytes, offset: int, inode: int) -> "Place":
        """Return the place right after these bytes."""
        return cls(
            offset=offset,
            inode=inode,
            known_bytes=len(known),
            digest=zlib.crc32(known),
        )

    def follows(self, known: bytes) -> bool:
        """Whether these bytes are those that were right before it."""
        return len(known) == self.known_bytes and zlib.crc32(known) == self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a filter found: so many lines matched of those searched, and are shown."""

    matched: int
    shown: int
    searched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a log as text.

    Attributes:
        offset: Where in the log the bytes begin that it stands for.
        next_offset: Where the next page begins.
        size_bytes: How long the log was.
        more: Whether the log goes on; what has to wait does not count.
        restarted: The log is not the one that the reader knew: this is its beginning.
        found: What a filter found.
        redrawn: The last line is still being redrawn, and was searched as it is now.
    """

    text: str
    offset: int
    next_offset: int
    size_bytes: int
    more: bool = False
    restarted: bool = False
    found: Found | None = None
    redrawn: bool = False

    @property
    def n_bytes(self) -> int:
        """How many bytes of the log it stands for."""
        return self.next_offset - self.offset


def tail(piece: JobOutput, *, limit: int, show: Show = shown) -> Page:
    """Return the end of a log, from a piece that reaches to it."""
    skipped = _line_start(piece)
    data = piece.data[skipped : len(piece.data) - _unfinished(piece)]
    whole = show(data)
    text = clean.tail(whole, limit)
    cut = len(whole) - len(text)
    if cut and whole[cut - 1] != "\n":  # in the midst of a long line
        before = max(0, len(data) - len(text.encode()))
    else:
        before = _after_lines(data, whole.count("\n", 0, cut))
    return Page(
        text=text,
        offset=piece.offset + skipped + before,
        next_offset=piece.offset + skipped + len(data),
        size_bytes=piece.size_bytes,
    )


def following(piece: JobOutput, *, limit: int, show: Show = shown) -> Page:
    """Return what comes next in a log, as much as fits."""
    whole = piece.data[: len(piece.data) - _unfinished(piece)]
    data = whole[: _fitting(whole, limit, show)]
    return Page(
        text=show(data),
        offset=piece.offset,
        next_offset=piece.offset + len(data),
        size_bytes=piece.size_bytes,
        more=len(data) < len(whole) or not _reaches_end(piece),
        restarted=piece.restarted,
    )


def matching(
    piece: JobOutput,
    pattern: str,
    *,
    limit: int,
    forward: bool,
    most: int | None = None,
    show: Show = shown,
    in_time: InTime = _always,
) -> Page:
    """Return the lines of a piece that match.

    Args:
        piece: What is searched.
        pattern: RE2's.
        limit: How many characters there may be.
        forward: Whether the first matches are wanted where not all fit, and the next
            page goes on behind them; else the last.
        most: How many lines there may be; None: as many as fit.
        show: How a line becomes text.
        in_time: Whether there is still time.

    Raises:
        UsageError: The pattern is bad; says where.
        TimedOutError: There was not time enough.
    """
    skipped = 0 if forward else _line_start(piece)
    begun = _unfinished_line(piece)
    whole_lines = piece.data[skipped : len(piece.data) - begun]
    redrawn = _redrawn(piece.data[len(piece.data) - begun :])
    searched = clean.collapse(remote_text.safe(whole_lines + redrawn.state))
    matches = clean.matching(searched.encode(), pattern, in_time=in_time)
    wanted = matches.lines
    if most is not None:
        wanted = wanted[:most] if forward else wanted[-most:]
    lines = _that_fit(wanted, limit, show, forward=forward)
    cut = forward and len(lines) < len(matches.lines)
    if cut:
        stands_for = _after_lines(whole_lines, matches.numbers[len(lines) - 1] + 1)
    else:
        stands_for = len(whole_lines) + redrawn.passed_bytes
    end = piece.offset + skipped + stands_for
    return Page(
        text="\n".join(lines),
        offset=piece.offset + skipped,
        next_offset=end,
        size_bytes=piece.size_bytes,
        more=cut or not _reaches_end(piece),
        restarted=piece.restarted,
        found=Found(
            matched=len(matches.lines), shown=len(lines), searched=matches.searched
        ),
        redrawn=bool(redrawn.state) and not cut,
    )


@dataclass(frozen=True, slots=True)
class _Redrawn:
    """A last line without its end: what it shows now, and the bytes that are over."""

    state: bytes = b""
    passed_bytes: int = 0


def _redrawn(line: bytes) -> _Redrawn:
    """Look at a line that has not ended: one that was redrawn has a state already.

    Its last part may be read again: it may not be whole, and may become the line's end.
    """
    last = line.rstrip(b"\r").rfind(b"\r")
    if b"\r" not in line:
        return _Redrawn()
    return _Redrawn(line[: len(line) - clean.unfinished(line)], last + 1)


def _that_fit(
    lines: Sequence[str], limit: int, show: Show, *, forward: bool
) -> list[str]:
    fitting: list[str] = []
    room = limit
    for line in lines if forward else reversed(lines):
        text = show(line)
        room -= len(text) + 1
        if room < 0:
            break
        fitting.append(text)
    return fitting if forward else fitting[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLines:
    """The last lines of a log.

    Attributes:
        lines: Whole lines, ready to show.
        open_line: The bytes of a last line that has not ended; b"" if there is none.
        offset: Where the first of the lines begins.
        next_offset: Where the log goes on.
        complete: Whether no line is before these.
    """

    lines: tuple[str, ...]
    open_line: bytes
    offset: int
    next_offset: int
    complete: bool


def last_lines(
    piece: JobOutput, count: int, *, pattern: str = "", in_time: InTime = _always
) -> LastLines:
    """Return the last `count` lines (0: all) of a piece that reaches to a log's end.

    Raises:
        UsageError: The pattern is bad; says where.
        TimedOutError: There was not time enough.
    """
    skipped = _line_start(piece)
    end = piece.data.rfind(b"\n") + 1
    data, open_line = piece.data[skipped:end], piece.data[max(skipped, end) :]
    lines = filtered(data, pattern, in_time=in_time)
    kept = lines[-count:] if count else lines
    before = 0 if pattern else _after_lines(data, len(lines) - len(kept))
    return LastLines(
        lines=kept,
        open_line=open_line,
        offset=piece.offset + skipped + before,
        next_offset=piece.next_offset,
        complete=len(kept) == len(lines) and not piece.offset,
    )


def filtered(
    data: bytes, pattern: str, *, in_time: InTime = _always
) -> tuple[str, ...]:
    """Return the lines of some bytes, ready to show: those that match, if one is given.

    Raises:
        UsageError: The pattern is bad; says where.
        TimedOutError: There was not time enough.
    """
    text = shown(data)
    if pattern:
        return clean.matching(text.encode(), pattern, in_time=in_time).lines
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def last_written(data: bytes, count: int) -> tuple[str, ...]:
    """Return the last lines of some bytes that are not blank, ready to show.

    The line that is being written is one of them, a progress bar in its last state.
    """
    kept: list[str] = []
    whole = shown(data[: len(data) - remote_text.held_bytes(data)])
    for line in reversed(whole.split("\n")):
        if len(kept) == count:
            break
        if line.strip():
            kept.append(line)
    return tuple(reversed(kept))


def _reaches_end(piece: JobOutput) -> bool:
    return piece.next_offset >= piece.size_bytes


def _unfinished(piece: JobOutput) -> int:
    """Return how many of the last bytes are no whole character, sequence or secret yet."""
    if piece.job.state.ended and _reaches_end(piece):
        return 0
    return remote_text.held_bytes(piece.data)


def _unfinished_line(piece: JobOutput) -> int:
    """Return how many of the last bytes are not a whole line yet."""
    if piece.job.state.ended and _reaches_end(piece):
        return 0
    begun = len(piece.data) - (piece.data.rfind(b"\n") + 1)
    if begun < _LONG_LINE or b"\r" in piece.data[-begun:]:
        return begun
    return _unfinished(piece)


def _line_start(piece: JobOutput) -> int:
    """Return where in a piece the first whole line begins, or word, if there is none."""
    if not piece.offset:
        return 0
    start = piece.data.find(b"\n") + 1
    return start if 0 < start < len(piece.data) else remote_text.rest_bytes(piece.data)


def _after_lines(data: bytes, lines: int) -> int:
    position = 0
    for _ in range(lines):
        position = data.index(b"\n", position) + 1
    return position


def _fitting(data: bytes, limit: int, show: Show) -> int:
    """Return how many of the bytes fit on a page, whole lines if one fits."""
    whole = show(data)
    if len(whole) <= limit:
        return len(data)
    if cut := whole.rfind("\n", 0, limit) + 1:
        size = _after_lines(data, whole.count("\n", 0, cut))
        return size - remote_text.held_bytes(data[:size]) or size
    size = bisect.bisect_right(
        range(len(data)), limit, key=lambda n: len(show(data[:n]))
    )
    size = max(1, size - 1)
    return max(1, size - remote_text.held_bytes(data[:size]))
