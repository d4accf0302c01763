"""Who starts, finds and ends a job's processes.

An `Engine` answers only these three. All else that is known of a job is files in its
folder, with every engine: record, log, state and exit code. `supervisor` has the machine
itself start them; `slurm` submits them to Slurm, which starts our supervisor on a node.
`stack` chooses one, `options` makes the request of a start, `foreground` is a command that
somebody waits for.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from sandbox_ops.errors import SandboxError
from sandbox_ops.remote.job_query import JobQuery
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.start_request import StartRequest


@dataclass(frozen=True, slots=True)
class StopAccepted:
    """A stop is under way; the status tells when it is done.

    Attributes:
        job_id: Which job was meant.
        had_ended: It was over: only what it left is swept.
    """

    job_id: str
    had_ended: bool


class Engine(Protocol):
    """Futures resolve to errors as `Workers.submit` has them, and to those named here."""

    def start(self, request: StartRequest) -> "Future[JobReply]":
        """Start a job, or find the one that the same token started.

        Errors: `RefusedError` (a claim is taken, no record can be written),
        `NotFoundError` (`cwd`).
        """

    def start_all(
        self, requests: Sequence[StartRequest]
    ) -> "Future[tuple[JobReply | SandboxError, ...]]":
        """Start jobs in their order, in one round trip; see `start`.

        The first error is the last answer: what comes after it was not tried.
        """

    def status(
        self, queries: Sequence[JobQuery]
    ) -> "Future[tuple[JobReply | SandboxError, ...]]":
        """Answer each query, in order and in one round trip: `NotFoundError`, no job."""

    def stop(self, job: str, grace_s: int) -> "Future[StopAccepted]":
        """Begin to end a job's whole tree: TERM, the grace, KILL.

        Args:
            job: As in `JobQuery`.
            grace_s: Between TERM and KILL.

        Errors: `NotFoundError`.
        """
