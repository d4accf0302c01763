"""Which of some files are wanted: by patterns and by size. Pure.

A pattern with a slash is held against the path from its beginning, one without against
every name in it; either also takes what lies in a folder of that name, as .gitignore has
it.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from sandbox_ops.errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChoice:
    """What is wanted of the files there are.

    Attributes:
        include: Only what one of these names; empty: all.
        exclude: Nothing that one of these names.
        max_size_bytes: Nothing larger.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_size_bytes: int | None = None

    def reason_against(self, path: str, size_bytes: int) -> str:
        """Return why a file is not wanted; "" if it is."""
        if self.include and not any(matches(path, each) for each in self.include):
            return "not included"
        for pattern in self.exclude:
            if matches(path, pattern):
                return f"excluded by {pattern}"
        if self.max_size_bytes is not None and size_bytes > self.max_size_bytes:
            return "larger than --max-size"
        return ""


ALL = FileChoice()


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern names a path, or a folder that it lies in."""
    parts = PurePosixPath(path).parts
    wanted = PurePosixPath(pattern).parts
    if len(wanted) == 1 and not pattern.startswith("/"):
        return any(fnmatchcase(part, wanted[0]) for part in parts)
    wanted = tuple(part for part in wanted if part != "/")
    return len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted))


def size_bytes(text: str, option: str) -> int | None:
    """Return a size such as `500k`, `8M` or `1.5GB`, in powers of 1024; None for "".

    Raises:
        UsageError: It is no size.
    """
    if not text:
        return None
    match = _SIZE.fullmatch(text.strip())
    size = float(match[1]) * _UNITS[match[2].lower()] if match else 0.0
    if not size >= 1:
        raise UsageError(
            f"{option} takes a size, not `{text}`", f"such as {option} 8M, 500k or 2G"
        )
    return int(size)
