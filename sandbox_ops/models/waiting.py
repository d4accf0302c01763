"""What a wait for jobs came to. Frozen values, no I/O."""

import enum
from dataclasses import dataclass
from typing import Any

from sandbox_ops.models.jobs import Job

_NOT_WELL = 1
_TIMED_OUT = 124
_UNKNOWN = 255  # as of a lost connection


class WaitEvent(enum.StrEnum):
    """What happened first."""

    ENDED = "ended"
    MATCH = "match"
    WARNING = "warning"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitReport:
    """The first thing that happened to one of the jobs.

    Attributes:
        job: To which job; where the time was over, the first that was waited for.
        line: The line that matched, the warning, or of an ended job what it warned of
            last, else its last line.
        warning_key: Of a warning: give it to the next wait as known, to hear of others.
    """

    event: WaitEvent
    job: Job
    line: str = ""
    warning_key: str = ""

    @property
    def exit_code(self) -> int:
        """As `Job.outcome_code`; a match 0, a warning 1, time over 124."""
        if self.event is WaitEvent.MATCH:
            return 0
        if self.event is WaitEvent.WARNING:
            return _NOT_WELL
        if self.event is WaitEvent.TIMEOUT:
            return _TIMED_OUT
        code = self.job.outcome_code
        return _UNKNOWN if code is None else code

    def as_json(self) -> dict[str, Any]:
        """The report as `wait --json` shows it."""
        return {
            "event": str(self.event),
            "job": self.job.as_json(),
            "line": self.line,
        }
