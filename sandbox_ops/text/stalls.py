"""When a silent job is one that stands still. Pure: the clock is the caller's.

A job that never said how far it is may be silent for any time: a build, a copy. One that
reported steps or metrics and says nothing more has stalled.
"""

from sandbox_ops.text import formatting
from sandbox_ops.text.log_warnings import LogWarning
from sandbox_ops.text.progress import Progress

STALL_S = 900.0
"""So long a training may say nothing: a validation or a checkpoint may take that."""


def reports(progress: Progress) -> bool:
    """Whether the log is that of a training which says how far it is."""
    return progress.step is not None or bool(progress.metrics)


def warning(silent_s: float, stall_s: float = STALL_S) -> LogWarning | None:
    """Return the warning that a job which reports is silent for too long, if it is."""
    if not stall_s or silent_s < stall_s:
        return None
    return LogWarning("stalled", f"nothing written for {formatting.duration(silent_s)}")
