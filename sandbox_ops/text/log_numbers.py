"""How numbers, clocks and lines of a log look: what all its formats share. Pure.

Every pattern repeats a bounded number of times or possessively, so that no log, however
odd, can make reading it slow.
"""

import re

FLAGS = re.IGNORECASE | re.ASCII
GAP = r"[ \t]{0,8}"
# 330 digits: the longest that `%f` makes of a float has 309 before its point
_DIGITS = r"\d{1,330}+"
_PLAIN = rf"(?:\d{{1,3}}(?:,\d{{3}}){{1,99}}+(?![\d,])|{_DIGITS})(?:\.\d{{0,330}}+)?"
_NUMBER = rf"[-+]?(?:{_PLAIN}|\.{_DIGITS})(?:e[-+]?\d{{1,3}}+)?"
# not a part of a word, of a version, of a clock, nor the percentage of a bar
VALUE = (
    rf"(?:tensor\(|\[)?((?:{_NUMBER}|[-+]?(?:nan|inf(?:inity)?)))"
    r"(?!\w|\.\d|:\d|%\||%[ \t]{1,8}[━╸╺])"
)
COUNT = r"(\d{1,3}(?:,\d{3}){1,4}|\d{1,15})"
OF = rf"{COUNT}{GAP}(?:/|of){GAP}{COUNT}"

MAX_LINE = 4096
_LINE_END = re.compile(r"[\r\n\x08]")
_SEQUENCE = re.compile(r"\x1b\[[0-?]{0,64}+[ -/]{0,8}+[@-~]")
_CLOCK = re.compile(r"(?<!\d)(\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,6}))?(?!\d)", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,4}) days?, {0,2})?([\d:]{1,12})", FLAGS)
_UNIT = re.compile(r"(\d{1,9}(?:\.\d{0,9})?)[ \t]?(us|ms|s|m|h|d)(?![a-z])", FLAGS)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def lines(text: str) -> list[str]:
    """Return the lines that are not blank; what redraws a line begins another.

    Colours and other terminal sequences are dropped, very long lines cut.
    """
    plain = _SEQUENCE.sub("", text)
    return [line[:MAX_LINE] for line in _LINE_END.split(plain) if line.strip()]


def line_end(text: str) -> int:
    """Return where the second line of a text begins; its length if it has only one."""
    match = _LINE_END.search(text)
    return match.end() if match else len(text)


def count(digits: str) -> int:
    """Return `1200` or `1,200` as a number."""
    return int(digits.replace(",", ""))


def number(text: str) -> float:
    """Return what `VALUE` matched as a number."""
    return float(text.replace(",", ""))


def last(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """Return the last match in a line."""
    match = None
    for match in pattern.finditer(line):  # noqa: B007
        pass
    return match


def seconds(clock: str) -> float | None:
    """Return `1:02:03`, `1 day, 2:03:04` as seconds; None for `?` and `-:--:--`."""
    match = _DURATION.fullmatch(clock.strip())
    if match is None:
        return None
    total = 0
    for part in match[2].split(":"):
        total = total * 60 + int(part or 0)
    return float(total + 86400 * int(match[1] or 0))


def duration(text: str) -> float | None:
    """Return `1m 12s`, `46.1ms` as seconds; None where it is no duration."""
    parts = _UNIT.findall(text)
    return (
        sum(float(n) * _SECONDS[unit.lower()] for n, unit in parts) if parts else None
    )


def time_of_day(line: str) -> float | None:
    """Return the first time of day in a line, in seconds since midnight."""
    match = _CLOCK.search(line)
    if match is None:
        return None
    fraction = float(f"0.{match[4]}") if match[4] else 0.0
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]) + fraction
