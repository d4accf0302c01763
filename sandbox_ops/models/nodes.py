"""How a training goes over several nodes: of a Slurm cluster, or a sandbox each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_ops.errors import UsageError

ANY = "any"


def log_prefix(rank: int, machine: str) -> str:
    """Return what the lines of a node of a run over several machines begin with."""
    return f"[{rank} {machine}] "


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

    def are_machines(
        self, on: str, names: Sequence[str], *, are_clusters: bool
    ) -> bool:
        """Whether each sandbox of a list is a node, and not one of them takes it all.

        Args:
            on: How the sandboxes were named: `any` takes one of them.
            names: Which those are.
            are_clusters: Each of them is a Slurm cluster, which gives the nodes itself.

        Raises:
            UsageError: As many nodes as there are sandboxes cannot be.
        """
        if not self.any_given or are_clusters:
            return False
        if self.count > 1 and (on == ANY or self.count != len(names)):
            named = "`any` takes one" if on == ANY else f"{len(names)} are named"
            raise UsageError(
                f"{self.count} nodes are wanted, and of these sandboxes {named}",
                "Name as many sandboxes as it takes: gpu1,gpu2",
            )
        return on != ANY and len(names) > 1 and self.count != 1
