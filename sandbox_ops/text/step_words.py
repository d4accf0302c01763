"""How a face writes a next step: as a command line, or as a tool call. Pure."""

from collections.abc import Callable
from typing import Protocol

from sandbox_ops.errors import NextStep, SandboxError
from sandbox_ops.models import Job
from sandbox_ops.text import formatting


class StepWords(Protocol):
    """Writes a next step as a face has it: a command line, or a tool call."""

    def of(self, step: NextStep) -> str:
        """Return how a step is taken."""
        ...

    def read_file(self, path: str, **lines: int) -> str:
        """Return how a file on the machine is read: `offset`, `limit`."""
        ...


def error_text(problem: SandboxError, step: Callable[[NextStep], str]) -> str:
    """Return what went wrong, then each hint on a line.

    What went wrong may quote a machine: no line of it but the first, which begins
    with our own replacements, begins as a hint does.
    """
    hints = (step(h) if isinstance(h, NextStep) else h for h in problem.hints)
    first, *more = problem.message.splitlines() or [""]
    return "\n".join((first, *(f"  {line}" for line in more), *hints))


def read_job(steps: StepWords, job_id: str) -> str:
    """Return how a job is read."""
    return steps.of(NextStep("logs", {"job": job_id}))


def stop_job(steps: StepWords, job: Job) -> str:
    """Return what a job left running and what ends it; "" if nothing."""
    alive = formatting.survivors_words(job)
    stop = steps.of(NextStep("stop", {"job": job.id}))
    return f"{alive}; end: {stop}" if alive else ""
