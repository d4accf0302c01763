"""Slurm starts the jobs, and its login node is the machine that we speak to.

What a client waits for (commands, our own steps) runs on the login node itself. A job is handed
to Slurm there, by the machine's side of a start, and its supervisor is the batch script: the
job's folder says all the rest, as everywhere. See docs/decisions/0030.
"""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future

from sandbox_ops.engines import StopAccepted, slurm_text
from sandbox_ops.engines.supervisor import Supervisor
from sandbox_ops.errors import SandboxError
from sandbox_ops.models.settings import SlurmSettings
from sandbox_ops.remote.job_query import JobQuery
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.pool import Workers
from sandbox_ops.remote.start_request import StartRequest


class Slurm:
    """Hands jobs to Slurm; see `Engine`.

    Args:
        workers: Of the login node.
        settings: What the configuration says of the cluster.
    """

    def __init__(self, workers: Workers, settings: SlurmSettings) -> None:
        self._login_node = Supervisor(workers)
        self._settings = settings

    def start(self, request: StartRequest) -> "Future[JobReply]":
        """Start a job, or find the one that the same token started."""
        return self._login_node.start(self._for_slurm(request))

    def start_all(
        self, requests: Sequence[StartRequest]
    ) -> "Future[tuple[JobReply | SandboxError, ...]]":
        """Start jobs in their order, in one round trip, up to the first error."""
        return self._login_node.start_all(tuple(map(self._for_slurm, requests)))

    def status(
        self, queries: Sequence[JobQuery]
    ) -> "Future[tuple[JobReply | SandboxError, ...]]":
        """Answer each query; the machine asks Slurm once for all that have not ended."""
        return self._login_node.status(queries)

    def stop(self, job: str, grace_s: int) -> "Future[StopAccepted]":
        """Begin to end a job: its supervisor does, or Slurm where that does not."""
        return self._login_node.stop(job, grace_s)

    def _for_slurm(self, request: StartRequest) -> StartRequest:
        if request.foreground:
            return request
        options = slurm_text.submit_options(self._settings, request)
        return dataclasses.replace(request, slurm=options)
