"""Where this user's own files are: the configuration, and what is remembered."""

from collections.abc import Mapping
from pathlib import Path


def home_of(environ: Mapping[str, str]) -> Path:
    """Return the home that the environment names."""
    return Path(environ.get("HOME") or Path.home())


def configuration_folder(environ: Mapping[str, str]) -> Path:
    """Return where the user's own configuration is, or would be."""
    return _base(environ, "XDG_CONFIG_HOME", ".config") / "sandbox-ops"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return where this user's choices and the audit log are."""
    return _base(environ, "XDG_STATE_HOME", ".local/state") / "sandbox-ops"


def _base(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    named = Path(environ.get(variable) or "")
    return named if named.is_absolute() else home_of(environ) / below_home
