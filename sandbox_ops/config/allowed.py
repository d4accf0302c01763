"""Which machines of which projects the user has allowed: a file each, outside of them.

A clone may name any machine. Before the first byte goes to one that only a project names,
the user says so once, by `sandbox-ops allow`.
"""

import contextlib
import json
import os
import time
from pathlib import Path

from sandbox_ops.config.files import owned
from sandbox_ops.errors import RefusedError

_FOLDER = "allowed"


def is_allowed(state: Path, project: str, address: str) -> bool:
    """Whether the user has allowed a project to use a machine."""
    try:
        return owned(os.lstat(_file(state, project, address)))
    except OSError:
        return False


def allow(state: Path, project: str, address: str) -> Path:
    """Remember that a project may use a machine; return the file that says so.

    Raises:
        RefusedError: It cannot be written.
    """
    import secrets

    file = _file(state, project, address)
    entry = {"project": project, "host": address, "time": int(time.time())}
    part = file.with_name(f".{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as opened:
            json.dump(entry, opened)
        part.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise RefusedError(
            f"cannot write {file}: {error.strerror}",
            f"Look at it: ls -ld {file.parent}",
        ) from error
    return file


def forget(state: Path, project: str, address: str) -> bool:
    """Take it back; return whether there was something to take back."""
    file = _file(state, project, address)
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RefusedError(f"cannot remove {file}: {error.strerror}") from error
    return True


def _file(state: Path, project: str, address: str) -> Path:
    import hashlib  # only where a project names a machine

    digest = hashlib.sha256(f"{project}\0{address}".encode("utf-8", "surrogateescape"))
    return state / _FOLDER / f"{digest.hexdigest()[:32]}.json"
