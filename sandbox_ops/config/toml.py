"""The text of a sandbox.toml, read into a layer or refused by name."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sandbox_ops.config.layers import Given, Layer, near_match, shown, wrong_value
from sandbox_ops.config.schema import BY_PATH, Key, Value
from sandbox_ops.config.value_checks import sandbox_name
from sandbox_ops.errors import ConfigError

# A path is the names from the top down: ("sandboxes", "gpu1", "host").
_Path = tuple[str, ...]
_TABLES = frozenset(
    path.rsplit(".", depth)[0] for path in BY_PATH for depth in (1, 2)
).difference(BY_PATH)


def from_toml(text: str, source: str, repository: str) -> Layer:
    """Read the text of a sandbox.toml.

    Args:
        text: The file's text.
        source: The file's name, for messages.
        repository: The file's folder.

    Raises:
        ConfigError: It is not TOML, has a key that is not known or a value that its key
            does not take, or its default is not among its sandboxes.
    """
    tree = _tree(text, source)
    default: Given | None = None
    sandboxes: dict[str, dict[str, Given]] = {}
    project: dict[str, Given] = {}
    for path, value in _leaves(tree, (), source):
        key = BY_PATH[_pattern(path)]
        where = f"{source}: `{_dotted(path)}`"
        given = Given(_value(key, value, where), where, repository)
        if path[0] == "sandboxes":
            sandboxes.setdefault(path[1], {})[key.field] = given
        elif path[0] == "project":
            project[key.field] = given
        else:
            default = given
    for name in tree.get("sandboxes", {}):  # an empty table has no leaves
        sandboxes.setdefault(name, {})
    if default and default.value not in sandboxes:
        raise _no_such_default(default, sandboxes)
    return Layer(default=default, sandboxes=sandboxes, project=project)


def _tree(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    # ValueError: TOMLDecodeError, and what int() and datetime refuse.
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{source}: not TOML: {error}",
            "Mend that line; https://toml.io shows how values are written.",
        ) from error


def _leaves(
    table: Mapping[str, Any], prefix: _Path, source: str
) -> Iterator[tuple[_Path, object]]:
    """Yield every known key with its value; refuse what is not known."""
    for name, value in table.items():
        path = (*prefix, name)
        if _pattern(path) in BY_PATH:
            yield path, value
            continue
        if _pattern(path) not in _TABLES:
            raise _unknown(path, source)
        if not isinstance(value, dict):
            raise ConfigError(
                f"{source}: `{_dotted(path)}` is {shown(value)}: expected a table",
                f"Write [{_dotted(path)}], and its keys below.",
            )
        if prefix == ("sandboxes",):
            _check_name(path, source)
        yield from _leaves(value, path, source)


def _pattern(path: _Path) -> str:
    """Return the path as `KEYS` writes it; "" for one that no key can have."""
    if path[0] == "sandboxes" and len(path) > 1:
        path = ("sandboxes", "NAME", *path[2:])
    return "" if any("." in name for name in path) else ".".join(path)


def _dotted(path: _Path) -> str:
    bare = re.compile(r"[A-Za-z0-9_-]+")
    return ".".join(
        name if bare.fullmatch(name) else json.dumps(name, ensure_ascii=False)
        for name in path
    )


def _value(key: Key, value: object, where: str) -> Value:
    try:
        return key.from_toml(value)
    except ValueError as error:
        name = key.path.rpartition(".")[2]
        example = f"For example: {name} = {key.example}"
        raise wrong_value(key, value, where, error, example) from error


def _check_name(path: _Path, source: str) -> None:
    try:
        sandbox_name(path[-1])
    except ValueError as error:
        raise ConfigError(
            f"{source}: [{_dotted(path)}]: the name of a sandbox {error}",
            "Give it a plain name, such as gpu1.",
        ) from error


def _no_such_default(default: Given, sandboxes: Iterable[str]) -> ConfigError:
    names = {name: name for name in sandboxes}
    known = (
        f"expected one of {', '.join(names)}" if names else "no sandbox is described"
    )
    return ConfigError(
        f"{default.where} is {shown(default.value)}: {known}",
        near_match(str(default.value), names)
        or f"Describe it in a table [sandboxes.{default.value}].",
    )


def _unknown(path: _Path, source: str) -> ConfigError:
    inside = f"{_pattern(path[:-1])}." if path[:-1] else ""
    below = (key.removeprefix(inside) for key in BY_PATH if key.startswith(inside))
    siblings = sorted({key.partition(".")[0] for key in below})
    here = {name: _dotted((*path[:-1], name)) for name in siblings}
    elsewhere = {key.rpartition(".")[2]: key for key in BY_PATH}
    return ConfigError(
        f"{source}: unknown key `{_dotted(path)}`: expected one of "
        f"{', '.join(siblings)}",
        near_match(path[-1], here)
        or near_match(path[-1], elsewhere)
        or "Remove it, or write one of those.",
    )
