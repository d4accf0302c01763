"""Lines of a private key that is read from its midst: no line says what they are. Pure.

A part of a file may hold neither the first line of a key nor its last. What is left is
known by its look: lines of base64 as wide as keys are written, 64 (PEM) or 70 (OpenSSH)
characters. A certificate looks the same where its first line is not read either; it is
masked too.
"""

import re
from collections.abc import Iterator, Sequence

MASK = "[redacted: private-key]"
_BODY = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])(?:[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]{70})\r?")  # fmt: skip
_LAST = re.compile(r"[A-Za-z0-9+/]{1,70}={0,2}\r?")
_PUBLIC = re.compile(r"-----BEGIN (?:CERTIFICATE|PUBLIC KEY|RSA PUBLIC KEY).*-----\r?")


def masked(lines: Sequence[str]) -> list[str]:
    """Return the lines with a mask for each that is of a key without its first line.

    One such line by itself, with others around it, may be anything, and stays.
    """
    shown = list(lines)
    for begin, end in _runs(lines):
        is_part = begin == 0 or end == len(lines)
        if end - begin == 1 and not is_part:
            continue
        if begin and _PUBLIC.fullmatch(lines[begin - 1]):
            continue
        shown[begin:end] = [MASK] * (end - begin)
    return shown


def _runs(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where lines of a key begin and end, with its last, which is shorter."""
    at = 0
    while at < len(lines):
        begin = at
        while at < len(lines) and _BODY.fullmatch(lines[at]):
            at += 1
        if at > begin:
            if at < len(lines) and _LAST.fullmatch(lines[at]):
                at += 1
            yield begin, at
        else:
            at += 1
