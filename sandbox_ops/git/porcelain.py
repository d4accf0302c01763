r"""What git prints for programs, as values. Pure.

Asked for with `core.quotePath=true`, git puts a name that holds anything unusual in
double quotes with backslash escapes (`"\303\251t\303\251"`), so that a line is one name
and no name is lost.
"""

import re
from dataclasses import dataclass

_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_FIELDS = {"1": 8, "2": 9, "u": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A work tree as `git status --porcelain=v2 --branch` describes it.

    Attributes:
        head: The commit that is checked out; None before the first commit.
        branch: None where HEAD is detached.
        edits: Changes of tracked files, as `git status --short` shows them.
        untracked: Names of files, or of folders with a slash at the end.
    """

    head: str | None = None
    branch: str | None = None
    edits: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()


def unquote(name: str) -> str:
    """Return the name that git quoted; what is not quoted stays as it is.

    Bytes that are not UTF-8 come back as lone surrogates, as Python gives file names.
    """
    if len(name) < 2 or not name.startswith('"') or not name.endswith('"'):  # noqa: PLR2004
        return name
    raw = name[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_byte, raw).decode("utf-8", "surrogateescape")


def status(text: str) -> Status:
    """Return the status that `text` is; lines of an unknown kind are passed over."""
    head = branch = None
    edits: list[str] = []
    untracked: list[str] = []
    for line in text.split("\n"):
        kind, _, rest = line.partition(" ")
        if kind in _FIELDS:
            edits.append(_edit(kind, rest))
        elif kind == "?":
            untracked.append(unquote(rest))
        elif line.startswith("# branch.oid "):
            head = _unless(rest.partition(" ")[2], "(initial)")
        elif line.startswith("# branch.head "):
            branch = _unless(rest.partition(" ")[2], "(detached)")
    return Status(
        head=head, branch=branch, edits=tuple(edits), untracked=tuple(untracked)
    )


def _unless(value: str, absent: str) -> str | None:
    return None if value in ("", absent) else value


def _edit(kind: str, rest: str) -> str:
    """Return `XY name`, with `old -> new` for a rename."""
    fields = rest.split(" ", _FIELDS[kind] - 1)
    name, _, old = fields[-1].partition("\t")
    arrow = f"{unquote(old)} -> " if old else ""
    return f"{fields[0].replace('.', ' ')} {arrow}{unquote(name)}"


def _byte(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3:  # noqa: PLR2004
        return bytes([int(code, 8) & 0xFF])
    return _LETTERS.get(code, code)
