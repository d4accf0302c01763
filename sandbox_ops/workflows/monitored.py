"""What a look at a machine is about: all of it, one job, or the jobs of a group."""

from dataclasses import replace

from sandbox_ops.machine import groups, jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import JobState, MachineStatus
from sandbox_ops.models.groups import Group
from sandbox_ops.workflows.group_summary import DIGEST_BYTES

_MOST_GROUPS = 3


def narrow(
    sandbox: Sandbox, status: MachineStatus, job: str
) -> tuple[MachineStatus, tuple[Group, ...]]:
    """Return what was seen of that job or group alone, and the groups that have rows.

    Args:
        sandbox: The machine.
        status: What was seen of all.
        job: A job or a group; "" for all, with rows of the groups that live, the newest
            three.

    Raises:
        NotFoundError: There is no such job or group.
    """
    if not job:
        return status, _living(sandbox, status)
    group = groups.named(sandbox, job, digest_bytes=DIGEST_BYTES)
    if group is None:
        wanted = jobs.get(sandbox, job)
        seen = [each for each in status.jobs if each.id == wanted.id]
        return replace(status, jobs=tuple(seen or [wanted])), ()
    members = (*group.members, *([group.then] if group.then else []))
    digests = {each.job.id: each.digest for each in members if each.digest}
    digests |= {key: status.digests[key] for key in digests.keys() & status.digests}
    return replace(status, jobs=group.jobs, digests=digests), (group,)


def _living(sandbox: Sandbox, status: MachineStatus) -> tuple[Group, ...]:
    names = [
        job.group
        for job in status.jobs
        if job.group and (not job.state.ended or job.state is JobState.UNKNOWN)
    ]
    looked = (
        groups.look(sandbox, name, digest_bytes=DIGEST_BYTES)
        for name in list(dict.fromkeys(names))[:_MOST_GROUPS]
    )
    return tuple(group for group in looked if group is not None)
