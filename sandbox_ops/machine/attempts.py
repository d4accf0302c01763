"""The attempts of a job, one round trip: how each ended, and its part of the log."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState
from sandbox_ops.remote import job_replies
from sandbox_ops.remote.frames import Segment
from sandbox_ops.remote.job_states import number

_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a job ran.

    Attributes:
        job: The job as this attempt was: its state, exit code and times.
        log_from: Where in the job's log it begins, in bytes.
        log_to: Where the next begins, or the log ends; None where that is not known.
    """

    job: Job
    log_from: int
    log_to: int | None

    def as_json(self) -> dict[str, Any]:
        """The attempt as `show --json` shows it."""
        names = ("state", "reason", "exit_code", "signal", "started_at", "elapsed_s")
        facts = self.job.as_json()
        return {
            "attempt": self.job.attempt,
            **{name: facts[name] for name in names},
            "ended_at": facts["ended_at"],
            "log_path": self.job.log_path,
            "log_from": self.log_from,
            "log_to": self.log_to,
        }


def look(sandbox: Sandbox, job: Job) -> tuple[Attempt, ...]:
    """Return the attempts of a job, oldest first; none of a job that never was queued.

    Args:
        sandbox: Where it is.
        job: As the machine has just said it.

    Raises:
        ConnectError: The machine cannot be reached.
    """
    if not job.attempt:
        return ()
    return read(sandbox.request("look", "attempts", job.id), job)


def read(segments: Sequence[Segment], job: Job) -> tuple[Attempt, ...]:
    """Return what an answer says; a line that cannot be read is left out. Pure."""
    said = next((each for each in segments if each.what == "attempts"), None)
    if said is None:
        return ()
    lines = said.data.decode("ascii", "replace").splitlines()[:_MOST]
    begun = list(_ended(lines, job))
    if job.started_at is not None and job.state is not JobState.QUEUED:
        begun.append((job, number(said.fields, "at") or 0 if begun else 0))
    ends = [*(at for _, at in begun[1:]), number(said.fields, "size")]
    return tuple(
        Attempt(job=each, log_from=at, log_to=end)
        for (each, at), end in zip(begun, ends, strict=False)
    )


def _ended(lines: Sequence[str], job: Job) -> Iterator[tuple[Job, int]]:
    for line in lines:
        segment = Segment(b"", "job", (job.id, "life=gone", "ended", *line.split()))
        attempt = number(segment.fields, "attempt")
        if not attempt:
            continue
        then = job_replies.jobs((segment,), "")[job.id].job
        if segment.fields.get("reason") == "lost":
            then = dataclasses.replace(then, state=JobState.LOST, reason="killed")
        yield (
            dataclasses.replace(
                job,
                attempt=attempt,
                state=then.state,
                reason=then.reason,
                waits_for="",
                exit_code=then.exit_code,
                signal=then.signal,
                signal_certain=then.signal_certain,
                started_at=job_replies.seconds(segment.fields, "t0"),
                elapsed_s=job_replies.span_s(segment.fields),
                ended_at=then.ended_at,
            ),
            number(segment.fields, "log") or 0,
        )
