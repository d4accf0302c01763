"""The options of a training over several nodes, as they stand on a command line. Pure."""

import re
from dataclasses import dataclass

from sandbox_ops.errors import UsageError

_LAST_PORT = 65534  # the one after it is needed, too


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """How a training goes over several nodes.

    Attributes:
        count: How many; 0: that was not said.
        torchrun: Whether torchrun runs the command.
        port: Where its processes meet; 0: at a free one.
    """

    count: int = 0
    torchrun: bool = False
    port: int = 0

    @property
    def any_given(self) -> bool:
        """Whether any of them was given."""
        return bool(self.count or self.torchrun or self.port)


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
    if is_sweep and options.any_given:
        raise UsageError(
            "--nodes, --torchrun and --port start one training, not a sweep",
            "Write `torchrun --standalone` in the command of a sweep.",
        )
    return options


def _number(text: str, option: str, least: int, most: int) -> int:
    if re.fullmatch(r"[0-9]{1,6}", text.strip()) and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"{option} takes a number from {least} to {most}, not `{text}`")
