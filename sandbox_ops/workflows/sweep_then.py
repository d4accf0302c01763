"""What runs on the machine when all jobs of a sweep have ended: a job of its queue.

It waits for every job of the group that has not ended. Where cells are started after it was
queued, another takes its place, so that it runs once, after all of them.
"""

from collections.abc import Mapping, Sequence

from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import groups, jobs
from sandbox_ops.machine.groups import CellStart
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState, job_ids
from sandbox_ops.models.groups import CellKey, Group
from sandbox_ops.models.queue import ANY_END, QueueRequest
from sandbox_ops.workflows import sweep_plan
from sandbox_ops.workflows.preparation import Preparation, RunPlan

_ALL = ("same-name", "same-output")  # it takes the place of the one before
_COMMAND_IN_RECORD = 4000  # start_request.py keeps no more of it


def is_wanted(group: Group, command: str, n_started: int) -> bool:
    """Return whether something is to be started that runs after all others. Pure.

    Args:
        group: As it was before the start.
        command: What was asked for; "": what the group had.
        n_started: How many of its cells are started now.
    """
    before = group.then
    if before is None:
        return bool(command)
    if n_started or not command:
        return n_started > 0
    same = before.identity == _identity(group, command)
    return not same or before.job.state in (JobState.STOPPED, JobState.LOST)


def start(  # each is one fact of it
    sandbox: Sandbox,
    ready: Preparation,
    group: Group,
    started: Sequence[Job],
    command: str,
    env: Mapping[str, str] | None,
) -> Job:
    """Queue what runs when all jobs of the group have ended; return its job.

    Args:
        sandbox: Where they are.
        ready: What was looked at before the start.
        group: As it was before the start.
        started: The jobs that were started now.
        command: A shell line; "": what the group had.
        env: Variables for it.

    Raises:
        RefusedError: The command that the group had is not known whole.
        SandboxError: As `Sandbox.start` has it.
    """
    command = command_of(group, command)
    identity = _identity(group, command)
    key = CellKey(
        group=group.name, number=0, identity=identity, commit=ready.tree.head or ""
    )
    run = RunPlan(command, {}, f"{group.name}-{job_ids.THEN}")
    options = ready.job_options(
        run, env=env, time_s=None, force=_ALL, more={"group": group.name}
    )
    options["queue"] = QueueRequest(after=tuple(_after(group, started)))
    options["token"] = sweep_plan.token(key, group.starts.get(identity, 0))
    options["files"] = {
        **(options["files"] or {}),
        job_ids.THEN: f"{job_ids.name_key(group.name)}\n",
    }
    one = CellStart(command=command, options=options, cell=key)
    job = groups.start_all(sandbox, [one]).jobs[0]
    before = group.then
    if before and before.job.state is JobState.QUEUED and before.job.id != job.id:
        jobs.stop(sandbox, before.job.id)
    return job


def _after(group: Group, started: Sequence[Job]) -> list[str]:
    """Return what it waits for, the newest first: that is the last to end."""
    cells = {job.cell for job in started}
    living = [
        member.job
        for member in group.members
        if not member.job.state.ended and member.number not in cells
    ]
    return [f"{job.id}{ANY_END}" for job in reversed((*living, *started))]


def _identity(group: Group, command: str) -> str:
    return sweep_plan.digest(group.name, job_ids.THEN, command)


def command_of(group: Group, command: str) -> str:
    """Return what runs: what was asked for, else what the group had.

    Raises:
        RefusedError: The command that the group had is not known whole.
    """
    if command or not group.then:
        return command
    before = group.then.job.command
    if len(before) >= _COMMAND_IN_RECORD:
        raise RefusedError(
            f"what runs after {group.name} is too long to be read from its record",
            "Give it again: --then COMMAND",
        )
    return before
