"""Jobs: what runs and ran on a sandbox. Send, refuse, parse, return.

(A little over 250 lines: every question about one job is here, and nowhere else.)
"""

import dataclasses

from sandbox_ops.errors import (
    CancelledError,
    ConnectionLostError,
    NextStep,
    NotFoundError,
    SandboxError,
    TimedOutError,
    UsageError,
)
from sandbox_ops.machine import groups
from sandbox_ops.machine.job_list import living_named, recent, status
from sandbox_ops.machine.pause import until
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobOutput, StopReport, job_ids
from sandbox_ops.models.options import Listener
from sandbox_ops.remote.follower import Watch
from sandbox_ops.remote.job_query import JobQuery
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.stream import Range

__all__ = [
    "ends",
    "get",
    "meant",
    "output",
    "pin",
    "processes",
    "recent",
    "status",
    "stderr",
    "stop",
    "wait",
]

_STOP_MARGIN_S = 20.0


def get(sandbox: Sandbox, job: str) -> Job:
    """Return one job as it is now.

    Args:
        sandbox: Where it is.
        job: Its id, its number, its name (the newest of that name), or `last`; so
            wherever a job is asked for. The machine looks it up: one round trip.

    Raises:
        NotFoundError: There is no such job; the hint lists the newest.
    """
    return _status(sandbox, job).job


def meant(sandbox: Sandbox, reference: str) -> tuple[Job, ...]:
    """Return the job that is meant, or all jobs of the group.

    Raises:
        NotFoundError: There is no such job or group.
    """
    group = groups.named(sandbox, reference)
    return group.jobs if group else (get(sandbox, reference),)


def output(
    sandbox: Sandbox,
    job: str,
    *,
    offset: int = -65536,
    max_bytes: int = 1 << 20,
    inode: int | None = None,
) -> JobOutput:
    """Return a piece of a job's log; reading what is new costs what is new.

    Args:
        sandbox: Where it is.
        job: Which one; see `get`.
        offset: Where to begin, in bytes; negative counts from the end.
        max_bytes: At most so much.
        inode: Of the log that `offset` belongs to; another file is read from its start.

    Raises:
        NotFoundError: No such job, or its log is gone.
    """
    return _piece(sandbox, job, "log", offset, max_bytes, inode)


def stderr(
    sandbox: Sandbox, job: str, *, offset: int = -65536, max_bytes: int = 1 << 20
) -> JobOutput:
    """Return a piece of the stderr of a foreground command; see `output`."""
    return _piece(sandbox, job, "stderr", offset, max_bytes, None)


def ends(
    sandbox: Sandbox, job: str, *, log_bytes: int, stderr_bytes: int
) -> tuple[JobOutput, JobOutput]:
    """Return the end of a job's log, and of its stderr where it has one, in one round trip.

    Raises:
        NotFoundError: No such job, or one of them is gone.
    """
    reply = _status(
        sandbox,
        job,
        log=(-log_bytes, log_bytes),
        stderr=(-stderr_bytes, stderr_bytes),
        with_sizes=True,
    )
    return _output(reply, "log"), _output(reply, "stderr")


def _piece(
    sandbox: Sandbox,
    job: str,
    stream: str,
    offset: int,
    max_bytes: int,
    inode: int | None,
) -> JobOutput:
    asked = (offset, max_bytes)
    reply = _status(
        sandbox,
        job,
        log=asked if stream == "log" else (0, 0),
        stderr=asked if stream == "stderr" else (0, 0),
        with_sizes=True,
    )
    output = _output(reply, stream)
    if inode is None or (output.inode == inode and offset <= output.size_bytes):
        return output
    if output.offset > 0:
        output = _piece(sandbox, reply.job.id, stream, 0, max_bytes, None)
    return dataclasses.replace(output, restarted=True)


def _output(reply: JobReply, stream: str) -> JobOutput:
    piece = reply.ranges.get(stream, Range(b"", 0))
    if piece.gone:
        raise NotFoundError(
            f"the {stream} of {reply.job.id} is gone: {reply.job.log_path}",
            "Something removed it on the machine; the job's record is still there.",
        )
    return JobOutput(
        job=reply.job,
        data=piece.data,
        offset=piece.offset,
        size_bytes=piece.size_bytes or 0,
        inode=piece.inode or 0,
    )


def wait(
    sandbox: Sandbox,
    job: str,
    *,
    timeout_s: float | None = None,
    on_output: Listener | None = None,
) -> Job:
    """Wait for a job's end and return it; the link may be lost and come back meanwhile.

    Args:
        sandbox: Where it is.
        job: Which one; see `get`.
        timeout_s: How long to wait; the job itself goes on.
        on_output: Gets its output from the beginning, as `("stdout"|"stderr", bytes)`.

    Raises:
        TimedOutError: It has not ended in time.
        NotFoundError: There is no such job.
    """
    watch = Watch(get(sandbox, job), 2, on_output)
    sandbox.follow(watch)
    again = {"job": watch.job.id}

    def give_up() -> None:
        watch.fail(
            CancelledError(
                f"cancelled; {watch.job.id} goes on",
                NextStep("logs", again, "Look again with"),
            )
        )

    with sandbox.cancel_token.on_cancel(give_up):
        try:
            return watch.future.result(timeout_s).job
        except TimeoutError:
            watch.mark_connection_lost()
            raise TimedOutError(
                f"{watch.job.id} has not ended within {timeout_s:g} s; it goes on",
                NextStep("logs", again, "Look again with"),
            ) from None


