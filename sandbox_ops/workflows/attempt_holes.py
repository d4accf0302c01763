"""`{attempt}` and `{resume}` in a training command: filled on the machine, at each attempt.

Pure. `{resume}` is the newest checkpoint, as one word; before there is one it is no word at
all. `{resume:--resume %}` is those words with the checkpoint for `%`, or nothing.
"""

import re

_HOLE = re.compile(r"(?<![\$\{])\{(attempt|resume)(?::([^{}]*))?\}(?!\})")


def fill(command: str) -> str:
    """Return the command with these holes as expansions of the shell."""
    return _HOLE.sub(_expansion, command)


def _expansion(match: re.Match[str]) -> str:
    if match[1] == "attempt":
        return match[0] if match[2] is not None else "${SANDBOX_ATTEMPT:-1}"
    words = match[2] if match[2] is not None else "%"
    checkpoint = '"$SANDBOX_RESUME"'
    return "${SANDBOX_RESUME:+" + words.replace("%", checkpoint) + "}"
