"""tunnel: a port of the machine on this computer, until the caller ends it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox_ops.errors import (
    ConnectError,
    NextStep,
    RefusedError,
    SandboxError,
    UsageError,
)
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.tunnels import LOOPBACK, Tunnel
from sandbox_ops.models import Job, JobState, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows import tensorboard

_LOOK_S = 1.0
_RECONNECT_S = 10.0
_RETRY_MOST_S = 30.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTunnel:
    """Which port, and what for.

    Attributes:
        port: Which there, on its own loopback; None for that of a TensorBoard.
        local_port: Which here; 0: any that is free; None: the same number, or, for a
            TensorBoard, any that is free.
        with_tensorboard: Use one that runs there, or start one; what was started is
            stopped at the end.
        logdir: What it shows: absolute, or below the project; "": `runs`.
        keep: Let the TensorBoard run on.
        job: A job of Slurm: the port is one of its node's; "": the machine's own, or, for
            a TensorBoard that Slurm runs, that of its node.
    """

    port: int | None = None
    local_port: int | None = None
    with_tensorboard: bool = False
    logdir: str = ""
    keep: bool = False
    job: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelReport:
    """A tunnel that stands.

    Attributes:
        sandbox: The name of the machine.
        url: What to open here.
        local_port: Which we listen on, on loopback alone.
        port: Which it leads to there.
        job: What was started there for it, or was found running; "" where nothing was.
        warnings: What to know.
    """

    sandbox: str
    url: str
    local_port: int
    port: int
    job: str = ""
    warnings: tuple[str, ...] = ()
    _tunnel: Tunnel = field(repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `tunnel --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "url": self.url,
            "local_port": self.local_port,
            "port": self.port,
            "job": self.job,
            "warnings": list(self.warnings),
        }

    def watch(self, tell: Tell, cancel: CancelToken) -> None:
        """Keep the link up until it is cancelled; say when it is lost and back."""
        ended = threading.Event()
        failures = 0
        with cancel.on_cancel(ended.set):
            while not ended.wait(
                _LOOK_S if not failures else min(_RETRY_MOST_S, 2.0**failures)
            ):
                if self._tunnel.is_connected and not failures:
                    continue
                if not failures:
                    tell("the connection was lost; it is opened again")
                try:
                    self._tunnel.reconnect(_RECONNECT_S)
                except ConnectError as error:
                    if not failures:
                        tell(error.message)
                    failures += 1
                else:
                    tell(f"connected again: {self.url}")
                    failures = 0


@contextlib.contextmanager
def tunnel(
    sandbox: Sandbox, project: Project, wanted: WantedTunnel, tell: Tell | None = None
) -> Iterator[TunnelReport]:
    """Have a port of the machine on this computer's loopback while the `with` lasts.

    Args:
        sandbox: The machine.
        project: Whose TensorBoard.
        wanted: Which port.
        tell: Called with what happens meanwhile.

    Raises:
        RefusedError: The port here is taken; says by whom. Or the job has no node now.
        UsageError: The machine itself runs the job.
        NotFoundError: TensorBoard is not installed there.
        ConnectError: The machine cannot be reached.
        DeniedError: The machine's mode does not allow it.
    """
    text = f"port {wanted.port or ''} {wanted.logdir}".strip()
    with sandbox.acting("tunnel", text) as view, contextlib.ExitStack() as ends:
        yield _opened(view, project, wanted, tell, ends)


def _opened(
    sandbox: Sandbox,
    project: Project,
    wanted: WantedTunnel,
    tell: Tell | None,
    ends: contextlib.ExitStack,
) -> TunnelReport:
    board: tensorboard.TensorBoard | None = None
    if wanted.with_tensorboard:
        board = tensorboard.running(sandbox, project, wanted.logdir)
        if not (wanted.keep or board.was_running):
            ends.callback(_stop, sandbox, board.job.id)
    number = board.port if board else wanted.port or 0
    job = _job_on_node(sandbox, wanted, board)
    local_port = wanted.local_port
    if local_port is None:
        local_port = 0 if board else number
    where = f"the node of {job.id}" if job else sandbox.config.label
    nothing_listens = f"nothing listens on port {number} of {where}"
    refused = partial(tell, nothing_listens) if tell else None
    again: dict[str, object] = {"port": number, "job": wanted.job or None}
    if board:
        again = {"tensorboard": True, "port": wanted.logdir or None}
    folder = job.log_path.rpartition("/")[0] if job else ""
    standing = Tunnel(sandbox, number, local_port, refused, again, folder)
    ends.callback(standing.close)
    return TunnelReport(
        sandbox=sandbox.config.name,
        url=f"http://{LOOPBACK}:{standing.local_port}/",
        local_port=standing.local_port,
        port=number,
        job=board.job.id if board else job.id if job else "",
        warnings=() if standing.listens() else (f"{nothing_listens} yet",),
        _tunnel=standing,
    )


def _job_on_node(
    sandbox: Sandbox, wanted: WantedTunnel, board: tensorboard.TensorBoard | None
) -> Job | None:
    """Return the job to whose node the tunnel leads; None: to the machine itself."""
    if not sandbox.config.by_slurm:
        if wanted.job:
            raise UsageError(
                f"the jobs of {sandbox.config.label} run on it, and their ports are its own",
                NextStep("tunnel", {"port": wanted.port}, "Leave the job out"),
            )
        return None
    if board:
        return board.job
    if not wanted.job:
        return None
    job = jobs.get(sandbox, wanted.job)
    if job.state is not JobState.RUNNING:
        raise RefusedError(
            f"{job.id} does not run, it is {job.words}: no node has its ports",
            NextStep("jobs", purpose="See which jobs run"),
        )
    return job


def _stop(sandbox: Sandbox, job_id: str) -> None:
    with contextlib.suppress(SandboxError):
        jobs.stop(sandbox, job_id, grace_s=3)
