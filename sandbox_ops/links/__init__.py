"""What carries a worker's bytes to a machine: two protocols, and whatever keeps them.

A `Link` is a running command with bytes in and out; `Links` open as many as are needed
to one machine. `remote` knows these alone. The default is a Fabric channel
(`sandbox_ops.ssh`); `process.ProcessLinks` runs any command on this computer that leads
to a `sh`: `sh` itself, `ssh`, `docker exec -i`, `kubectl exec -i`, `srun`.
"""

import enum
from typing import Protocol

CHUNK_BYTES = 1 << 18


class LinkError(Exception):
    """The connection under a link died, or the link did."""


class SessionLimitError(Exception):
    """No further link can be opened now (MaxSessions of sshd_config(5))."""


class LinkEnd(enum.Enum):
    """Why nothing comes any more."""

    FINISHED = "finished"
    """The command ended by itself."""
    DIED = "died"
    """What carried the bytes died; what became of the command is unknown."""


class Link(Protocol):
    """One running command. Used by one thread at a time."""

    @property
    def is_open(self) -> bool:
        """Whether it may still carry bytes, as far as is known without asking."""

    def send(self, data: bytes) -> None:
        """Send it all.

        Raises:
            LinkError: The link is gone.
        """

    def end_input(self) -> None:
        """Say that nothing more is sent: the command reads the end of its input."""

    def receive(self, timeout_s: float, size_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come, at least a byte; nothing where the link has ended.

        Raises:
            TimeoutError: Nothing came in time.
            LinkError: The link is gone.
        """

    def end(self) -> LinkEnd:
        """Say why it ended. To be asked once `receive` has returned nothing."""

    def complaint(self) -> str:
        """Return the first of what the command said on stderr so far."""

    def close(self) -> None:
        """End the link; what was started detached lives on. A dead link is no error."""


class Links(Protocol):
    """Opens links to one machine. Threads share it."""

    @property
    def description(self) -> str:
        """The machine, as messages name it."""

    @property
    def is_connected(self) -> bool:
        """Whether a link can be opened without connecting again."""

    @property
    def heard_at(self) -> float | None:
        """When the machine last gave a sign of life, by the monotonic clock, if known."""

    def connect(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """Connect, if need be; of many threads one does.

        Args:
            within_s: Give up after so long. None: as the kind of link has it.
            asked_at: When it was asked for, by the monotonic clock: an attempt of
                another thread that failed later than that is not made again.

        Raises:
            ConnectError: Says what failed, and what to do.
        """

    def open_link(self, command: str) -> Link:
        """Run a command line of the machine's shell; return its bytes in and out.

        Raises:
            SessionLimitError: No further link now.
            LinkError: The connection died.
        """

    def another(self) -> "Links":
        """Return a second connection to the same machine, not open yet; close it."""

    def close(self) -> None:
        """Close every link. What runs on the machine goes on."""
