"""One entry set in somebody else's JSON or TOML, and not a character beside it. Pure.

The files belong to people and to other programs: what is not ours stays as it was
written, order, indentation, comments of TOML and all. Each edit is checked: what the new
text means must be what the old one meant, plus the entry.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_JSON = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"\n([ \t]+)\S")


def json_entry(text: str, path: Sequence[str]) -> dict[str, Any]:
    """Return the object at a path of keys; {} where there is none.

    Raises:
        ValueError: the text is no JSON object, or something else stands at the path.
    """
    return _entry(_json(text), path)


def toml_entry(text: str, path: Sequence[str]) -> dict[str, Any]:
    """Return the table at a path of keys; {} where there is none.

    Raises:
        ValueError: the text is no TOML, or something else stands at the path.
    """
    return _entry(tomllib.loads(text), path)


def _entry(found: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    for key in path:
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise ValueError(f"`{key}` is not a table of names")  # noqa: TRY004 - of the text
    return dict(found)


def json_with(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """Return the text with an object at a path of keys.

    A new entry becomes the first of its siblings, so that no line of theirs changes.

    Raises:
        ValueError: the text cannot be edited, for instance since it has comments.
    """
    json_entry(text, path)
    wanted = _with(_json(text), path, value)
    found = _INDENT.search(text)
    unit = found[1] if found else "  "
    text = text if text.strip() else "{}\n"
    start = text.index("{")
    for depth, key in enumerate(path, 1):
        places = {name: (begin, end) for name, begin, end in _members(text, start)}
        if key not in places:
            member = f"{json.dumps(key)}: {_dumped(_nested(path[depth:], value), unit, depth)}"
            pads = (unit * (depth - 1), unit * depth)
            text = _inserted(text, start, member, pads)
            break
        start, end = places[key]
        if depth == len(path):
            text = text[:start] + _dumped(value, unit, depth) + text[end:]
    if _json(text) != wanted:
        raise ValueError("it is written in a way that cannot be edited safely")
    return text


def _json(text: str) -> dict[str, Any]:
    found = json.loads(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise ValueError("it does not hold a JSON object")  # noqa: TRY004 - of the text
    return found


def _with(
    found: Mapping[str, Any], path: Sequence[str], value: Mapping[str, Any]
) -> dict[str, Any]:
    first, *rest = path
    inner = _with(_entry(found, [first]), rest, value) if rest else dict(value)
    return {**found, first: inner}


def _nested(path: Sequence[str], value: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value


def _members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, begin and end of the values of the object that begins at `start`."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        name, at = _JSON.raw_decode(text, at)
        begin = _skip(text, text.index(":", at) + 1)
        _, end = _JSON.raw_decode(text, begin)
        yield name, begin, end
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _inserted(text: str, start: int, member: str, pads: tuple[str, str]) -> str:
    """Make a member the first one of the object that begins at `start`."""
    outer, pad = pads
    after = text[start + 1 :]
    if after[_skip(after, 0)] == "}":
        return f"{text[: start + 1]}\n{pad}{member}\n{outer}{after.lstrip()}"
    return f"{text[: start + 1]}\n{pad}{member},{after}"


def _dumped(value: object, unit: str, depth: int) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).splitlines()
    return f"\n{unit * depth}".join(lines)


def toml_with(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """Return the text with a table at a path of keys: the last one of the file.

    Raises:
        ValueError: the text cannot be edited, for instance since an inline table holds
            the entry's siblings.
    """
    wanted = _with(tomllib.loads(text), path, value)
    kept = "".join(_without(text, path)).rstrip("\n")
    new = "\n".join(_tables(path, value))
    text = f"{kept}\n\n{new}\n" if kept else f"{new}\n"
    try:
        is_right = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise ValueError("it is written in a way that cannot be edited safely")
    return text


def _without(text: str, path: Sequence[str]) -> Iterator[str]:
    """Yield the lines that are not of the table or of one below it."""
    words = r"\s*\.\s*".join(rf"[\"']?{re.escape(key)}[\"']?" for key in path)
    ours = re.compile(rf"\s*\[\s*{words}\s*[\].]")
    skipping = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            skipping = bool(ours.match(line))
        if not skipping:
            yield line


def _tables(path: Sequence[str], value: Mapping[str, Any]) -> Iterator[str]:
    name = ".".join(
        key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key)
        for key in path
    )
    yield f"[{name}]"
    for key, inner in value.items():
        if not isinstance(inner, dict):
            yield f"{key} = {json.dumps(inner, ensure_ascii=False)}"
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield ""
            yield from _tables([*path, key], inner)
