"""What Slurm says of a job, from its words to those of people. Pure.

What the machine sends: a state, an expected start and a reason, as squeue has them, and then its
place among all that wait for the partition; or a word of our own (`find_slurm_life` in scripts/lib/slurm_life.sh).
"""

import re
from collections.abc import Sequence

_LONGEST = 200

LOST = {
    "node-failed": "its node failed",
    "boot-failed": "its node did not boot",
    "preempted": "preempted in Slurm",
    "refused": "Slurm refused it when it was sent again",
    "unseen": "Slurm ran its script, which left no word: do the nodes see this home?",
    "script-killed": "its batch script was killed on the node",
    "forgotten": "Slurm knows it no more, and it left no end",
}
"""Why a job is lost, by what the machine wrote as the reason of its end."""

_REASONS = {
    "Resources": "no node has room for it yet",
    "Priority": "others come first",
    "Dependency": "another job comes first",
    "BeginTime": "not before its time",
    "JobHeldUser": "held by its user",
    "JobHeldAdmin": "held by an administrator",
    "PartitionTimeLimit": "its time is longer than the partition allows",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "ReqNodeNotAvail": "its nodes are not available",
    "Licenses": "no license is free",
    "DependencyNeverSatisfied": "a job that comes first did not succeed",
}
"""What people should know of squeue's reasons; the others go as Slurm has them."""


def waits_for(text: str, more: Sequence[str] = ()) -> str:
    """Return why a job waits in Slurm, or why nothing is known of it.

    Args:
        text: The first line that the machine sent.
        more: The others: `place N TOTAL PARTITION`, where that is known.
    """
    state, _, rest = text[:_LONGEST].partition(" ")
    if state == "SILENT":
        return f"Slurm does not answer: {rest}"
    if state == "GONE":
        return "Slurm knows it no more"
    if state == "STATE":
        return f"Slurm says {rest}"
    if state == "SUBMITTED":
        return "handed to Slurm"
    start, _, reason = rest.partition(" ")
    if state in _BEGINS:
        return f"Slurm starts it on {reason}" if reason else "Slurm starts it"
    why = _reason(state, reason)
    expected = f"; expected to start {_moment(start)}" if "T" in start else ""
    return f"waits in Slurm: {why}{_place(more)}{expected}"


def _place(lines: Sequence[str]) -> str:
    for line in lines:
        match = _PLACE.fullmatch(line)
        if match:
            return "; place {} of {} in partition {}".format(*match.groups())
    return ""


_PLACE = re.compile(r"place ([0-9]{1,9}) ([0-9]{1,9}) ([^\s|,]{1,60})")


_BEGINS = {"CONFIGURING", "RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "RESIZING"}


def _reason(state: str, reason: str) -> str:
    if state == "REQUEUE_HOLD":
        return "held after it was requeued"
    word = reason.strip("()").split(",")[0].replace(" ", "")
    meaning = _REASONS.get(word, "")
    if not meaning:
        return reason if reason not in {"", "None"} else "for its turn"
    return f"{meaning} ({reason})"


def _moment(start: str) -> str:
    """Return `2026-11-26T03:50:58` as `2026-11-26 03:50`, by the machine's clock."""
    return start[:16].replace("T", " ")
