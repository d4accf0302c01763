"""Groups (sweeps) on a sandbox: look at one, start many jobs at once, name its jobs."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox_ops.engines.options import job_request
from sandbox_ops.errors import NextStep, SandboxError, UsageError
from sandbox_ops.machine import group_replies
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, job_ids
from sandbox_ops.models.groups import CellKey, Group
from sandbox_ops.models.options import JobOptions
from sandbox_ops.remote.start_request import StartRequest

START_AT_ONCE = 25
"""So many starts go in one request: a worker takes about 20 ms for each."""
_MOST_SHOWN = 5
_TRIES = 5
"""So often a start is tried where another client starts the same cell at that moment."""
_CLAIMING_S = 10.0
"""So long that other start may take until it is granted what it claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStart:
    """One job to start in a group."""

    command: str
    options: JobOptions
    cell: CellKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What became of many starts.

    Attributes:
        jobs: Those that were started, in their order.
        error: Why the next was not; None where all were.
    """

    jobs: tuple[Job, ...]
    error: SandboxError | None = field(default=None, compare=False)


def look(
    sandbox: Sandbox, name: str, *, digest_bytes: int = 0, with_records: bool = False
) -> Group | None:
    """Return a group as it is now; None where there is none of that name.

    Args:
        sandbox: Where it is.
        name: Of the group.
        digest_bytes: How many bytes of the end of each log its digest holds; 0: none.
        with_records: Also the run record of each.
    """
    arguments = group_replies.look_words(name, digest_bytes, with_records=with_records)
    segments = sandbox.request("look", *arguments)
    return group_replies.read(name, segments, sandbox.base)


def start_all(sandbox: Sandbox, starts: Sequence[CellStart]) -> Started:
    """Start jobs in their order, `START_AT_ONCE` in a round trip, up to the first error.

    A start that the machine knows by its token is the job that it was.

    Raises:
        SandboxError: As `Sandbox.start` has it, where not even the first was started.
    """
    jobs: list[Job] = []
    group = starts[0].cell.group if starts else ""
    stuck_at, tries_left, claimed_until = -1, 0, 0.0
    with sandbox.acting("start", f"{len(starts)} jobs of {group}") as view:
        while len(jobs) < len(starts):
            sandbox.cancel_token.check()
            batch = starts[len(jobs) : len(jobs) + START_AT_ONCE]
            answers = view.engine.start_all([_request(view, s) for s in batch]).result()
            jobs += [each.job for each in answers if not isinstance(each, SandboxError)]
            error = answers[-1]
            if not isinstance(error, SandboxError):
                continue
            if len(jobs) > stuck_at:
                stuck_at, tries_left = len(jobs), _TRIES
                claimed_until = time.monotonic() + _CLAIMING_S
            is_claimed = error.reason == "claiming" and time.monotonic() < claimed_until
            if is_claimed or (error.reason == "held" and tries_left):
                # perhaps by another client's start of the same cell
                tries_left -= not is_claimed
                threading.Event().wait(random.uniform(0.01, 0.1))  # noqa: S311 - no secret
                continue
            if not jobs:
                raise error
            return Started(jobs=tuple(jobs), error=error)
    return Started(jobs=tuple(jobs))


def _request(sandbox: Sandbox, start: CellStart) -> StartRequest:
    return job_request(
        start.command, start.options, started_by=sandbox.started_by, cell=start.cell
    )


def expand(sandbox: Sandbox, references: Sequence[str]) -> tuple[str, ...]:
    """Return references with each group replaced by the ids of its jobs.

    Costs a round trip where one of them may be a group; ids and numbers cost none.

    Raises:
        UsageError: One of them names nothing.
    """
    expanded: list[str] = []
    for reference in references:
        group = named(sandbox, reference)
        expanded += [job.id for job in group.jobs] if group else [reference]
    return tuple(dict.fromkeys(expanded))


def named(sandbox: Sandbox, reference: str, *, digest_bytes: int = 0) -> Group | None:
    """Return the group that a reference means; None where it means a job.

    Raises:
        UsageError: It names nothing.
    """
    read_as = job_ids.reference(reference)
    if not read_as.may_be_group:
        return None
    return look(sandbox, read_as.text, digest_bytes=digest_bytes)


def not_one_job(group: Group) -> UsageError:
    """Return the error of who names a group where one job is wanted."""
    shown = [f"{group.name}/{each.number}" for each in group.members[:_MOST_SHOWN]]
    return UsageError(
        f"{group.name} is a group of {len(group.members)} jobs; name one of them:"
        f" {', '.join(shown)}",
        NextStep("jobs", {"job": group.name}, "See them"),
    )
