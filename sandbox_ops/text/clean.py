"""Text that came from a machine: made safe to read, shortened, searched.

Pure: bytes or text in, text out. Three rules hold throughout: a line stays a line
(nothing adds or removes a newline, so that numbers of lines can be trusted), time is
linear in the size of the input, and what is not shown as it is is shown as an escape.
(Over 250 lines: cleaning, cutting and filtering hold these rules together.)
"""

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox_ops.errors import TimedOutError, UsageError

PATTERN_LIMIT = 1000
"""How long a pattern may be, in bytes."""

_PROGRAM_MEMORY = 1 << 20  # what a pattern may take when it is compiled
_SEARCH_MEMORY = 8 << 20
_CHUNK_BYTES = 1 << 16  # searched in one go: half a second with the slowest pattern
_LINE_BYTES = 1 << 20  # so much of one line
_OVERLAP_BYTES = 4096

# Terminal sequences, as ECMA-48 has them: control (CSI), strings (OSC and the like, which
# must be terminated on their line: an open one would hide what follows), and two-byte
# ones. \x9b, \x9d and \x90 are the one-byte spellings. No character that begins a
# sequence is inside of another one, and nothing is given back (`*+`): so that each
# character is looked at once or twice, however many begin and never end.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])"
    r"[^\x07\x1b\x9c\n\x90\x98\x9b\x9d\x9e\x9f]*+(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]++[0-~]"
    r"|\x1b[0-OQ-WYZ\\`-~]"
    r"|[\x07\x08]"  # the bell, and the backspaces of spinners
)
_SEQUENCE_BYTES = 600
_OPEN_SEQUENCE = re.compile(  # at the end of UTF-8 bytes
    rb"(?:(?:\x1b\[|\xc2\x9b)[0-?]*+[ -/]*+"
    rb"|(?:\x1b[]PX^_]|\xc2[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\n\xc2]*+\x1b?"
    rb"|\x1b[ -/]*+)\Z"
)

# What no reader sees but a terminal, or a model, obeys: controls, characters without
# width, changes of direction, other line breaks, tags, lone surrogates.
HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff"
    "\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What is in the brackets of a class; without the lone surrogates, which are not UTF-8."""
_HIDDEN = re.compile(f"[{HIDDEN}\ud800-\udfff]")


def clean(data: bytes | str) -> str:
    r"""Return what was said as text that is safe to show.

    Terminal sequences are dropped; characters that cannot be seen, and bytes that are
    not UTF-8, are shown as escapes (`\x00`, `\u202e`). Newlines, tabs and carriage
    returns stay.
    """
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    if not _HIDDEN.search(text):
        return text
    return _HIDDEN.sub(_shown, _SEQUENCE.sub("", text))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= 0xFF:  # noqa: PLR2004 - what two digits can say
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def unfinished(data: bytes) -> int:
    """Return how many of the last bytes are no whole character or sequence yet."""
    begin = max(0, len(data) - _SEQUENCE_BYTES)
    if open_sequence := _OPEN_SEQUENCE.search(data, begin):
        return len(data) - open_sequence.start()
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:  # noqa: PLR2004 - the first byte of a character of UTF-8
            length = 2 + (byte >= 0xE0) + (byte >= 0xF0)  # noqa: PLR2004
            return back if back < length else 0
        if byte < 0x80:  # noqa: PLR2004 - a character of its own
            break
    return 0


def collapse(text: str) -> str:
    """Return the text with each progress bar in its last state.

    A program that redraws a line returns to its start (a carriage return) and writes
    over it. Of such a line its last part that is not blank is kept.
    """
    if "\r" not in text:
        return text
    return "\n".join(map(_last_state, text.split("\n")))


def _last_state(line: str) -> str:
    if "\r" not in line:
        return line
    end = len(line)
    while end > 0:
        begin = line.rfind("\r", 0, end) + 1
        if (part := line[begin:end]) and not part.isspace():
            return part
        end = begin - 1
    return ""


