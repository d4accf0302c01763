"""What becomes of a training in its first second: one that cannot even begin is reported at once."""

from dataclasses import replace

from sandbox_ops.errors import NextStep
from sandbox_ops.machine.first_lines import first_lines
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState
from sandbox_ops.workflows.train import TrainReport

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_NO_PROGRAM = (
    "The machine has no such program in its PATH. Of a virtual environment, name its path "
    "or use `uv run python ...`; without one it is often python3."
)


def look(sandbox: Sandbox, report: TrainReport, wait_s: float = 1.0) -> TrainReport:
    """Return the report with the training as it is then, and what it wrote first.

    Args:
        sandbox: Where it runs.
        report: As `train` returned it.
        wait_s: How long to wait at most: to its end, or to its first warning.

    Raises:
        SandboxError: The machine cannot be asked any more.
    """
    job, lines = first_lines(sandbox, report.job.id, wait_s)
    return replace(report, job=job, first_lines=lines)


def advice(job: Job) -> tuple[str | NextStep, ...]:
    """Return what to do about a training that failed at once. Pure."""
    if job.state is not JobState.FAILED:
        return ()
    read = NextStep("logs", {"job": job.id}, "All that it wrote")
    if job.exit_code not in {_NOT_FOUND, _NOT_EXECUTABLE}:
        return (read,)
    return (
        _NO_PROGRAM,
        NextStep("setup", purpose="Install the project's environment"),
        NextStep("doctor", purpose="See the PATH, uv and python there"),
        read,
    )
