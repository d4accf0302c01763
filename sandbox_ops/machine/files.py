"""Reading files on a sandbox: some lines, some bytes, what is known of one."""

import contextlib
import os
import shlex
import threading
import weakref

from sandbox_ops.errors import NextStep, ProtocolError, RefusedError, UsageError
from sandbox_ops.machine.places import Places
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import FileFacts, FileSlice
from sandbox_ops.remote.frames import Segment
from sandbox_ops.remote.job_states import number

DEFAULT_LINES = 2000
MOST_BYTES = 1 << 20
_places: weakref.WeakKeyDictionary[Sandbox, Places] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def read_lines(
    sandbox: Sandbox,
    path: str,
    offset: int | None = None,
    limit: int | None = None,
) -> FileSlice:
    """Return some lines of a text file.

    Args:
        sandbox: Which machine.
        path: Absolute. It is data: no character of it is special.
        offset: The first line, from 1 (0 means 1); negative counts from the end.
        limit: How many lines. Alone it means the last lines: logs are read from the
            end. Neither: the first 2000.

    Raises:
        RefusedError: Not absolute, or not a text file with an end.
        NotFoundError: There is no such file; the hint names the nearest directory.
        DeniedError: We may not read it.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be at least 1, not {limit}")
    count = DEFAULT_LINES if limit is None else limit
    first = _first_line(offset, limit, count)
    path = _absolute(sandbox, path)
    places = _places_of(sandbox)
    try:
        segment = _next_page(sandbox, path, first, count, places)
        if segment is None:
            segment = _ask(sandbox, path, first, count)
    except RefusedError as error:
        raise _with_other_way(error, path) from None
    at = number(segment.fields, "at")
    if at is not None:
        places.learn(
            path,
            inode=segment.fields.get("inode", ""),
            first=first,
            count=count,
            data=segment.data,
            at=at,
        )
    return _slice(path, segment, first, count)


def _with_other_way(error: RefusedError, path: str) -> RefusedError:
    """Name the command that shows what is not text."""
    program = {"directory": "ls -la", "binary": "head -c 512"}.get(error.reason)
    if program is None:
        return error
    shown = f"{program} -- {shlex.quote(path)}"
    if error.reason == "binary":
        shown += " | od -A d -c"
    return RefusedError(error.message, NextStep("run", {"command": shown}, "See it"))


def _places_of(sandbox: Sandbox) -> Places:
    with _lock:
        return _places.setdefault(sandbox, Places())


def _next_page(
    sandbox: Sandbox, path: str, first: int, count: int, places: Places
) -> Segment | None:
    """Read from where that line is known to begin; None where it does not any more."""
    place = places.find(path, first)
    if place is None:
        return None
    mark = place.mark
    before = mark.count(b"\n")
    segment = _ask(sandbox, path, first, before + count, place.mark_at, len(mark))
    same = segment.fields.get("inode") == place.inode
    if not (same and segment.data.startswith(mark)):
        return None
    rest = [word for word in segment.words if not word.startswith("at=")]
    at = f"at={place.mark_at + len(mark)}"
    return Segment(segment.data[len(mark) :], segment.what, (*rest, at))


def _ask(
    sandbox: Sandbox,
    path: str,
    first: int,
    count: int,
    at: int | None = None,
    extra_bytes: int = 0,
) -> Segment:
    most = str(MOST_BYTES + extra_bytes)
    where = "" if at is None else str(at)
    for segment in sandbox.request("read", path, str(first), str(count), most, where):
        if segment.what == "lines":
            return segment
    raise ProtocolError(f"the machine did not send the lines of {path}")


def read_bytes(
    sandbox: Sandbox, path: str, offset: int = 0, max_bytes: int = MOST_BYTES
) -> bytes:
    """Return a range of a file's bytes; fewer at its end.

    Args:
        sandbox: Which machine.
        path: Absolute.
        offset: Where to begin; negative counts from the end.
        max_bytes: At most so many; 16 MiB is the most for one call.

    Raises:
        RefusedError: Not absolute, or not a regular file.
        NotFoundError: There is no such file; the hint names the nearest directory.
        DeniedError: We may not read it.
    """
    if not 0 < max_bytes <= 16 * MOST_BYTES:
        raise UsageError(f"max_bytes must be 1 to {16 * MOST_BYTES}, not {max_bytes}")
    where = _absolute(sandbox, path)
    reply = sandbox.request("bytes", where, str(offset), str(max_bytes))
    for segment in reply:
        if segment.what == "bytes":
            return segment.data
    raise ProtocolError(f"the machine did not send the bytes of {path}")


def stat(sandbox: Sandbox, path: str) -> FileFacts:
    """Return what is known of a path: of a link itself, not of what it leads to.

    Raises:
        RefusedError: Not absolute.
        NotFoundError: There is no such file.
        DeniedError: We may not look there, or the user denies it.
    """
    reply = sandbox.request("stat", _absolute(sandbox, path))
    for segment in reply:
        if segment.what == "stat":
            facts, _, target = segment.data.partition(b"\n")
            with contextlib.suppress(ValueError):
                mode, size, owner, mtime = facts.split()
                return FileFacts(
                    path=path,
                    mode=int(mode, 16),
                    size_bytes=int(size),
                    owner=int(owner),
                    mtime=float(mtime),
                    target=os.fsdecode(target[:-1]) if target else None,
                )
    raise ProtocolError(f"the machine did not say what {path} is")


def _first_line(offset: int | None, limit: int | None, count: int) -> int:
    if offset is None:
        return 1 if limit is None else -count
    return offset or 1


def _absolute(sandbox: Sandbox, path: str) -> str:
    """Refuse a relative path with the absolute one that was probably meant."""
    if path.startswith("/"):
        return path
    meant = path.removeprefix("~/") if path.startswith("~/") else path
    raise RefusedError(
        f"the path must be absolute: {path}",
        f"In the home directory that is {sandbox.home}/{meant}",
    )


def _slice(path: str, segment: Segment, first: int, count: int) -> FileSlice:
    fields = segment.fields
    size = number(fields, "size") or 0
    total = number(fields, "total")
    cut = len(segment.data) >= MOST_BYTES
    to_the_end = first == -count
    lines = _whole_lines(segment.data, cut=cut, keep_end=to_the_end)
    more = first > 0 and len(lines) > count
    lines = lines[:count]
    if cut and to_the_end:
        first = -len(lines)
    if first < 0 and total is not None:
        first = max(1, total + first + 1)
    at_end = not more and (
        to_the_end or (not cut and (first > 0 or len(lines) == -first))
    )
    if total is not None:
        at_end = first - 1 + len(lines) >= total
    return FileSlice(
        path=path,
        lines=tuple(lines),
        first_line=first,
        total_lines=total,
        size_bytes=size,
        at_end=at_end,
        cut=cut,
    )


def _whole_lines(data: bytes, *, cut: bool, keep_end: bool) -> list[str]:
    """Split into lines; drop the one that the cut went through, unless it is all."""
    lines = data.decode("utf-8", "backslashreplace").split("\n")
    if lines[-1] == "":
        lines.pop()
    if cut and len(lines) > 1:
        if keep_end:
            lines.pop(0)
        elif not data.endswith(b"\n"):
            lines.pop()
    return lines
