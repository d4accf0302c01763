"""Which files there are on a sandbox, and what is in them, by checksum."""

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from sandbox_ops.errors import ProtocolError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import CommandResult, RemoteFile
from sandbox_ops.remote import script_replies

_LISTING_BYTES = 64 << 20
_SHOWN_NAMES = 20


def files(
    sandbox: Sandbox, root: str, patterns: Sequence[str], *, since: str = ""
) -> tuple[RemoteFile, ...]:
    """Return the files that the patterns name below `root`, directories whole.

    What the user denies to be read is left out in a directory.

    Args:
        sandbox: Where they are.
        root: A folder, absolute.
        patterns: Relative, with `*`, `?` and `[...]` as a shell has them.
        since: A file there: those alone that changed after it did.

    Raises:
        NotFoundError: There is no such directory.
        DeniedError: A pattern leads to what is not to be read.
        ConnectionLostError: The link died.
        ProtocolError: The answer cannot be read.
    """
    doing = f"list the files of {root}"
    wanted = (pattern.rstrip("/") for pattern in patterns)
    result = sandbox.script(
        "files_list",
        root,
        since,
        *sandbox.readable,
        *wanted,
        keep_bytes=_LISTING_BYTES,
        description=doing,
    )
    answer = _answer(result, doing)
    try:
        return _listed(answer)
    except (ValueError, IndexError) as error:
        raise _unreadable(result, doing) from error


def nearest(sandbox: Sandbox, path: str) -> tuple[str, ...]:
    """Say what is there instead of a path: the nearest folder, and what it holds.

    Returns:
        The folder in a line, then a line for each of its first 20 names.

    Raises:
        DeniedError: That folder is not to be read.
    """
    doing = f"look what there is instead of {path}"
    result = sandbox.script("files_nearest", path, *sandbox.readable, description=doing)
    folder, *names = _answer(result, doing).split(b"\0")
    shown = tuple(f"  {os.fsdecode(name)}" for name in names[:_SHOWN_NAMES] if name)
    more = len(names) - 1 - _SHOWN_NAMES
    return (
        f"{os.fsdecode(folder)} has{':' if shown else ' nothing in it'}",
        *shown,
        *((f"  ... and {more} more",) if more > 0 else ()),
    )


def _listed(answer: bytes) -> tuple[RemoteFile, ...]:
    places, _, rest = answer.partition(b"\0\n--\n")
    names, _, facts = rest.partition(b"\0\n--\n")
    if not facts:
        return ()
    fields = [os.fsdecode(field) for field in places.split(b"\0")]
    asked: dict[str, list[str]] = {}
    for path, real in zip(fields[::2], fields[1::2], strict=True):
        asked.setdefault(real.rstrip("/"), []).append(path)
    rows = [line.split() for line in facts.decode().splitlines()]
    collected = {
        path: RemoteFile(path=path, size_bytes=int(row[0]), mtime=float(row[1]))
        for name, row in zip(names.split(b"\0"), rows, strict=True)
        for path in _asked_names(os.fsdecode(name), asked)
    }
    return tuple(collected[path] for path in sorted(collected, key=os.fsencode))


def _asked_names(real: str, asked: Mapping[str, Sequence[str]]) -> Iterable[str]:
    """Yield the paths by which a file was asked for.

    Raises:
        ProtocolError: It was not.
    """
    place, known = real, False
    while True:
        for path in asked.get(place, ()):
            known = True
            yield posixpath.normpath(path + real[len(place) :])
        if not place:
            break
        place = place.rpartition("/")[0]
    if not known:
        raise ProtocolError(
            f"the machine named a file that was not asked for: {real!r}"
        )


def checksums(sandbox: Sandbox, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the SHA-256 of files, "" of those that cannot be read.

    Args:
        sandbox: Where they are.
        sizes: By absolute path, how many bytes from the beginning count.

    Raises:
        ConnectionLostError: The link died.
        ProtocolError: The answer cannot be read.
    """
    if not sizes:
        return {}
    doing = f"take the checksums of {len(sizes)} files"
    arguments = [word for path, size in sizes.items() for word in (str(size), path)]
    result = sandbox.script(
        "files_sum",
        *sandbox.readable,
        *arguments,
        keep_bytes=_LISTING_BYTES,
        description=doing,
    )
    lines = _answer(result, doing).decode(errors="replace").splitlines()
    try:
        return dict(zip(sizes, lines, strict=True))
    except ValueError as error:
        raise _unreadable(result, doing) from error


def _answer(result: CommandResult, doing: str) -> bytes:
    if not result.ok:
        script_replies.parse_result(result, doing)  # raises
    return result.stdout.head + result.stdout.tail


def _unreadable(result: CommandResult, doing: str) -> ProtocolError:
    return ProtocolError(f"cannot {doing}: {result.stderr.text.strip()[:500]}")
