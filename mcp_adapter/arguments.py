"""What a model sent, against what a tool takes: strict about names, lenient about types.

An argument that is dropped in silence is a wrong answer later, so an unknown one is
refused, with the one that was probably meant. A number sent as a string is a number.
"""

import contextlib
import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any

from mcp_adapter.catalog import Argument, Kind, ToolSpec
from sandbox_ops.errors import UsageError

_LARGEST = 2**53
_MEANT = {
    "bg": "run_in_background",
    "background": "run_in_background",
    "cmd": "command",
    "file": "file_path",
    "id": "bash_id",
    "job": "bash_id",
    "job_id": "bash_id",
    "lines": "limit",
    "path": "file_path",
    "pattern": "filter",
    "script": "command",
    "timeout_ms": "timeout",
    "time": "timeout",
    "timeout_s": "timeout",
    "yes": "confirm",
}


def read(tool: ToolSpec, sent: Mapping[str, object] | None) -> dict[str, Any]:
    """Return a value for every argument of the tool; None for what is absent.

    Raises:
        UsageError: an argument is unknown, missing or of the wrong type; names it.
    """
    given = {name: value for name, value in (sent or {}).items() if value is not None}
    known = [argument.name for argument in tool.arguments]
    for name in given:
        if name not in known:
            raise UsageError(
                f"{tool.name} has no argument `{name[:80]}`", _did_you_mean(name, known)
            )
    return {argument.name: _value(tool, argument, given) for argument in tool.arguments}


def _did_you_mean(name: str, known: list[str]) -> str:
    takes = f"It takes {', '.join(known)}."
    meant = _MEANT.get(name, "")
    near = difflib.get_close_matches(name, known, 1, 0.5)
    guess = meant if meant in known else next(iter(near), "")
    return f"Did you mean `{guess}`? {takes}" if guess else takes


def _value(tool: ToolSpec, argument: Argument, given: Mapping[str, object]) -> object:
    if argument.name not in given:
        if argument.required:
            raise UsageError(f"{tool.name} needs the argument `{argument.name}`")
        return argument.default
    sent = given[argument.name]
    if sent == "" and argument.kind != "string":
        return argument.default
    value = _READERS[argument.kind](sent)
    if value is None:
        raise UsageError(
            f"`{argument.name}` must be {_WORDS[argument.kind]}, not {sent!r:.80}"
        )
    each = value if isinstance(value, tuple) else (value,)
    if argument.choices and not set(each) <= set(argument.choices):
        known = ", ".join(argument.choices)
        raise UsageError(f"`{argument.name}` must be one of {known}, not {sent!r:.80}")
    return value


def _string(sent: object) -> str | None:
    if not isinstance(sent, str) or "\0" in sent:
        return None
    # JSON can carry half a surrogate pair; no shell can.
    return None if any("\ud800" <= c <= "\udfff" for c in sent) else sent


def _integer(sent: object) -> int | None:
    if isinstance(sent, bool) or not isinstance(sent, (int, float, str)):
        return None
    try:
        number = float(sent)
    except (ValueError, OverflowError):
        return None
    if not number.is_integer() or abs(number) > _LARGEST:
        return None
    return int(number)


def _boolean(sent: object) -> bool | None:
    said = str(sent).strip().lower()
    return {"true": True, "1": True, "false": False, "0": False}.get(said)


def _strings(sent: object) -> tuple[str, ...] | None:
    """Read a list of texts; one text alone is a list of it."""
    sent = _unpacked(sent)
    each = [_string(item) for item in (sent if isinstance(sent, list) else [sent])]
    read = tuple(item for item in each if item is not None)
    return read if len(read) == len(each) else None


def _settings(sent: object) -> dict[str, str] | None:
    """Read names with values; numbers as they would be typed."""
    sent = _unpacked(sent)
    if not isinstance(sent, dict):
        return None
    read = {name: _typed(value) for name, value in sent.items()}
    known = {name: value for name, value in read.items() if value is not None}
    return known if len(known) == len(read) else None


def _typed(value: object) -> str | None:
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return _string(value)


def _unpacked(sent: object) -> object:
    """Return what a text holds, where a model sent JSON inside of JSON."""
    if isinstance(sent, str) and sent.lstrip()[:1] in {"[", "{"}:
        with contextlib.suppress(ValueError):
            return json.loads(sent)
    return sent


_READERS: dict[Kind, Callable[[object], object]] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "strings": _strings,
    "settings": _settings,
}
_WORDS: dict[Kind, str] = {
    "string": "text without NUL",
    "integer": "a whole number",
    "boolean": "true or false",
    "strings": "a list of texts",
    "settings": 'an object such as {"steps": 500000}',
}
