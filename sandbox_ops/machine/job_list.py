"""Many jobs at once: the newest, and all that one look at a machine shows."""

import dataclasses
import heapq
from collections.abc import Iterable

from sandbox_ops.errors import UsageError
from sandbox_ops.machine import readings
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, MachineStatus, job_ids
from sandbox_ops.remote import job_replies, scripts


def recent(
    sandbox: Sandbox, limit: int = 50, *, include_commands: bool = False
) -> tuple[Job, ...]:
    """Return the newest jobs, newest first, and every older one that has not ended.

    Args:
        sandbox: Where they are.
        limit: At most so many of those that ended.
        include_commands: Also what somebody waited for (`run`, `remote_bash`), and our
            own recorded steps. Without it those alone that still run, or left processes
            that live: they use the machine as a job does.

    Raises:
        UsageError: The limit is below 0.
    """
    if limit < 0:
        raise UsageError(
            f"--limit takes how many jobs, not {limit}; 0: only those that run"
        )
    reply = sandbox.request("look", "all" if include_commands else "jobs", str(limit))
    replies = job_replies.jobs(reply, sandbox.base).values()
    return newest_first((reply.job for reply in replies), limit)


def running_first(jobs: Iterable[Job], most_commands: int = 5) -> tuple[Job, ...]:
    """Sort for a reader: those that live, then the newest; jobs before commands.

    Args:
        jobs: Some or all.
        most_commands: How many commands that ended may be among them; of our own
            recorded steps there is none.
    """
    shown = [job for job in jobs if _lives(job) or not is_own_step(job)]
    by_number = sorted(shown, key=lambda job: job_ids.number(job.id), reverse=True)

    def place(job: Job) -> tuple[bool, bool]:
        return not _lives(job), job_ids.is_command(job.id)

    in_order = sorted(by_number, key=place)
    dead_commands = [job for job in in_order if place(job) == (True, True)]
    left_out = {job.id for job in dead_commands[most_commands:]}
    return tuple(job for job in in_order if job.id not in left_out)


def living_named(sandbox: Sandbox, name: str) -> tuple[Job, ...]:
    """Return the jobs of a name that have not ended, newest first."""
    return tuple(
        job
        for job in recent(sandbox)
        if job.name == name and not job.foreground and not job.state.ended
    )


def _lives(job: Job) -> bool:
    return not job.state.ended or job.survivors > 0


def is_own_step(job: Job) -> bool:
    """Whether it is a recorded step of ours, not a command of somebody's."""
    return job.foreground and job.command.partition(" ")[0] in scripts.names()


def newest_first(jobs: Iterable[Job], limit: int) -> tuple[Job, ...]:
    """Sort by start; keep the newest `limit`, and all that live or left processes.

    Of one kind the number decides: clocks of a machine differ by up to a second.
    """
    by_number = sorted(jobs, key=lambda job: job_ids.number(job.id), reverse=True)
    merged = heapq.merge(
        (job for job in by_number if not job_ids.is_command(job.id)),
        (job for job in by_number if job_ids.is_command(job.id)),
        key=lambda job: -(job.requested_at or 0),
    )
    return tuple(
        job
        for place, job in enumerate(merged)
        if place < limit or not job.state.ended or job.survivors
    )


def status(
    sandbox: Sandbox, *, path: str, tails: int = 8192, project_path: str = ""
) -> MachineStatus:
    """Look at everything in one round trip.

    Args:
        sandbox: Which machine.
        path: The disk that matters holds this path.
        tails: How many bytes of the end of each job's log its digest holds; of one
            that ended 4096 are kept. 0: there are no digests, nor how busy the jobs are.
        project_path: A clone, to learn how much its runs write; "": that is not asked.
    """
    which = ("digests", str(tails)) if tails else ("jobs", "50")
    reply = sandbox.request(
        *("look", *which, "gpu", "-", "disk", path, "load", "-", "foreign", "-"),
        *(("usage", "0") if tails else ()),
        *(("sizes", project_path) if project_path else ()),
    )
    replies = job_replies.jobs(reply, sandbox.base)
    return dataclasses.replace(
        readings.status(reply),
        jobs=tuple(each.job for each in replies.values()),
        digests=dict(readings.digests(reply)),
        use=readings.use(reply),
        written=readings.written(reply),
    )
