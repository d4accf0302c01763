"""A TensorBoard on the machine, for a tunnel: one that runs is used, else one is started.

It is a job as any other, recorded, with its port in its log.
"""

import re
import shlex
from dataclasses import dataclass

from sandbox_ops.errors import NextStep, NotFoundError, RefusedError
from sandbox_ops.machine import jobs, pause
from sandbox_ops.machine.job_list import recent
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project

NAME = "tensorboard"
LOGDIR = "runs"
_START_S = 120.0
_LOG_BYTES = 1 << 16
_AT = re.compile(r"\bat http://\S*?:(\d{2,5})/")
_NO_COMMAND = 127
_RECENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorBoard:
    """One that runs on the machine.

    Attributes:
        job: Its job.
        port: Where it listens there.
        was_running: Whether it ran before.
    """

    job: Job
    port: int
    was_running: bool


def running(sandbox: Sandbox, project: Project, logdir: str = "") -> TensorBoard:
    """Return a TensorBoard of a folder of the project; start one where none runs.

    Args:
        sandbox: The machine.
        project: Whose folder, and whose environment.
        logdir: Absolute, or below the project; "": `runs`.

    Raises:
        NotFoundError: It is not installed there.
        RefusedError: It ended, or did not say where it listens.
    """
    root = sandbox.project_path(project) if project.name else sandbox.home
    wanted = logdir or LOGDIR
    folder = wanted if wanted.startswith("/") else f"{root}/{wanted}"
    line = command(root, folder)
    for job in recent(sandbox, _RECENT):
        if job.name == NAME and job.command == line and not job.state.ended:
            return TensorBoard(job=job, port=_port(sandbox, job), was_running=True)
    job = sandbox.start(line, name=NAME, description="tunnel --tensorboard")
    return TensorBoard(job=job, port=_port(sandbox, job), was_running=False)


def command(root: str, folder: str) -> str:
    """Return the line that starts it, on a port that the machine chooses. Pure.

    It runs in the home: the tree stays free to be synced.
    """
    path = shlex.quote(f"{root}/.venv/bin")
    options = f"--logdir {shlex.quote(folder)} --host 127.0.0.1 --port 0"
    return f'PATH={path}:"$PATH"; exec tensorboard {options}'


def port_in(log: str) -> int | None:
    """Return the port that a TensorBoard's log names; None so far. Pure."""
    match = _AT.search(log)
    return int(match[1]) if match else None


def _port(sandbox: Sandbox, job: Job) -> int:
    def look() -> tuple[Job, int | None] | None:
        now = jobs.get(sandbox, job.id)
        log = jobs.output(sandbox, job.id, offset=0, max_bytes=_LOG_BYTES).data
        port = port_in(log.decode("utf-8", "replace"))
        return (now, port) if port or now.state.ended else None

    now, port = pause.until(look, timeout_s=_START_S) or (job, None)
    if port is not None:
        return port
    log = NextStep("logs", {"job": job.id}, "What it said")
    if now.exit_code == _NO_COMMAND:
        install = NextStep("run", {"command": "pip install tensorboard"}, "Install it")
        raise NotFoundError("tensorboard is not installed there", install, log)
    jobs.stop(sandbox, job.id)
    why = "ended" if now.state.ended else f"named no port within {_START_S:.0f} s"
    raise RefusedError(f"{job.id}, the TensorBoard, {why}", log)
