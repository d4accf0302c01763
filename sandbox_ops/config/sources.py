"""Where each setting comes from, and how an error names that place. Pure.

Two kinds of source differ in what they may say. The user's own (their config.toml, the
environment, arguments) may say everything. A project (its sandbox.toml, its .mcp.json)
lies in a repository that anybody may have written: it may not touch this computer.
"""

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox_ops.config.schema import Key, Value
from sandbox_ops.errors import ConfigError

_SHOWN = 80
_SEARCHED_LINES = 2000
KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, or the environment.

    Attributes:
        name: What messages call it: the file's path, or "environment variable".
        project: The folder of the project whose words these are; "" where they are the
            user's own.
        folder: What relative paths start from.
        home: What `~` stands for.
        text: The file's text, to find the line of a key in.
    """

    name: str
    project: str = ""
    folder: str = "/"
    home: str = ""
    text: str = field(default="", repr=False, compare=False)

    @property
    def trusted(self) -> bool:
        """Whether these are the user's own words."""
        return not self.project

    def place(self, path: KeyPath = ()) -> str:
        """Return `file:line` of a key, or the file alone; to begin a message with."""
        line = self.line(path)
        return f"{self.name}:{line}" if line else self.name

    def line(self, path: KeyPath) -> int:
        """Return the line where a key begins; 0 where that is not known."""
        return _line(self.text, path) if path and self.text else 0

    def resolve(self, path: str) -> str:
        """Return a path of this source as an absolute one."""
        if path == "~" or path.startswith("~/"):
            path = f"{self.home}{path[1:]}"
        return posixpath.join(self.folder, path)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting is from: a file and the line (0: not known), or a variable."""

    source: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingValue:
    """A value, and where it is from.

    Attributes:
        key: As its source writes it: `sandboxes.gpu1.port`, `SANDBOX_OPS_PORT`.
        path: The same as the names from the top down, in a file of TOML.
    """

    value: Value | object
    source: Source
    key: str
    path: KeyPath = ()

    @property
    def where(self) -> str:
        """The place, to begin a message with."""
        if self.source.name == ENVIRONMENT:
            return f"{ENVIRONMENT} {self.key}"
        return f"{self.source.place(self.path)}: `{self.key}`"

    @property
    def origin(self) -> Origin:
        """The same as a value."""
        if self.source.name == ENVIRONMENT:
            return Origin(f"{ENVIRONMENT} {self.key}")
        return Origin(self.source.name, self.source.line(self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says.

    Attributes:
        default: The default sandbox's name.
        machine: What it says of the default sandbox without naming it.
        sandboxes: What it says of sandboxes by name.
        secrets: What it says of what is never shown: `secrets` and `secret_files`.
        fleet: What it says of several sandboxes, `groups`, `order` and `avoid`, and of
            whom to notify.
    """

    default: SettingValue | None = None
    machine: Mapping[str, SettingValue] = field(default_factory=dict)
    sandboxes: Mapping[str, Mapping[str, SettingValue]] = field(default_factory=dict)
    project: Mapping[str, SettingValue] = field(default_factory=dict)
    secrets: Mapping[str, SettingValue] = field(default_factory=dict)
    fleet: Mapping[str, SettingValue] = field(default_factory=dict)


ENVIRONMENT = "environment variable"


def wrong_value(
    setting: SettingValue, key: Key, error: ValueError, hint: str
) -> ConfigError:
    """Return the error for a value that its key does not take."""
    reason = f"it {error}; " if error.args else ""
    return ConfigError(
        f"{setting.where} is {shown(setting.value)}: {reason}expected {key.expects}",
        hint,
    )


def not_for_projects(setting: SettingValue, key: Key, user_file: str) -> ConfigError:
    """Return the error for a key that is the user's alone, set by a project."""
    why = "it touches this computer" if key.is_path else "only you may say it"
    table = "below [sandboxes.NAME]" if "NAME" in key.path else "at the top"
    if key.path.startswith("notify."):
        table = "below [notify]"
    return ConfigError(
        f"{setting.where} is not for a project to say: {why}",
        f"Move it to your own {user_file or '~/.config/sandbox-ops/config.toml'}, "
        f"{table}, or set it in the environment: {key.variable}",
    )


def shown(value: object) -> str:
    """Return a value as a message shows it: one line, not too long, nothing hidden."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if not text.isprintable():
        text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def near_match(name: str, full_names: Mapping[str, str]) -> str:
    """Return "Did you mean ...?" for the nearest of some names, or ""."""
    import difflib  # only for errors: every start would pay for it

    tidy = name.lower().replace("-", "_")
    near = difflib.get_close_matches(tidy, list(full_names), n=1)
    return f"Did you mean `{full_names[near[0]]}`?" if near else ""


def _line(text: str, path: KeyPath) -> int:
    """Return the line where a key of a TOML text begins; 0 where it is not known.

    The text is parsed up to ever later lines: the key begins behind the last such part
    that is whole TOML and lacks it. Only asked for messages, so its time does not count.
    """
    import tomllib

    lines = text.split("\n")
    if len(lines) > _SEARCHED_LINES:
        return 0
    before = 0
    for number in range(1, len(lines) + 1):
        try:
            tree: object = tomllib.loads("\n".join(lines[:number]))
        except (ValueError, RecursionError):
            continue
        for name in path:
            if not isinstance(tree, dict) or name not in tree:
                before = number
                break
            tree = tree[name]
        else:
            return before + 1
    return 0
