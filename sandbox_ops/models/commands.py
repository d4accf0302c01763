"""How a command ended, and what it said. Frozen values, no I/O."""

import enum
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.models.jobs import Job


class EndKind(enum.StrEnum):
    """The four ways a command can end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed-out"
    CONNECTION_LOST = "connection-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a stream held: all of it, or its head and tail.

    Attributes:
        head: The first bytes; everything, where nothing was left out.
        tail: The last bytes, where `omitted_bytes` lie between.
        size_bytes: How much there is on the machine.
    """

    head: bytes = b""
    tail: bytes = b""
    size_bytes: int = 0

    @property
    def omitted_bytes(self) -> int:
        """How many bytes lie between head and tail and were not fetched."""
        return max(0, self.size_bytes - len(self.head) - len(self.tail))

    @property
    def text(self) -> str:
        """Head and tail as text; invalid UTF-8 stays visible as backslash escapes."""
        head = self.head.decode("utf-8", "backslashreplace")
        if not self.omitted_bytes:
            return head + self.tail.decode("utf-8", "backslashreplace")
        gap = f"\n... {self.omitted_bytes} bytes left out ...\n"
        return head + gap + self.tail.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a foreground command ended, and what it said.

    Attributes:
        job: Its record; state `UNKNOWN` where the connection was lost.
        end: Which of the four ends it was.
        left: Processes of a timed-out command that could not be ended. Empty: the
            whole tree is dead.
    """

    job: Job
    end: EndKind
    stdout: Output = field(default_factory=Output)
    stderr: Output = field(default_factory=Output)
    left: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.end is EndKind.EXITED and self.job.exit_code == 0

    @property
    def exit_code(self) -> int:
        """As `Job.outcome_code`; 124 timed out, 255 connection lost."""
        if self.end is EndKind.TIMED_OUT:
            return 124
        code = self.job.outcome_code
        if self.end is EndKind.CONNECTION_LOST or code is None:
            return 255
        return code

    @property
    def tree_dead(self) -> bool | None:
        """Whether no process of it can be found any more; None where nobody could look."""
        if self.end is EndKind.CONNECTION_LOST:
            return None
        return not self.left and not self.job.survivors

    def as_json(self) -> dict[str, Any]:
        """The result as `run --json` shows it."""
        return {
            "job": self.job.as_json(),
            "end": str(self.end),
            "tree_dead": self.tree_dead,
            "left": list(self.left),
            "stdout": self.stdout.text,
            "stderr": self.stderr.text,
        }
