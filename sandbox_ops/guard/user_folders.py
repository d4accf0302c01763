"""Where this user's own files are: the configuration, and what is remembered."""

import os
from collections.abc import Mapping
from pathlib import Path

from sandbox_ops.errors import ConfigError


def home_of(environ: Mapping[str, str]) -> Path:
    """Return the home that the environment names, else that of the account.

    Raises:
        ConfigError: Neither says where it is, as in a container whose user is a number.
    """
    if named := environ.get("HOME"):
        return Path(named)
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigError(
            f"HOME is not set, and no account of this computer has the uid {os.getuid()}",
            "Say where your files are: export HOME=/path",
        ) from None


def configuration_folder(environ: Mapping[str, str]) -> Path:
    """Return where the user's own configuration is, or would be."""
    return _base(environ, "XDG_CONFIG_HOME", ".config") / "sandbox-ops"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return where this user's choices and the audit log are."""
    return _base(environ, "XDG_STATE_HOME", ".local/state") / "sandbox-ops"


def _base(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    named = Path(environ.get(variable) or "")
    return named if named.is_absolute() else home_of(environ) / below_home
