"""File systems of a test's own: a mount namespace, and a thread that lives in it.

A server that is started in there sees a full disk, another /bin/sh or another boot id;
the test and all others do not.
"""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
_CLONE_NEWNS = 0x00020000
_LIBC = ctypes.CDLL(None, use_errno=True)


class Mounts:
    """Mounts, and does things where they can be seen."""

    def __init__(self, inside: ThreadPoolExecutor) -> None:
        self._inside = inside

    def do(self, action: Callable[[], T], timeout_s: float = 60) -> T:
        """Call a function where the mounts can be seen; what it starts lives there."""
        return self._inside.submit(action).result(timeout_s)

    def tmpfs(self, folder: Path, options: str) -> None:
        """Mount a small disk on a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))

    def bind(self, source: Path, target: Path) -> None:
        """Show a file or folder in the place of another."""
        self._mount("--bind", str(source), str(target))

    def overlay(self, folder: Path, *, upper: Path, work: Path) -> None:
        """Show the files of another folder over those that there are."""
        layers = f"lowerdir={folder},upperdir={upper},workdir={work}"
        self._mount("-t", "overlay", "-o", layers, "overlay", str(folder))

    def remount(self, folder: Path, options: str) -> None:
        """Change a mount's options."""
        self._mount("-o", f"remount,{options}", str(folder))

    def _mount(self, *arguments: str) -> None:
        self.do(lambda: subprocess.run(["mount", *arguments], check=True))

    def fill(self, folder: Path) -> None:
        """Write a file `fill` until there is no room at all."""
        self.do(lambda: _fill(folder / "fill"))

    def free(self, folder: Path) -> None:
        """Make room again."""
        self.do((folder / "fill").unlink)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as room:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    room.write(b"x" * size)


@contextlib.contextmanager
def private_mounts() -> Iterator[Mounts]:
    """Give a mount namespace that ends with the processes in it."""
    if os.geteuid() != 0:
        pytest.fail("disks are filled in mount namespaces, which needs root")
    with ThreadPoolExecutor(1, initializer=_unshare) as inside:
        yield Mounts(inside)


def _unshare() -> None:
    if _LIBC.unshare(_CLONE_NEWNS) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    for reach in (
        "--make-rprivate",
        "--make-rshared",
    ):  # not out of here; but further in
        subprocess.run(["mount", reach, "/"], check=True)
