"""What a command line changes in its shell alone, and is lost with it. Pure.

Every command has a shell of its own: `cd` and `export` at its end are forgotten.
"""

import re

_WORDS = r"(?:[^\s;&|<>()`$\\]|\\.|\$\{?\w+\}?)+"
_ONE = (
    rf"(?:cd|pushd|export|source|\.|alias|set|shopt|conda\s+activate)(?:\s+{_WORDS})*"
)
_ONLY = re.compile(rf"\s*{_ONE}\s*(?:(?:;|&&|\n)\s*{_ONE}\s*)*;?\s*")
_LONGEST = 500


def is_forgotten(command: str) -> bool:
    """Whether a command does nothing but change the state of its own shell."""
    return len(command) <= _LONGEST and _ONLY.fullmatch(command) is not None