def head(text: str, limit: int) -> str:
    """Return the beginning, `limit` characters at most, up to a line's end if near."""
    if len(text) <= limit:
        return text
    return text[: text.rfind("\n", limit // 2, limit) + 1 or limit]


def tail(text: str, limit: int) -> str:
    """Return the end, `limit` characters at most, from a line's beginning if near."""
    if len(text) <= limit:
        return text
    start = len(text) - limit
    return text[text.find("\n", start - 1, start + limit // 2) + 1 or start :]


def head_tail(text: str, limit: int) -> tuple[str, int, str]:
    """Return beginning and end of a text that is longer than `limit` characters.

    Returns:
        The beginning, how many characters are left out, and the end. Nothing is left
        out, and the end is "", where the text is short enough.
    """
    if len(text) <= limit:
        return text, 0, ""
    begin, end = head(text, limit // 2), tail(text, limit // 2)
    return begin, len(text) - len(begin) - len(end), end


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """The lines that a pattern is found in.

    Attributes:
        lines: Without their line ends.
        numbers: For each of them, how many lines come before it.
        searched: How many lines were looked at.
    """

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    searched: int


def matching(
    data: bytes, pattern: str, *, in_time: Callable[[], bool] = lambda: True
) -> Matches:
    """Return the lines of UTF-8 text that a pattern is found in.

    The pattern is RE2's: time is linear in the data, whatever the pattern. `^` and `$`
    mean the ends of a line; a match never reaches over one.

    Args:
        data: The text.
        pattern: What to look for.
        in_time: Asked every few thousand lines whether there is still time: a large
            pattern takes long, though it is linear.

    Raises:
        UsageError: The pattern is no RE2 pattern, or too large; says where it goes wrong.
        TimedOutError: There was not time enough.
    """
    search = _searcher(pattern)
    lines: list[str] = []
    numbers: list[int] = []
    number = counted = 0  # `number` newlines are before `counted`
    for chunk_begin, chunk_end in _chunks(data):
        begin = chunk_begin
        while begin < chunk_end and (at := search(data, begin, chunk_end)) >= 0:
            begin = data.rfind(b"\n", chunk_begin, at) + 1 or chunk_begin
            if begin >= chunk_end:  # an empty match after the last newline: no line
                break
            end = data.find(b"\n", at, chunk_end)
            end = chunk_end if end < 0 else end
            number += data.count(b"\n", counted, begin)
            counted = begin
            if not (numbers and numbers[-1] == number):  # a line of several chunks
                lines.append(_line_at(data, begin).decode("utf-8", "backslashreplace"))
                numbers.append(number)
            begin = end + 1
        if not in_time():
            raise TimedOutError(
                f"the filter takes too long on this log: {pattern[:60]}",
                "Use a simpler pattern: without counted repetitions such as {0,30}.",
            )
    total = data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))
    return Matches(lines=tuple(lines), numbers=tuple(numbers), searched=total)


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where pieces begin and end: of whole lines, but for those over a MiB."""
    begin = 0
    while begin < len(data):
        end = data.rfind(b"\n", begin, begin + _CHUNK_BYTES) + 1
        end = end or data.find(b"\n", begin, begin + _LINE_BYTES) + 1
        if end or begin + _LINE_BYTES >= len(data):
            end = end or len(data)
            yield begin, end
            begin = end
        else:
            yield begin, begin + _LINE_BYTES
            begin += _LINE_BYTES - _OVERLAP_BYTES


def _line_at(data: bytes, position: int) -> bytes:
    begin = data.rfind(b"\n", 0, position) + 1
    end = data.find(b"\n", position)
    return data[begin : len(data) if end < 0 else end]


def _searcher(pattern: str) -> Callable[[bytes, int, int], int]:
    """Return what says where, from a position to another, the pattern is first, or -1."""
    import re2

    raw = pattern.encode("utf-8", "replace")
    if len(raw) > PATTERN_LIMIT:
        message = f"the pattern is longer than {PATTERN_LIMIT} bytes"
        raise UsageError(message, "Use a shorter one.")
    options = re2.Options()
    options.log_errors = False
    options.never_nl = True
    try:
        # One search through a large buffer: a call a line costs ten times as much. The
        # first compilation is a check alone: with little memory it refuses in 15 ms
        # what the second would work on for 10 s.
        for options.max_mem in (_PROGRAM_MEMORY, _SEARCH_MEMORY):
            compiled = re2.compile(b"(?m)" + raw, options=options)
    except re2.error as error:
        raise _bad_pattern(pattern, error.args[0]) from None

    def search(data: bytes, begin: int, end: int) -> int:
        match = compiled.search(data, begin, end)
        return match.start() if match else -1

    return search


def _bad_pattern(pattern: str, complaint: bytes) -> UsageError:
    """Say where the pattern goes wrong: where RE2, or Python's parser, objects."""
    reason = complaint.decode("utf-8", "replace").replace("(?m)", "")
    if "too large" in reason:  # RE2's word for it, which has no code of its own
        return UsageError(
            f"the pattern is too large: {pattern[:60]}",
            "Repeat less often: {1,1000} is compiled as a thousand copies.",
        )
    what, _, culprit = reason.partition(": ")
    position = pattern.find(culprit) if culprit and culprit != pattern else -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it only warns of
        try:
            re.compile(pattern)
        except re.error as error:
            position = position if error.pos is None else error.pos
        except (OverflowError, RecursionError):
            pass  # then RE2's own words have to do
    where = f" at position {position}" if position >= 0 else ""
    return UsageError(
        f"bad pattern{where}: {what} in {pattern}",
        "Patterns are RE2's: no look-around, no back-references.",
    )
