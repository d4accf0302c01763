"""Files of `NAME=VALUE` lines, as docker and shells take them. Pure.

A line may begin with `export`, a value may stand in quotes; nothing is expanded.
"""

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse(text: str, where: str) -> dict[str, str]:
    """Return the variables of a file, by name.

    Args:
        text: What it holds.
        where: What messages call it.

    Raises:
        ValueError: A line is none; says which, and never what is in it.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.removeprefix("export ").partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise ValueError(f"{where}:{number}: expected NAME=VALUE")
        values[name.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
