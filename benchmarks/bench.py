"""What every group of rows is given, and the names of what stands in them."""

from dataclasses import dataclass
from pathlib import Path

from sshd import SshServer

from sandbox_ops import Sandbox

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how often to measure.

    Attributes:
        server: An sshd on loopback with an empty remote home.
        folder: An empty folder for what a group needs besides.
        rounds: How often the quickest things are done; slow ones are done less often.
    """

    server: SshServer
    folder: Path
    rounds: int

    def fewer(self, by: int, least: int = 3) -> int:
        """Return the rounds of something slow."""
        return max(least, self.rounds // by)


def opened(server: SshServer) -> Sandbox:
    """Return a sandbox on the server, near or far; it connects on first use."""
    return Sandbox(server.config(host=server.host))


def run_true(sandbox: Sandbox) -> None:
    """Run `true` on record, and insist on its success."""
    result = sandbox.run("true")
    assert result.ok, result
