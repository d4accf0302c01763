"""The first lines of a job that was just started, which is asked for next anyway."""

from sandbox_ops.machine import log_reading, waiting
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.waiting import WaitFor
from sandbox_ops.models import Job

_WAIT_S = 2.0
_LINES = 8


def first_lines(
    sandbox: Sandbox, job_id: str, wait_s: float = _WAIT_S
) -> tuple[Job, tuple[str, ...]]:
    """Wait a little, or to the job's end or its first warning; return what it wrote.

    Raises:
        SandboxError: The machine cannot be asked any more.
    """
    waiting.wait(sandbox, [job_id], WaitFor(timeout_s=wait_s))
    reading = log_reading.read(sandbox, job_id, lines=_LINES)
    return reading.job, tuple(reading.page.text.splitlines())
