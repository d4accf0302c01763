"""One request to a worker: how long it may be tried again, and what is said when none succeeds."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from sandbox_ops.errors import (
    ConnectError,
    ConnectionLostError,
    NextStep,
    ProtocolError,
    SandboxError,
    TimedOutError,
)
from sandbox_ops.remote.worker import Reply

RECONNECT_TIMEOUT_S = 15.0
"""So long a lost link may come back."""
_TOLD_WITHIN_S = 19.5
"""So long after the machine was last heard the loss is reported: silence takes time to notice."""
_SHORTEST_RECONNECT_S = 5.0
TOO_LITTLE_S = 0.3
"""What is left of the time to reconnect is then too little to connect in."""


@dataclass(slots=True)
class Request:
    """What a worker is asked, and what became of it so far.

    Attributes:
        sent: Whether any of it may have reached the machine.
        give_up_at: When it is reported as lost, by the monotonic clock; None: no loss yet.
        unanswered: How often nothing came in time.
        crashes: How often the worker ended by an error over it.
    """

    verb: str
    arguments: Sequence[str]
    answer_s: float
    future: "Future[Reply]" = field(default_factory=Future)
    started: bool = False
    sent: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    give_up_at: float | None = None
    unanswered: int = 0
    crashes: int = 0

    @property
    def reconnect_left_s(self) -> float:
        """How long a lost link may still be opened again for the sake of it."""
        if self.give_up_at is None:
            return RECONNECT_TIMEOUT_S
        return max(0.0, self.give_up_at - time.monotonic())

    def hit_by_loss(self, noticed_at: float, heard_at: float | None) -> None:
        """Set when to give up, if it is not; a request made during an outage has all the time.

        Args:
            noticed_at: When the loss was noticed.
            heard_at: When the machine last gave a sign of life, if known.
        """
        if self.give_up_at is not None:
            return
        self.give_up_at = max(noticed_at, self.asked_at) + RECONNECT_TIMEOUT_S
        if heard_at is not None and self.asked_at < noticed_at:
            told_at = max(heard_at + _TOLD_WITHIN_S, noticed_at + _SHORTEST_RECONNECT_S)
            self.give_up_at = min(self.give_up_at, told_at)


def no_answer(request: Request) -> TimedOutError:
    """Return the error of a machine that lives, and does not answer."""
    return TimedOutError(
        f"the machine is there, but did not answer `{request.verb}` within "
        f"{request.answer_s:.0f} s, twice",
        "A file system that hangs (NFS), or a machine out of memory: look at it.",
    )


def crashed(where: str, request: Request, reason: Exception) -> ProtocolError:
    """Return the error of a request over which the shell there ends by an error."""
    return ProtocolError(
        f"our shell on {where} failed with an error at `{request.verb}`, twice: {reason}",
        "Its library is in ~/.sandbox-ops/lib there; it may be damaged: remove that "
        "folder, and it is sent again.",
    )


def lost(where: str, request: Request, error: Exception) -> ConnectError:
    """Return the error of a link that did not come back, with why it did not."""
    cause = error.message if isinstance(error, SandboxError) else str(error)
    hints = error.hints if isinstance(error, SandboxError) else ()
    if not request.sent:
        return ConnectError(
            f"the connection to {where} was lost and did not come back in time, so "
            f"`{request.verb}` was never sent: {cause}",
            *hints,
            "Nothing was done. Try again when the machine is reachable.",
        )
    message = (
        f"the connection to {where} was lost and did not come back in time: {cause}"
    )
    return ConnectionLostError(message, *hints, _LOST_HINTS.get(request.verb, _GOES_ON))


_GOES_ON = "What runs there goes on. Try again when the machine is reachable."
_LOST_HINTS: dict[str, str | NextStep] = {
    "start": NextStep(
        "jobs",
        {"all": True},
        "Whether the command was started is not known. Before you start it again",
    ),
    "stop": "Whether the job was stopped is not known: stop it again when the machine "
    "is reachable.",
}
