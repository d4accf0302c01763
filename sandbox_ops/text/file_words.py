"""What of a remote file fits into an answer, and how the rest is read.

Pure. Each line has its number in front, as `cat -n` does it: what the file says cannot
pose as ours.
"""

from collections.abc import Sequence

from sandbox_ops.models import FileSlice
from sandbox_ops.text import formatting, key_lines, marks, remote_text
from sandbox_ops.text.command_words import LIMIT
from sandbox_ops.text.step_words import StepWords

_LINE_LIMIT = 5_000


def lines(
    piece: FileSlice,
    *,
    from_end: bool,
    steps: StepWords,
    limit: int | None = None,
) -> str:
    """Return the lines with their numbers, after what part of the file they are.

    Args:
        piece: What was read.
        from_end: Whether the last lines were asked for, so that they stay where not
            all fit.
        steps: How the next steps are said.
        limit: How many lines were asked for; the step that reads on asks so, too.
    """
    numbered = [
        f"{number:>6}\t{_line(line)}"
        for number, line in enumerate(_masked(piece.lines), piece.first_line)
    ]
    room = LIMIT - 3 * len(piece.path) - 500  # the path is said three times
    if from_end:
        kept = marks.that_fit(reversed(numbered), room)[::-1]
    else:
        kept = marks.that_fit(numbered, room)
    dropped = len(numbered) - len(kept)
    first = piece.first_line + (dropped if from_end else 0)
    at_end = piece.at_end and (from_end or not dropped)
    after = "" if at_end else _after(piece, first + len(kept), limit, steps)
    before = _before(piece, first, len(kept), steps) if from_end or first < 0 else ""
    what = _what(piece, first, len(kept))
    return marks.join(what, after, before, "\n".join(kept))


def _masked(lines: Sequence[str]) -> list[str]:
    """Mask secrets in the lines together: a key has many."""
    known = remote_text.masked("\n".join(lines)).split("\n") if lines else []
    return key_lines.masked(known)


def _what(piece: FileSlice, first: int, count: int) -> str:
    size = formatting.size(piece.size_bytes)
    path = remote_text.safe_line(piece.path)
    if not piece.size_bytes and not piece.lines:
        return f"{path} is empty"
    total = "" if piece.total_lines is None else f" of {piece.total_lines:,}"
    if not count and piece.cut:
        return f"{path}: line {first} is too long to be read as a line ({size})"
    if not count:
        has = total.removeprefix(" of") or " fewer"
        return f"{path}: no line there; the file has{has} lines ({size})"
    last = first + count - 1
    counted = ", counted from the end" if first < 0 else ""
    return f"{path}: lines {first} to {last}{total}{counted} ({size})"


def _after(piece: FileSlice, line: int, limit: int | None, steps: StepWords) -> str:
    if line in {0, piece.first_line}:  # there is none, or nothing was read
        return ""
    more = {"limit": limit} if limit else {}
    return f"next: {steps.read_file(piece.path, offset=line, **more)}"


def _before(piece: FileSlice, first: int, count: int, steps: StepWords) -> str:
    limit = count if first < 0 else min(count, first - 1)
    if not limit:
        return ""
    call = steps.read_file(piece.path, offset=first - limit, limit=limit)
    return f"before: {call}"


def _visible(line: str) -> str:
    """Return a line safe and whole: what would redraw it is shown as it stands there."""
    return remote_text.safe(line.removesuffix("\r")).replace("\r", r"\r")


def _line(line: str) -> str:
    return marks.cut(_visible(line), _LINE_LIMIT)