def stop(sandbox: Sandbox, job: str, *, grace_s: float = 10) -> StopReport:
    """End a job's whole tree: TERM, the grace, KILL; sweep what an ended one left.

    A name stands for the newest of it that lives, else for the newest of it.

    Raises:
        NotFoundError: There is no such job.
        TimedOutError: The machine has not finished stopping it in time.
        ConnectionLostError: Nobody could look whether it was stopped.
        DeniedError: The machine's mode does not allow it.
    """
    with sandbox.acting("stop", job):
        meant, *others = to_stop(sandbox, job)
        wire = job_ids.reference(meant).wire
        report = _stop(sandbox, job, wire, grace_s)
    return dataclasses.replace(report, same_name=tuple(others))


def to_stop(sandbox: Sandbox, job: str) -> tuple[str, ...]:
    """Return what a stop of a job ends, as it is asked for; then others of its name that live."""
    reference = job_ids.reference(job)
    living = living_named(sandbox, job) if reference.is_name else ()
    return tuple(each.id for each in living) or (job,)


def _stop(sandbox: Sandbox, job: str, wire: str, grace_s: float) -> StopReport:
    try:
        accepted = sandbox.engine.stop(wire, max(0, round(grace_s))).result()
    except NotFoundError as error:
        raise _unknown(sandbox, job) from error
    job_id = accepted.job_id
    again = {"job": job_id}

    def reported() -> JobReply | None:
        try:
            latest = _status(sandbox, job_id)
        except ConnectionLostError as error:
            raise ConnectionLostError(
                f"whether {job_id} was stopped is not known: {error.message}",
                NextStep("stop", again, "Stop it again when the machine is reachable"),
            ) from error
        done = latest.swept or (latest.stopped and not accepted.had_ended)
        return latest if done and latest.job.state.ended else None

    report = until(reported, timeout_s=grace_s + _STOP_MARGIN_S)
    if report is None:
        raise TimedOutError(
            f"{job_id} is not stopped yet",
            NextStep("stop", again, "The machine goes on with it; look again"),
        )
    # of several stops at once the last may have found nobody
    killed = report.killed if accepted.had_ended else report.killed_by_all
    return StopReport(job=report.job, killed=killed, left=report.left)


def processes(sandbox: Sandbox, job: Job) -> tuple[str, ...]:
    """Return the living processes of a job, `PID NAME` each: what a stop would end."""
    folder = job.log_path.rpartition("/")[0]
    doing = f"look at the processes of {job.id}"
    result = sandbox.script("job_processes", folder, description=doing)
    return tuple(result.stdout.text.splitlines())


def pin(sandbox: Sandbox, job: str, *, pinned: bool = True) -> None:
    """Keep a job's record and log whatever its age, or let it go with the others again.

    Raises:
        NotFoundError: There is no such job.
        DeniedError: The machine's mode does not allow it.
    """
    wire = job_ids.reference(job).wire
    with sandbox.acting("pin", f"{job} {'on' if pinned else 'off'}") as view:
        try:
            view.request("pin", wire, "1" if pinned else "0")
        except NotFoundError as error:
            raise _unknown(sandbox, job) from error


def _status(
    sandbox: Sandbox,
    job: str,
    *,
    log: tuple[int, int] = (0, 0),
    stderr: tuple[int, int] = (0, 0),
    with_sizes: bool = False,
) -> JobReply:
    query = JobQuery(
        job=job_ids.reference(job).wire,
        log=log,
        stderr=stderr,
        with_record=True,
        with_sizes=with_sizes,
    )
    (answer,) = sandbox.engine.status([query]).result()
    if isinstance(answer, NotFoundError):
        raise _unknown(sandbox, job)
    if isinstance(answer, SandboxError):
        raise answer
    return answer


def _unknown(sandbox: Sandbox, job: str) -> NotFoundError | UsageError:
    group = groups.named(sandbox, job)
    if group is not None:
        return groups.not_one_job(group)
    known = [
        f"{each.id} ({each.name})" if each.name else each.id
        for each in recent(sandbox, 10, include_commands=job_ids.is_command(job))[:10]
    ]
    newest = f"The newest are {', '.join(known)}." if known else "There are none yet."
    shown = job if job_ids.is_id(job) else repr(job)
    return NotFoundError(f"no job {shown} on {sandbox.config.label}", newest)
