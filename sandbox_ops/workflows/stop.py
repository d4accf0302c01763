"""stop: end a job; one that somebody else started only when that is confirmed."""

from dataclasses import dataclass, replace

from sandbox_ops.guard import acts
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, StopReport


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldStop:
    """Somebody else's job, which lives, and its processes: nothing was done."""

    job: Job
    processes: tuple[str, ...]


def stop(
    sandbox: Sandbox, job: str, *, confirm: bool = False
) -> StopReport | WouldStop:
    """End a job with every process of it.

    Args:
        sandbox: Where it is.
        job: Which one; see `jobs.get`.
        confirm: Also where another session started it.

    Raises:
        DeniedError: The machine's mode does not allow it.
        NotFoundError: There is no such job.
        SandboxError: As `jobs.stop` has it.
    """
    acts.check(sandbox.config, "stop")  # before it is looked for
    meant, *others = jobs.to_stop(sandbox, job)
    found = jobs.get(sandbox, meant)
    lives = not found.state.ended or found.survivors > 0
    if lives and not confirm and found.started_by != sandbox.started_by:
        return WouldStop(job=found, processes=jobs.processes(sandbox, found))
    return replace(jobs.stop(sandbox, found.id), same_name=tuple(others))
