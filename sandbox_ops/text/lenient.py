"""What a sender may have meant: numbers as text, JSON inside of JSON, one value for a list.

Pure. A function returns the value as it should have been sent, or as it was; ValueError
where it cannot be.
"""

import contextlib
import json

_LARGEST = 2**53


def without_nul(text: str) -> str:
    """Refuse a NUL."""
    if "\0" in text:
        raise ValueError
    return text


def number(value: object) -> object:
    """Return a number that a text says; a truth value is none."""
    if isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - of its value, as of any other
    return float(value) if isinstance(value, str) else value


def exact(number: int) -> int:
    """Refuse what JSON cannot count exactly."""
    if abs(number) > _LARGEST:
        raise ValueError
    return number


def stripped(value: object) -> object:
    """Return a text without blanks around it."""
    return value.strip() if isinstance(value, str) else value


def unpacked(value: object) -> object:
    """Return what a text holds, where a model sent JSON inside of JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def listed(value: object) -> object:
    """Return a list; one text alone is a list of it."""
    value = unpacked(value)
    return value if isinstance(value, list) else [value]


def typed(value: object) -> object:
    """Return numbers as they would be typed."""
    return json.dumps(value) if isinstance(value, (bool, int, float)) else value


def digits(value: object) -> object:
    """Return a whole number as its digits."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value
