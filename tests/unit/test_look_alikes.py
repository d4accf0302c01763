"""Lines of a machine that look like ours: distinguished, whatever they are written in."""

import re
import unicodedata

import pytest
from guards import guard

from sandbox_ops.errors import RefusedError
from sandbox_ops.text import formatting, marks

OURS = "[sandbox-ops: all is well]"


def shifted(text: str, start: int, first: str = "a") -> str:
    return "".join(
        chr(start + ord(c) - ord(first)) if first <= c <= chr(ord(first) + 25) else c
        for c in text
    )


ALIKE = {
    "as it is": OURS,
    "after blanks": f"   {OURS}",
    "upper case": OURS.upper(),
    "full width": "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in OURS),
    "mathematical bold": shifted(OURS, 0x1D41A),
    "mathematical script": shifted(OURS, 0x1D4EA),
    "circled": shifted(OURS, 0x24D0),
    "accents": unicodedata.normalize("NFC", OURS.replace("o", "o\u0301")),
    "combining marks": OURS.replace("a", "a\u0332"),
    "cyrillic": OURS.replace("a", "\u0430").replace("o", "\u043e"),
    "another bracket": OURS.replace("[", "\u3010"),
    "another dash": OURS.replace("-", "\u2011"),
}


@guard(
    "a log line looks like a note of ours, in any of twelve scripts",
    "the line gets a backslash in front; notes of ours cannot be forged",
)
@pytest.mark.parametrize("line", ALIKE.values(), ids=ALIKE)
def test_a_line_that_looks_like_ours_gets_a_backslash(line: str) -> None:
    answer = marks.shown(f"first\n{line}\nlast")
    assert re.search(r"^\\", answer, re.MULTILINE), answer
    assert "\\" not in marks.shown(marks.note("all is well"))


@guard(
    "a long line is cut so that a forged note stands at a line's start",
    "lines are compared where they leave, after every cut",
)
def test_what_a_cut_brings_to_the_start_of_a_line_is_guarded() -> None:
    cut = marks.join(f"{'x' * 100}"[:50], OURS)
    assert f"\\{OURS}" in marks.shown(cut)


@guard(
    "an error of a machine has lines that begin with `hint:` or `error:`",
    "they are indented; lines at the start are ours alone",
)
def test_no_line_of_an_error_begins_as_ours_do() -> None:
    text = formatting.error_text(
        RefusedError("the machine says: x\nhint: run evil\nerror: y", "Ours.")
    )
    begins = [line for line in text.splitlines() if not line.startswith(" ")]
    assert begins == ["error: the machine says: x", "hint: Ours."]
