"""The id of a request whose JSON is broken, so that it can be answered at all. Pure."""

import json
import re

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
_ID_VALUE = re.compile(rb'\s*:\s*(-?\d{1,18}|"(?:[^"\\]|\\.){0,200}+")\s*[,}]')


def is_id(value: object) -> bool:
    """Whether it can be the id of a request."""
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def find_id(raw: bytes) -> int | str | None:
    """Return the id of a request that cannot be parsed; None where there is none."""
    depth = 0
    for token in _TOKEN.finditer(raw):
        if token[0] in {b"{", b"["}:
            depth += 1
        elif token[0] in {b"}", b"]"}:
            depth -= 1
        elif depth == 1 and token[0] == b'"id"':
            after = _ID_VALUE.match(raw, token.end())
            if after:
                return _id_value(after[1])
    return None


def _id_value(raw: bytes) -> int | str | None:
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    if isinstance(value, str) and not _is_whole(value):
        return None
    return value if is_id(value) else None


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
