"""A file of somebody else's, read whole and replaced whole, with a copy of what was there."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from sandbox_ops.errors import ConfigError


def read(file: Path) -> str:
    """Return the text; "" where there is no file.

    Raises:
        ConfigError: It cannot be read, or is no UTF-8.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read {file}: {error}", f"Look at it: ls -l {file}"
        ) from error


def write(file: Path, content: str) -> Path | None:
    """Replace a file whole or not at all; return the copy of what was there, if any.

    Raises:
        ConfigError: It cannot be written. What was there is there.
    """
    real = file.resolve()  # a link to a file elsewhere stays a link
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        backup = _backed_up(real) if real.exists() else None
        handle, new = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(content.encode())
            mode = real.stat().st_mode & 0o777 if real.exists() else 0o644
            Path(new).chmod(mode)
            Path(new).replace(real)
        except OSError:
            with contextlib.suppress(OSError):
                Path(new).unlink()
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot write {file}: {error.strerror}",
            f"Look at it: ls -ld {real.parent}",
        ) from error
    return backup


def _backed_up(file: Path) -> Path:
    """Copy a file beside itself, over no copy of something else."""
    names = ("", *(f".{number}" for number in range(1, 1000)))
    places = (file.with_name(f"{file.name}.bak{name}") for name in names)
    place = next(
        each
        for each in places
        if not each.exists() or each.read_bytes() == file.read_bytes()
    )
    shutil.copy2(file, place)
    return place
