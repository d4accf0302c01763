"""Lines of a private key that is read from its midst: no line says what they are. Pure.

A part of a file, or of what a command printed, may hold neither the first line of a key
nor its last. What is left is known by its look: lines of base64 as wide as keys are
written, 64 (PEM) or 70 (OpenSSH) characters. A certificate looks the same where its first
line is not read either; it is masked too.
"""

import re
from collections.abc import Iterator, Sequence

MASK = "[redacted: private-key]"
LINE = r"(?m:^[A-Za-z0-9+/]{64}(?:[A-Za-z0-9+/]{6})?\r?$)"
"""What RE2 finds where such a line may be."""

_WIDTHS = frozenset({64, 65, 70, 71})
_BODY = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])(?:[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]{70})\r?")  # fmt: skip
_LAST = re.compile(r"[A-Za-z0-9+/]{1,70}={0,2}\r?")
_NO_WORD = re.compile(r".*=|(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9+/])")
_UNFINISHED = re.compile(rb"[A-Za-z0-9+/]{0,71}={0,2}\r?")
_WORD = re.compile(rb".?|[A-Za-z][a-z]+|[A-Z]+|[0-9]+")
_PUBLIC = re.compile(r".*-----BEGIN (?!.*PRIVATE KEY).*-----\r?")
_END = re.compile(r"-----END .*-----\r?")


def masked(lines: Sequence[str], *, whole: bool = False) -> list[str]:
    """Return the lines with a mask for each that is of a key without its first line.

    One such line by itself, with others around it, may be anything, and stays.

    Args:
        lines: What is shown, in their order.
        whole: Whether nothing is around them, so that one line by itself stays as well.
    """
    shown = list(lines)
    for begin, end in _runs(lines):
        is_part = not whole and (begin == 0 or end == len(lines))
        if end - begin == 1 and not is_part:
            continue
        shown[begin:end] = [MASK] * (end - begin)
    return shown


def mask(data: bytes) -> bytes:
    """Return the data with a mask for each of two such lines or more, one after another."""
    lines = data.split(b"\n")
    if _WIDTHS.isdisjoint(map(len, lines)):
        return data
    shown = masked([line.decode("latin-1") for line in lines], whole=True)
    return "\n".join(shown).encode("latin-1")


def open_from(data: bytes) -> int:
    """Return where lines begin at the end of the data that are a key's if more follow.

    From there on it is to be shown with what follows. What stands before, and all of the
    data where there are none, can be shown at once.
    """
    end = data.rfind(b"\n") + 1
    if not _UNFINISHED.fullmatch(data[end:]):
        return len(data)
    begins = [end]
    while len(begins) < 5 and (begin := _line_before(data, begins[-1])) is not None:  # noqa: PLR2004
        begins.append(begin)
    match len(begins):
        case 1:  # the first of such lines may be under way
            return len(data) if _WORD.fullmatch(data[end:]) else end
        case 5:  # known by those before, as those that follow are by the last two
            return begins[2]
    return begins[-1]


def end_of_run(data: bytes, end: int) -> int:
    """Return where such lines end that go on at a place where a line begins."""
    while (next_end := data.find(b"\n", end) + 1) and _is_body(
        data[end : next_end - 1]
    ):
        end = next_end
    return end


def _line_before(data: bytes, end: int) -> int | None:
    """Return where the line begins that ends at a place, if it is such a line."""
    if not end:
        return None
    begin = data.rfind(b"\n", 0, end - 1) + 1
    return begin if _is_body(data[begin : end - 1]) else None


def _is_body(line: bytes) -> bool:
    return len(line) in _WIDTHS and bool(_BODY.fullmatch(line.decode("latin-1")))


def _runs(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where lines of a key begin and end, with its last, which is shorter."""
    at, is_public = 0, False
    while at < len(lines):
        is_public = not _END.match(lines[at]) if is_public else _is_public(lines[at])
        begin = at
        while at < len(lines) and not is_public and _BODY.fullmatch(lines[at]):
            at += 1
        if at > begin:
            if at < len(lines) and _is_last(lines[at]):
                at += 1
            yield begin, at
        else:
            at += 1


def _is_public(line: str) -> bool:
    """Whether a certificate, or another block that is no secret, begins with a line."""
    return "-----BEGIN" in line and bool(_PUBLIC.match(line))


def _is_last(line: str) -> bool:
    """Whether a line may be the last of a key: no word, such as `done`, is."""
    return bool(_LAST.fullmatch(line) and _NO_WORD.match(line))
