"""Ports of this computer: who has one, and which is free."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

_LISTENS = "0A"  # /proc/net/tcp, state
_TRIES = 100


def owner(port: int) -> str:
    """Return who listens on a port here, as `name (pid 123)`; "" where that is not known."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                return f"{name} (pid {process.name})"
    return ""


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text("ascii", "replace").splitlines()[1:]:
                fields = line.split()
                local = int(fields[1].rpartition(":")[2], 16)
                if fields[3] == _LISTENS and local == port:
                    yield fields[9]


def free(port: int) -> int:
    """Return a free port here, the next above `port` where one is near."""
    for near in range(port + 1, min(port + _TRIES, 65536)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", near)):
            return near
    return 0
