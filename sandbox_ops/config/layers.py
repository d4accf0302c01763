"""What one source says, value by value, and how a wrong value is told."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox_ops.config.schema import Key, Value
from sandbox_ops.errors import ConfigError

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where it was given.

    Attributes:
        where: The place, to begin a message with.
        repository: The folder of the file that gave it; "" for a variable. A file lies
            in a repository, and what a repository says is not trusted with paths.
    """

    value: Value
    where: str
    repository: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says.

    Attributes:
        default: The default sandbox's name.
        machine: What it says of the default sandbox without naming it.
        sandboxes: What it says of sandboxes by name.
    """

    default: Given | None = None
    machine: Mapping[str, Given] = field(default_factory=dict)
    sandboxes: Mapping[str, Mapping[str, Given]] = field(default_factory=dict)
    project: Mapping[str, Given] = field(default_factory=dict)


def wrong_value(
    key: Key, value: object, where: str, error: ValueError, hint: str
) -> ConfigError:
    """Return the error for a value that its key does not take."""
    reason = f"it {error}; " if error.args else ""
    return ConfigError(
        f"{where} is {shown(value)}: {reason}expected {key.expects}", hint
    )


def shown(value: object) -> str:
    """Return a value as a message shows it: one line, not too long, nothing hidden."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if not text.isprintable():
        text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def near_match(name: str, full_names: Mapping[str, str]) -> str:
    """Return "Did you mean ...?" for the nearest of some names, or ""."""
    tidy = name.lower().replace("-", "_")
    near = difflib.get_close_matches(tidy, list(full_names), n=1)
    return f"Did you mean `{full_names[near[0]]}`?" if near else ""
