"""What a wait for jobs came to. Frozen values, no I/O."""

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.models.jobs import Job, JobState

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
        jobs: Where all were waited for and have ended: all of them. Then `job` is the first
            that did not succeed, if one did not.
        warnings: What looked wrong in the log of the job that ended; where all were waited
            for, each behind its job.
    """

    event: WaitEvent
    job: Job
    line: str = ""
    warning_key: str = ""
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()

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
        shown = {
            "event": str(self.event),
            "job": self.job.as_json(),
            "line": self.line,
            "warnings": list(self.warnings),
        }
        if not self.jobs:
            return shown
        return shown | {"jobs": [job.as_json() for job in self.jobs]}


def all_ended(jobs: Sequence[Job]) -> WaitReport:
    """Return the report of a wait for all of some jobs, which have ended. Pure."""
    states = Counter(str(job.state) for job in jobs)
    bad = [job for job in jobs if job.state is not JobState.SUCCEEDED]
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    return WaitReport(
        event=WaitEvent.ENDED,
        job=(*bad, *jobs)[0],
        line=f"{len(jobs)} ended: {counts}",
        jobs=tuple(jobs),
    )
