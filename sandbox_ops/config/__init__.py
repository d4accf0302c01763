"""The configuration, as a pure function of texts and mappings.

Each `Source` becomes a `Layer` (`from_toml`, `from_registration`, `from_environment`) of
values that know where they are from; `combine` lays them over each other. discover.py
finds the files, files.py reads them, allowed.py remembers what the user allowed.
"""

from sandbox_ops.config.configuration import Config, Unconfirmed
from sandbox_ops.config.merged import combine
from sandbox_ops.config.project_name import project_name
from sandbox_ops.config.registration import from_registration
from sandbox_ops.config.schema import KEYS, SSH_VARIABLES, Key
from sandbox_ops.config.sources import Layer, SettingValue, Source
from sandbox_ops.config.toml import from_toml
from sandbox_ops.config.variables import from_environment

__all__ = [
    "KEYS",
    "SSH_VARIABLES",
    "Config",
    "Key",
    "Layer",
    "SettingValue",
    "Source",
    "Unconfirmed",
    "combine",
    "from_environment",
    "from_registration",
    "from_toml",
    "project_name",
]
