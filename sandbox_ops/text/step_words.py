"""How a face says what to do next: each has its own way, a command or a call. Pure."""

from typing import Protocol

from sandbox_ops.errors import NextStep
from sandbox_ops.models import Job
from sandbox_ops.text import formatting


class StepWords(Protocol):
    """What says a step of the library in the words of a face."""

    def of(self, step: NextStep) -> str:
        """Return how a step is taken."""
        ...

    def read_file(self, path: str, **lines: int) -> str:
        """Return how a file on the machine is read: `offset`, `limit`."""
        ...


def read_job(words: StepWords, job_id: str) -> str:
    """Return how a job is read."""
    return words.of(NextStep("logs", {"job": job_id}))


def stop_job(words: StepWords, job: Job) -> str:
    """Return what a job left running and what ends it; "" if nothing."""
    alive = formatting.survivors_words(job)
    stop = words.of(NextStep("stop", {"job": job.id}))
    return f"{alive}; end: {stop}" if alive else ""
