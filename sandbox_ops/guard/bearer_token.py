"""The secret of the HTTP transport: from a private file or the environment, never argv.

What argv holds every user of the computer can read.
"""

import os
import stat
from collections.abc import MutableMapping
from pathlib import Path

from sandbox_ops.errors import ConfigError

_LEAST = 24
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAKE = (
    "Make one: (umask 077; openssl rand -hex 32 > FILE), and name it: --token-file FILE"
)


def read(variable: str, file: Path | None, environ: MutableMapping[str, str]) -> str:
    """Return the token. The variable is taken away: what we start must not have it.

    Args:
        variable: The name of the variable that may hold it.
        file: Which holds it; None: the environment does.
        environ: The variables of the process.

    Raises:
        ConfigError: There is none, it is too short, or others can read it.
    """
    from_variable = environ.pop(variable, "")
    token = _in_file(file) if file else from_variable.strip()
    if not token:
        where = f"{file} is empty" if file else f"{variable} is not set"
        raise ConfigError(f"--http needs a token, and {where}", _MAKE)
    if len(token) < _LEAST or not token.isascii() or not token.isprintable():
        raise ConfigError(
            f"the token must be {_LEAST} or more plain characters, hard to guess", _MAKE
        )
    return token


def _in_file(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            facts = os.fstat(opened.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.getuid():
                raise ConfigError(f"{file} is not a file of yours", _MAKE)
            if facts.st_mode & _OTHERS:
                raise ConfigError(
                    f"others can read {file}", f"Make it yours alone: chmod 600 {file}"
                )
            return opened.read(4096).decode("utf-8", "replace").strip()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", _MAKE) from error
