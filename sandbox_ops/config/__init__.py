"""The configuration, as a pure function of texts and mappings.

Each source becomes a `Layer` (`from_toml`, `from_registration`, `from_environment`);
`combine` lays them over each other. Who reads the files is discover.py.
"""

from sandbox_ops.config.combined import Config, combine
from sandbox_ops.config.layers import Given, Layer
from sandbox_ops.config.project_name import project_name
from sandbox_ops.config.schema import KEYS, SSH_VARIABLES, Key
from sandbox_ops.config.toml import from_toml
from sandbox_ops.config.variables import from_environment, from_registration

__all__ = [
    "KEYS",
    "SSH_VARIABLES",
    "Config",
    "Given",
    "Key",
    "Layer",
    "combine",
    "from_environment",
    "from_registration",
    "from_toml",
    "project_name",
]
