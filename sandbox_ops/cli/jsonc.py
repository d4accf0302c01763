"""One entry set in somebody's JSON, with or without comments, and nothing beside it. Pure.

No kept library edits JSON and leaves its comments where they are, so this does: comments
and trailing commas are blanked, character for character, and what the parser then finds
at an offset stands at the same offset of the text as it was written.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TOKEN = re.compile(
    r'(?P<kept>"(?:[^"\\]|\\.)*"?|[^"/,]+|/(?![/*]))'
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<comma>,)",
    re.DOTALL,
)
_BLANK = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"\n([ \t]+)\S")
_VISIBLE = re.compile(r"[^\s]")
_JSON = json.JSONDecoder()


def load(text: str) -> dict[str, Any]:
    """What the text means; {} where it is empty.

    Raises:
        ValueError: It holds no JSON object.
    """
    plain = blanked(text)
    meaning = json.loads(plain) if plain.strip() else {}
    if not isinstance(meaning, dict):
        raise ValueError("it does not hold a JSON object")  # noqa: TRY004 - of the text
    return meaning


def with_entry(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """Return the text with an object at a path of keys.

    A new entry becomes the first of its siblings, so that no line of theirs changes.

    Raises:
        ValueError: It holds no JSON object.
        IndexError: It ends too early.
    """
    indents = _INDENT.search(text)
    unit = indents[1] if indents else "  "
    text = text if blanked(text).strip() else f"{text}{{}}\n"
    plain = blanked(text)
    start = plain.index("{")
    for depth, key in enumerate(path, 1):
        places = {name: (begin, end) for name, begin, end in _members(plain, start)}
        if key not in places:
            inner = _nested(path[depth:], value)
            member = f"{json.dumps(key)}: {_dumped(inner, unit, depth)}"
            pads = (unit * (depth - 1), unit * depth)
            return _inserted(text, plain, start, member, pads)
        start, end = places[key]
    return text[:start] + _dumped(value, unit, len(path)) + text[end:]


def blanked(text: str) -> str:
    """The text as plain JSON of the same length: no comment, no trailing comma."""
    plain = list(text)
    comma = None
    for token in _TOKEN.finditer(text):
        if token["comment"]:
            comment = _VISIBLE.sub(" ", token["comment"])
            plain[token.start() : token.end()] = comment
        elif token["comma"]:
            comma = token.start()
        elif token["kept"].strip():
            if comma is not None and token["kept"].strip()[0] in "}]":
                plain[comma] = " "
            comma = None
    return "".join(plain)


def _nested(path: Sequence[str], value: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value


def _members(plain: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, begin and end of the values of the object that begins at `start`."""
    at = _skip(plain, start + 1)
    while plain[at] != "}":
        name, at = _JSON.raw_decode(plain, at)
        begin = _skip(plain, plain.index(":", at) + 1)
        _, end = _JSON.raw_decode(plain, begin)
        yield name, begin, end
        at = _skip(plain, end)
        at = _skip(plain, at + 1) if plain[at] == "," else at


def _skip(plain: str, at: int) -> int:
    blanks = _BLANK.match(plain, at)
    return blanks.end() if blanks else at


def _inserted(
    text: str, plain: str, start: int, member: str, pads: tuple[str, str]
) -> str:
    """Make a member the first one of the object that begins at `start`."""
    outer, pad = pads
    before, after = text[: start + 1], text[start + 1 :]
    end = _skip(plain, start + 1)
    if plain[end] != "}":
        return f"{before}\n{pad}{member},{after}"
    comments = text[start + 1 : end].rstrip()
    return f"{before}{comments}\n{pad}{member}\n{outer}{text[end:]}"


def _dumped(value: object, unit: str, depth: int) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).splitlines()
    return f"\n{unit * depth}".join(lines)
