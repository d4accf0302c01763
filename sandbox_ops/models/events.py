"""What happens to jobs and machines, each as one line of `events`. Frozen values, no I/O."""

import enum
from dataclasses import dataclass
from typing import Any


class EventKind(enum.StrEnum):
    """What happened."""

    QUEUED = "queued"
    STARTED = "started"
    ENDED = "ended"
    WARNING = "warning"
    UNREACHABLE = "unreachable"
    REACHABLE = "reachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        at: In seconds since 1970: when a job started or ended, by the machine's clock;
            of anything else when it was noticed, by ours.
        job: Its id; None where it is about the machine; so are the three that follow.
        state: Of the job, as it was when that was noticed.
        message: In words: how it ended, what looks wrong, why it cannot be reached.
        cursor: Where to go on: what comes after this event, on every machine.
    """

    at: float
    kind: EventKind
    sandbox: str
    job: str | None = None
    name: str | None = None
    state: str | None = None
    exit_code: int | None = None
    message: str = ""
    cursor: str = ""

    def as_json(self) -> dict[str, Any]:
        """The event as `events --json` shows it."""
        return {
            "at": self.at,
            "event": str(self.kind),
            "sandbox": self.sandbox,
            "job": self.job,
            "name": self.name,
            "state": self.state,
            "exit_code": self.exit_code,
            "message": self.message,
            "cursor": self.cursor,
        }
