"""A private file of JSON lines that is only added to: what is written is whole, or not there.

Threads and processes may add to it at once. A line that was torn by a crash, or that cannot
be read, is passed over.
"""

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file, in their order; none where there is no such file.

    Raises:
        OSError: It cannot be read.
    """
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    for raw in text.split("\n"):
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line


def encoded(line: dict[str, Any]) -> bytes:
    """Return an object as a line."""
    return json.dumps(line, ensure_ascii=True).encode() + b"\n"


def add(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write lines at the end, whole; the file and its folder are made where they are not.

    Args:
        path: The file.
        data: The lines.
        durable: Return when they are on the disk, so that a loss of power keeps them.

    Raises:
        OSError: They cannot be written: none of them is.
    """
    with opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            data = b"\n" + data  # the writer before us was killed meanwhile
        _append(file, size, data)
        if durable:
            os.fsync(file)


def _append(file: int, size_bytes: int, data: bytes) -> None:
    """Write bytes whole, or not at all."""
    try:
        written = os.write(file, data)
    except OSError:
        os.ftruncate(file, size_bytes)
        raise
    if written != len(data):
        os.ftruncate(file, size_bytes)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open the file to add to it; its folder is ours, and no link is followed.

    Raises:
        OSError: It cannot be opened, or the folder is not ours.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = path.parent.lstat()
    if not stat.S_ISDIR(folder.st_mode) or folder.st_uid != os.getuid():
        raise OSError(errno.EPERM, f"{path.parent} is not a folder of yours")
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)
