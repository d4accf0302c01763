"""One entry set in somebody else's JSON, TOML or YAML, and nothing beside it. Pure.

The files belong to people and to other programs: what is not ours stays as it was
written, order, indentation and comments. Each edit is checked: what the new text means
must be what the old one meant, plus the entry.
"""

import contextlib
import io
import tomllib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.cli import jsonc


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: what a text of it means, and how an entry is set in one."""

    load: Callable[[str], dict[str, Any]]
    with_entry: Callable[[str, Sequence[str], Mapping[str, Any]], str]


def of_file(name: str) -> Format:
    """The format of a file, by its name."""
    for ending, its_format in _FORMATS.items():
        if name.endswith(ending):
            return its_format
    return _JSON


def entry(text: str, path: Sequence[str], file_format: Format) -> dict[str, Any]:
    """Return the table at a path of keys; {} where there is none.

    Raises:
        ValueError: The text is not of that format, or something else stands there.
    """
    return _at(file_format.load(text), path)


def edited(
    text: str, path: Sequence[str], value: Mapping[str, Any], file_format: Format
) -> str:
    """Return the text with a table at a path of keys.

    Raises:
        ValueError: The text is not of that format, something else stands at the path,
            or it is written in a way that cannot be edited safely.
    """
    before = file_format.load(text)
    _at(before, path)
    try:
        after = file_format.with_entry(text, path, value)
        is_right = file_format.load(after) == _with(before, path, value)
    except (ValueError, LookupError, TypeError, AttributeError):
        is_right = False
    if not is_right:
        raise ValueError("it is written in a way that cannot be edited safely")
    return after


def _at(meaning: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    for key in path:
        meaning = meaning.get(key) or {}
        if not isinstance(meaning, dict):
            raise ValueError(f"`{key}` is not a table of names")  # noqa: TRY004 - of the text
    return dict(meaning)


def _with(
    meaning: Mapping[str, Any], path: Sequence[str], value: Mapping[str, Any]
) -> dict[str, Any]:
    first, *rest = path
    inner = _with(meaning.get(first) or {}, rest, value) if rest else dict(value)
    return {**meaning, first: inner}


def _toml_with(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """Append a new entry; set an old one where it stands."""
    import tomlkit
    from tomlkit.items import InlineTable

    if not _at(tomllib.loads(text), path):
        alone = tomlkit.dumps(_nested_toml(path, value))
        appended = f"{text.rstrip()}\n\n{alone}" if text.strip() else alone
        with contextlib.suppress(tomllib.TOMLDecodeError):
            tomllib.loads(appended)
            return appended
    document = tomlkit.parse(text)
    table: Any = document
    for key in path[:-1]:
        table = table[key]
    is_inline = isinstance(table, InlineTable)
    _update(
        table, path[-1], value, tomlkit.inline_table if is_inline else tomlkit.table
    )
    return tomlkit.dumps(document)


def _nested_toml(path: Sequence[str], value: Mapping[str, Any]) -> Mapping[str, Any]:
    import tomlkit

    document = tomlkit.document()
    table: Any = document
    for key in path[:-1]:
        table[key] = tomlkit.table(is_super_table=True)
        table = table[key]
    _update(table, path[-1], value, tomlkit.table)
    return document


def _yaml_load(text: str) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        meaning = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from error
    if not isinstance(meaning, dict | None):
        raise ValueError("it does not hold a table of names")  # noqa: TRY004 - of the text
    return meaning or {}


def _yaml_with(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """Set the entry, if the text can be written again just as it is."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    for offset in (0, 2):  # the two usual ways to indent lists
        yaml = YAML(pure=True)
        yaml.preserve_quotes = True
        yaml.width = _NEVER_WRAP
        yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
        document = yaml.load(text)
        if document is None:
            document, kept = CommentedMap(), text  # at most comments
        elif _yaml_dumped(yaml, document) == text:
            kept = ""
        else:
            continue
        table = document
        for key in path[:-1]:
            table[key] = CommentedMap() if table.get(key) is None else table[key]
            table = table[key]
        _update(table, path[-1], value, CommentedMap)
        return kept + _yaml_dumped(yaml, document)
    raise ValueError("its layout cannot be kept")


def _yaml_dumped(yaml: Any, document: Any) -> str:  # noqa: ANN401 - of ruamel
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _update(
    table: MutableMapping[str, Any],
    key: str,
    value: Mapping[str, Any],
    make: Callable[[], Any],
) -> None:
    """Make a table hold just this, and leave in peace what is right already."""
    if not isinstance(table.get(key), Mapping):
        table[key] = make()
    inner = table[key]
    for name in [name for name in inner if name not in value]:
        del inner[name]
    for name, each in value.items():
        if isinstance(each, Mapping):
            _update(inner, name, each, make)
        elif inner.get(name) != each:
            inner[name] = each


_NEVER_WRAP = 1 << 20
_JSON = Format(jsonc.load, jsonc.with_entry)
_FORMATS = {
    ".toml": Format(tomllib.loads, _toml_with),
    ".yaml": Format(_yaml_load, _yaml_with),
}
