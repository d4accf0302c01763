"""The text of a configuration file, read into a layer or refused by key, file and line. Pure."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sandbox_ops.config.schema import BY_PATH, FLEET, NOTIFY, SECRETS, Key
from sandbox_ops.config.sources import (
    KeyPath,
    Layer,
    SettingValue,
    Source,
    near_match,
    not_for_projects,
    shown,
    wrong_value,
)
from sandbox_ops.config.value_checks import sandbox_name
from sandbox_ops.errors import ConfigError

_TABLES = frozenset(
    path.rsplit(".", depth)[0] for path in BY_PATH for depth in (1, 2)
).difference(BY_PATH)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def from_toml(source: Source, user_file: str = "") -> Layer:
    """Read the text of a sandbox.toml, or of the user's own config.toml.

    Args:
        source: The file, with its text.
        user_file: Where a project's user has a file of their own, for messages.

    Raises:
        ConfigError: It is not TOML, has a key that is not known or that a project may
            not set, or a value that its key does not take.
    """
    tree = _tree(source)
    default: SettingValue | None = None
    sandboxes: dict[str, dict[str, SettingValue]] = {}
    project: dict[str, SettingValue] = {}
    secrets: dict[str, SettingValue] = {}
    fleet: dict[str, SettingValue] = {}
    for path, value in _leaves(tree, (), source):
        key = BY_PATH[_pattern(path)]
        setting = _setting(key, value, path, source, user_file)
        if path[0] == "sandboxes":
            sandboxes.setdefault(path[1], {})[key.field] = setting
        elif path[0] == "project":
            project[key.field] = setting
        elif key.path in SECRETS:
            secrets[key.field] = setting
        elif key.path in (*FLEET, *NOTIFY):
            fleet[key.field] = setting
        else:
            default = setting
    for name in tree.get("sandboxes", {}):  # an empty table has no leaves
        sandboxes.setdefault(name, {})
    return Layer(
        default=default,
        sandboxes=sandboxes,
        project=project,
        secrets=secrets,
        fleet=fleet,
    )


def _tree(source: Source) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text)
    # ValueError: TOMLDecodeError, and what int() and datetime refuse.
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{source.name}: not TOML: {error}",
            "Correct that line; https://toml.io shows how values are written.",
        ) from error


def _leaves(
    table: Mapping[str, Any], prefix: KeyPath, source: Source
) -> Iterator[tuple[KeyPath, object]]:
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
                f"{source.place(path)}: `{_dotted(path)}` is {shown(value)}: expected a "
                "table",
                f"Write [{_dotted(path)}], and its keys below.",
            )
        if prefix == ("sandboxes",):
            _check_name(path, source)
        yield from _leaves(value, path, source)


def _pattern(path: KeyPath) -> str:
    """Return the path as `KEYS` writes it; "" for one that no key can have."""
    if path[0] == "sandboxes" and len(path) > 1:
        path = ("sandboxes", "NAME", *path[2:])
    return "" if any("." in name for name in path) else ".".join(path)


def _dotted(path: KeyPath) -> str:
    return ".".join(
        name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
        for name in path
    )


def _setting(
    key: Key, value: object, path: KeyPath, source: Source, user_file: str
) -> SettingValue:
    """Return a value that its key takes from this source, its path resolved."""
    written = SettingValue(value=value, source=source, key=_dotted(path), path=path)
    if key.user_only and not source.trusted:
        raise not_for_projects(written, key, user_file)
    try:
        checked = key.from_toml(value)
        if key.is_path:
            checked = key.check(source.resolve(str(checked)))
    except ValueError as error:
        name = key.path.rpartition(".")[2]
        example = f"For example: {name} = {key.example}"
        raise wrong_value(written, key, error, example) from error
    return replace(written, value=checked)


def _check_name(path: KeyPath, source: Source) -> None:
    try:
        sandbox_name(path[-1])
    except ValueError as error:
        raise ConfigError(
            f"{source.place(path)}: [{_dotted(path)}]: the name of a sandbox {error}",
            "Give it a plain name, such as gpu1.",
        ) from error


def _unknown(path: KeyPath, source: Source) -> ConfigError:
    inside = f"{_pattern(path[:-1])}." if path[:-1] else ""
    below = (key.removeprefix(inside) for key in BY_PATH if key.startswith(inside))
    siblings = _sorted_names(below)
    full_names = {name: _dotted((*path[:-1], name)) for name in siblings}
    elsewhere = {key.rpartition(".")[2]: key for key in BY_PATH}
    return ConfigError(
        f"{source.place(path)}: unknown key `{_dotted(path)}`: expected one of "
        f"{', '.join(siblings)}",
        near_match(path[-1], full_names)
        or near_match(path[-1], elsewhere)
        or "Remove it, or write one of those.",
    )


def _sorted_names(paths: Iterable[str]) -> list[str]:
    return sorted({path.partition(".")[0] for path in paths})
