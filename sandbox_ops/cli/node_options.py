"""The options of a training over several nodes, as they stand on a command line. Pure."""

import re

from sandbox_ops.errors import UsageError
from sandbox_ops.models.nodes import NodeOptions

_LAST_PORT = 65534  # the one after it is needed, too


def read(nodes: str, *, torchrun: bool, port: str, is_sweep: bool) -> NodeOptions:
    """Return how a training goes over several nodes.

    Raises:
        UsageError: A value cannot be read, or it is a sweep.
    """
    options = NodeOptions(
        count=_number(nodes, "--nodes", 1, 100_000) if nodes else 0,
        torchrun=torchrun,
        port=_number(port, "--port", 1, _LAST_PORT) if port else 0,
    )
    if is_sweep and options.port:
        raise UsageError(
            "--port is where the processes of one training meet, not those of a sweep",
            "Leave it out: each finds a free one.",
        )
    return options


def _number(text: str, option: str, least: int, most: int) -> int:
    if re.fullmatch(r"[0-9]{1,6}", text.strip()) and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"{option} takes a number from {least} to {most}, not `{text}`")
