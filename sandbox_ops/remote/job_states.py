"""Which state a job is in, from its record and from what lives. Pure."""

import re

from sandbox_ops.models import JobState, job_ids
from sandbox_ops.models.jobs import NEVER_STARTED
from sandbox_ops.models.queue import ANY_END
from sandbox_ops.remote import slurm_words

_START_WINDOW_CS = 3000
"""How long a record may say `starting`: the supervisor that was launched may be on its
way. It begins nothing once half of that is over."""


def job_state(phase: str, fields: dict[str, str]) -> tuple[JobState, str]:
    """Decide a job's state from its record and from what lives; return the reason too.

    Args:
        phase: `queued`, `starting`, `running` or `ended`, as the record says.
        fields: The record's other words; `life` is what the machine found when it
            looked for the processes of the record.
    """
    life = fields.get("life", "gone")
    if phase == "ended":
        return _ended(fields)
    if life == "unclear":
        phase = ""
    if phase == "queued" or life == "again":
        return JobState.QUEUED, ""
    if life == "restarted":
        return JobState.LOST, _end_of_machine(phase, fields)
    if phase == "running":
        node = fields.get("host" if life == "elsewhere" else "node", "")
        where = f"on {node}" if node else ""
        return _RUNNING.get(life, (JobState.RUNNING, where))
    if phase == "starting":
        return _starting(fields)
    return JobState.UNKNOWN, "" if life == "unclear" else "its record cannot be read"


def _end_of_machine(phase: str, fields: dict[str, str]) -> str:
    if "departed" in fields:
        return f"its machine {fields.get('host', '')} is gone"
    if "over" not in fields:
        return "reboot"
    began = phase == "running" or "begun" in fields
    return "killed" if began else NEVER_STARTED


def _starting(fields: dict[str, str]) -> tuple[JobState, str]:
    age = (number(fields, "now") or 0) - (number(fields, "up0") or 0)
    if age <= _START_WINDOW_CS:
        return JobState.STARTING, ""
    if fields.get("life") == "orphaned":
        return _RUNNING["orphaned"]
    return JobState.LOST, "killed" if "begun" in fields else NEVER_STARTED


_RUNNING = {
    "gone": (JobState.LOST, "killed"),
    "orphaned": (JobState.RUNNING, "unsupervised"),
    "suspended": (JobState.RUNNING, "suspended by Slurm"),
}


def _ended(fields: dict[str, str]) -> tuple[JobState, str]:
    reason = fields.get("reason", "exited")
    if reason == "stopped":
        return JobState.STOPPED, "cancelled in Slurm" if "by" in fields else ""
    if reason == "timed-out":
        return JobState.TIMED_OUT, ""
    if reason == "unmet":
        return JobState.STOPPED, f"{_job_of_after(fields)} did not succeed"
    if reason == "late" and (number(fields, "attempt") or 1) > 1:
        reason = _LATE_AGAIN
    if reason in _LOST:
        return JobState.LOST, _LOST[reason]
    if fields.get("code") == "0":
        return JobState.SUCCEEDED, ""
    return _failed(fields)


def _failed(fields: dict[str, str]) -> tuple[JobState, str]:
    if "first" in fields:
        return _ended_for_another(fields["first"])
    return JobState.FAILED, "out of memory" if "oom" in fields else ""


def _ended_for_another(first: str) -> tuple[JobState, str]:
    """Return how a node of a run ended that was ended because another one had."""
    rank, _, rest = first.partition(":")
    machine, _, how = rest.rpartition(":")
    state, verb = _ENDS_OF_NODES.get(
        how, (JobState.FAILED, f"failed first: exit code {how}")
    )
    return state, f"rank {rank} on {machine} {verb}"


_ENDS_OF_NODES = {
    "stopped": (JobState.STOPPED, "was stopped"),
    "timed-out": (JobState.TIMED_OUT, "reached its deadline"),
    "lost": (JobState.FAILED, "was lost"),
}


_LATE_AGAIN = "late-again"
_LOST = {
    "late": NEVER_STARTED,
    _LATE_AGAIN: "not started again",
    **slurm_words.LOST,
}


def _job_of_after(fields: dict[str, str]) -> str:
    job = fields.get("after", "").removesuffix(ANY_END)
    return job if job_ids.is_id(job) else "a job that comes first"


def number(fields: dict[str, str], name: str) -> int | None:
    """Return a field as a number; None where a broken record does not hold one."""
    text = fields.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else None


_NUMBER = re.compile(r"-?[0-9]{1,18}")
