"""Slurm's words for people: lines of a real squeue, and what is read of them."""

import pytest

from sandbox_ops.models import JobState
from sandbox_ops.remote import slurm_words
from sandbox_ops.remote.job_states import job_state

# `squeue -o '%i|%T|%j|%N|%S|%r'` of slurmctld 22.05.8, as the machine passes it on
REAL = {
    "PENDING N/A Resources": "waits in Slurm: no node has room for it yet (Resources)",
    "PENDING 2026-11-26T03:50:58 Resources": (
        "waits in Slurm: no node has room for it yet (Resources); "
        "expected to start 2026-11-26 03:50"
    ),
    "PENDING 2026-11-26T02:00:28 BeginTime": (
        "waits in Slurm: not before its time (BeginTime); "
        "expected to start 2026-11-26 02:00"
    ),
    "PENDING N/A PartitionTimeLimit": (
        "waits in Slurm: its time is longer than the partition allows (PartitionTimeLimit)"
    ),
    "PENDING N/A ReqNodeNotAvail, UnavailableNodes:n[1-3]": (
        "waits in Slurm: its nodes are not available "
        "(ReqNodeNotAvail, UnavailableNodes:n[1-3])"
    ),
    "PENDING N/A Nodes required for job are DOWN, DRAINED or reserved": (
        "waits in Slurm: Nodes required for job are DOWN, DRAINED or reserved"
    ),
    "PENDING N/A None": "waits in Slurm: for its turn",
    "PENDING N/A Dependency": "waits in Slurm: another job comes first (Dependency)",
    "REQUEUE_HOLD N/A None": "waits in Slurm: held after it was requeued",
    "RUNNING 2026-11-26T01:50:28 node2": "Slurm starts it on node2",
    "SUBMITTED": "handed to Slurm",
    "GONE": "Slurm knows it no more",
    "SILENT slurm_load_jobs error: Unable to contact slurm controller": (
        "Slurm does not answer: slurm_load_jobs error: Unable to contact slurm controller"
    ),
    "": "waits in Slurm: for its turn",
}


@pytest.mark.parametrize(("said", "shown"), REAL.items())
def test_what_squeue_says_is_said_in_words(said: str, shown: str) -> None:
    assert slurm_words.waits_for(said) == shown


def test_its_place_among_all_that_wait_for_the_partition_is_said() -> None:
    said = slurm_words.waits_for("PENDING N/A Resources", ["place 3 41 gpu"])
    assert said.endswith("(Resources); place 3 of 41 in partition gpu")
    for broken in ("place 3", "place x 41 gpu", "place 3 41 gpu more"):
        assert "partition" not in slurm_words.waits_for("PENDING N/A x", [broken])


def test_a_very_long_reason_is_cut() -> None:
    assert len(slurm_words.waits_for(f"PENDING N/A {'x' * 9000}")) < 300


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("reason=node-failed", (JobState.LOST, "its node failed")),
        ("reason=preempted", (JobState.LOST, "preempted in Slurm")),
        ("reason=stopped by=slurm", (JobState.STOPPED, "cancelled in Slurm")),
        ("reason=timed-out", (JobState.TIMED_OUT, "")),
        ("reason=exited code=137 oom=1", (JobState.FAILED, "out of memory")),
    ],
)
def test_an_end_that_slurm_brought_about_is_that_state(
    reason: str, state: tuple[JobState, str]
) -> None:
    fields = dict(word.split("=") for word in f"code=- {reason}".split())
    assert job_state("ended", fields) == state


def test_nobody_guesses_while_slurm_does_not_answer() -> None:
    for phase in ("queued", "starting", "running"):
        assert job_state(phase, {"life": "unclear"}) == (JobState.UNKNOWN, "")
