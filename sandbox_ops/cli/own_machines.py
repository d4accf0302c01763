"""The user's own list of machines, changed: in their config.toml, and nothing beside it.

What the new text means is read before it is written, so that nothing wrong gets there.
"""

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox_ops import config
from sandbox_ops.cli import entry_edit, replacing
from sandbox_ops.config.files import user_file
from sandbox_ops.errors import ConfigError, NotFoundError, RefusedError, UsageError
from sandbox_ops.guard.user_folders import home_of

_MOST_INCLUDES = 100
_WILD = re.compile(r"[*?!]")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # colours: a table knows of no pipe
_SHOWN = 5


def add(machines: Mapping[str, Mapping[str, Any]]) -> Path:
    """Describe machines in the user's own file; return it.

    Args:
        machines: What is said of each, by its name.

    Raises:
        RefusedError: One is described already, in another way.
        ConfigError: A value will not do, or the file cannot be read or written.
    """
    file = user_file(os.environ)
    text = before = replacing.read(file)
    for name, values in machines.items():
        known = _known(text, file).get(name)
        if known == dict(values):
            continue
        if known is not None:
            raise RefusedError(
                f"{file} describes the sandbox {name} already: {known}",
                f"Remove it first: sandbox-ops sandboxes --remove {name}",
            )
        kind = entry_edit.of_file(file.name)
        try:
            text = entry_edit.edited(text, ("sandboxes", name), values, kind)
        except ValueError as error:
            raise _not_edited(file, error) from error
    _write(file, before, text)
    return file


def remove(name: str) -> Path:
    """Take a machine out of the user's own file; return it. Nothing there is touched.

    Raises:
        NotFoundError: The file does not describe it.
        ConfigError: The file cannot be read, edited or written.
    """
    import tomlkit

    file = user_file(os.environ)
    before = replacing.read(file)
    if name not in _known(before, file):
        raise NotFoundError(
            f"{file} describes no sandbox {name}",
            "What describes one is shown by: sandbox-ops doctor",
        )
    document: Any = tomlkit.parse(before)
    del document["sandboxes"][name]
    after = tomlkit.dumps(document)
    wanted = tomllib.loads(before)
    del wanted["sandboxes"][name]
    kept = tomllib.loads(after)
    if kept.get("sandboxes") == {} and "sandboxes" in wanted:
        wanted["sandboxes"] = {}
    if {k: v for k, v in kept.items() if v != {}} != {
        k: v for k, v in wanted.items() if v != {}
    }:
        raise _not_edited(file, ValueError("it cannot be edited safely"))
    _write(file, before, after)
    return file


def _write(file: Path, before: str, after: str) -> None:
    config.from_toml(config.Source(name=str(file), text=after))
    if before != after:
        replacing.write(file, after)


def _known(text: str, file: Path) -> dict[str, dict[str, Any]]:
    try:
        known = tomllib.loads(text).get("sandboxes", {})
    except tomllib.TOMLDecodeError as error:
        raise _not_edited(file, error) from error
    return known if isinstance(known, dict) else {}


def _not_edited(file: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"{file} was not changed: {error}", "Correct it by hand, then try again."
    )


def hosts_of_ssh_config(path: Path) -> tuple[str, ...]:
    """Return the hosts that an ssh_config names, with those that it includes."""
    names: dict[str, None] = {}
    for fields in _lines(path, set()):
        if fields[0].lower() == "host":
            names |= dict.fromkeys(w for w in fields[1:] if not _WILD.search(w))
    return tuple(names)


def _lines(path: Path, seen: set[Path]) -> Iterator[list[str]]:
    if path in seen or len(seen) > _MOST_INCLUDES or not path.is_file():
        return
    seen.add(path)
    for line in path.read_text("utf-8", "replace").splitlines():
        fields = _words(line)
        if len(fields) < 2:  # noqa: PLR2004  # a keyword and its value
            continue
        if fields[0].lower() != "include":
            yield fields
            continue
        for pattern in fields[1:]:
            full = Path(pattern).expanduser()
            base = Path("/") if full.is_absolute() else home_of(os.environ) / ".ssh"
            relative = str(full.relative_to("/")) if full.is_absolute() else str(full)
            for each in sorted(base.glob(relative)):
                yield from _lines(each, seen)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(re.sub(r"^(\s*\w+)\s*=\s*", r"\1 ", line), comments=True)
    except ValueError:
        return []


def imported(source: str, hosts: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts that are meant: by a pattern, or by the first words of a text.

    Args:
        source: `gpu*`, as ssh_config(5) has patterns; or `-`: a table on stdin, such as
            `sky status` prints, whose first words name them.
        hosts: Those that ssh_config knows.

    Raises:
        UsageError: It means none.
    """
    import fnmatch

    if source == "-":
        text = _ESCAPE.sub("", sys.stdin.read())
        first = dict.fromkeys(
            row.split()[0] for row in text.splitlines() if row.strip()
        )
        chosen = tuple(host for host in hosts if host in first)
        meant = (
            f"the first words on stdin ({', '.join(list(first)[:_SHOWN]) or 'none'})"
        )
    else:
        chosen = tuple(host for host in hosts if fnmatch.fnmatchcase(host, source))
        meant = f"`{source}`"
    if not chosen:
        raise UsageError(
            f"nothing to import: no Host of ~/.ssh/config fits {meant}",
            "`sky status` names its clusters first, and sky writes them to ssh_config; "
            "lists of other providers begin with a number.",
            "Add one by its address: sandbox-ops sandboxes --add NAME --host HOST",
        )
    return chosen
