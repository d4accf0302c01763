"""Jobs: what runs and ran on a sandbox. Send, refuse, parse, return."""

import dataclasses
import re

from sandbox_ops.errors import ConnectionLostError, NotFoundError, TimedOutError
from sandbox_ops.machine import readings
from sandbox_ops.machine.pause import until
from sandbox_ops.models import Job, JobOutput, MachineStatus, StopReport
from sandbox_ops.remote import job_replies
from sandbox_ops.remote.follower import Listener, Watch
from sandbox_ops.remote.stream import Range
from sandbox_ops.sandbox import Sandbox

_ID = re.compile(r"remote-[1-9][0-9]{0,8}")
_STOP_MARGIN_S = 20.0


def get(sandbox: Sandbox, job_id: str) -> Job:
    """Return one job as it is now.

    Raises:
        NotFoundError: There is no such job; the hint lists the newest ids.
    """
    return _poll(sandbox, job_id, "j").job


def recent(sandbox: Sandbox, limit: int = 50) -> tuple[Job, ...]:
    """Return the newest jobs, newest first, and every older one that has not ended.

    Foreground ones are among them.
    """
    reply = sandbox.request("look", "jobs", str(limit))
    return tuple(found.job for found in job_replies.jobs(reply, sandbox.base).values())


def output(
    sandbox: Sandbox,
    job_id: str,
    *,
    offset: int = -65536,
    max_bytes: int = 1 << 20,
    inode: int | None = None,
) -> JobOutput:
    """Return a piece of a job's log; reading what is new costs what is new.

    Args:
        sandbox: Where it is.
        job_id: Which job.
        offset: Where to begin, in bytes; negative counts from the end.
        max_bytes: At most so much.
        inode: Of the log that `offset` belongs to; another file is read from its start.

    Raises:
        NotFoundError: No such job, or its log is gone.
    """
    return _piece(sandbox, job_id, "log", offset, max_bytes, inode)


def stderr(
    sandbox: Sandbox, job_id: str, *, offset: int = -65536, max_bytes: int = 1 << 20
) -> JobOutput:
    """Return a piece of the stderr of a foreground command; see `output`."""
    return _piece(sandbox, job_id, "stderr", offset, max_bytes, None)


def _piece(
    sandbox: Sandbox,
    job_id: str,
    stream: str,
    offset: int,
    max_bytes: int,
    inode: int | None,
) -> JobOutput:
    asked = (str(offset), str(max_bytes))
    none = ("0", "0")
    ranges = asked + none if stream == "log" else none + asked
    found = _poll(sandbox, job_id, "js", *ranges)
    piece = found.ranges.get(stream, Range(b"", 0))
    if piece.gone:
        raise NotFoundError(
            f"the {stream} of {job_id} is gone: {found.job.log_path}",
            "Something removed it on the machine; the job's record is still there.",
        )
    size = piece.size_bytes or 0
    restarted = inode is not None and (piece.inode != inode or offset > size)
    if restarted and piece.offset > 0:
        again = _piece(sandbox, job_id, stream, 0, max_bytes, None)
        return dataclasses.replace(again, restarted=True)
    return JobOutput(
        job=found.job,
        data=piece.data,
        offset=piece.offset,
        size_bytes=size,
        inode=piece.inode or 0,
        restarted=restarted,
    )


def wait(
    sandbox: Sandbox,
    job_id: str,
    *,
    timeout_s: float | None = None,
    on_output: Listener | None = None,
) -> Job:
    """Wait for a job's end and return it; the link may die and heal meanwhile.

    Args:
        sandbox: Where it is.
        job_id: Which job.
        timeout_s: How long to wait; the job itself goes on.
        on_output: Gets its output from the beginning, as `("stdout"|"stderr", bytes)`.

    Raises:
        TimedOutError: It has not ended in time.
        NotFoundError: There is no such job.
    """
    watch = Watch(get(sandbox, job_id), 2, on_output)
    sandbox.follow(watch)
    try:
        return watch.future.result(timeout_s).job
    except TimeoutError:
        watch.lose()
        raise TimedOutError(
            f"{job_id} has not ended within {timeout_s:g} s; it goes on",
            f"Look again with: sandbox-ops logs {job_id}",
        ) from None


def stop(sandbox: Sandbox, job_id: str, *, grace_s: float = 10) -> StopReport:
    """End a job's whole tree: TERM, the grace, KILL; sweep what an ended one left.

    Raises:
        NotFoundError: There is no such job.
        TimedOutError: The machine has not finished stopping it in time.
        ConnectionLostError: Nobody could look whether it was stopped.
    """
    _check_id(sandbox, job_id)
    reply = sandbox.request("stop", job_id, str(max(0, round(grace_s))))
    sweep = any(segment.fields.get("phase") == "ended" for segment in reply)

    def reported() -> job_replies.JobReply | None:
        try:
            found = _poll(sandbox, job_id, "j")
        except ConnectionLostError as error:
            raise ConnectionLostError(
                f"whether {job_id} was stopped is not known: {error.message}",
                f"Stop it again when the machine is reachable: sandbox-ops stop {job_id}",
            ) from error
        told = found.swept or (found.stopped and not sweep)
        return found if told and found.job.state.ended else None

    found = until(reported, timeout_s=grace_s + _STOP_MARGIN_S)
    if found is None:
        raise TimedOutError(
            f"{job_id} is not stopped yet",
            f"The machine goes on with it; look again: sandbox-ops stop {job_id}",
        )
    return StopReport(job=found.job, killed=found.killed, left=found.left)


def pin(sandbox: Sandbox, job_id: str, *, pinned: bool = True) -> None:
    """Keep a job's record and log whatever its age, or let it go with the others again.

    Raises:
        NotFoundError: There is no such job.
    """
    _check_id(sandbox, job_id)
    sandbox.request("pin", job_id, "1" if pinned else "0")


def status(sandbox: Sandbox, *, path: str, tails: int = 8192) -> MachineStatus:
    """Look at everything in one round trip.

    Args:
        sandbox: Which machine.
        path: The disk that matters holds this path.
        tails: How many bytes of the end of each live log, and of the newest others.
    """
    reply = sandbox.request(
        "look", "jobs", "50", "live", str(tails), "gpu", "-", "disk", path,
        "load", "-", "foreign", "-",
    )  # fmt: skip
    found = job_replies.jobs(reply, sandbox.base)
    return dataclasses.replace(
        readings.status(reply),
        jobs=tuple(each.job for each in found.values()),
        tails={
            job_id: each.ranges["log"].data
            for job_id, each in found.items()
            if "log" in each.ranges
        },
    )


def _poll(
    sandbox: Sandbox, job_id: str, mode: str, *ranges: str
) -> job_replies.JobReply:
    _check_id(sandbox, job_id)
    reply = sandbox.request("poll", job_id, mode, *(ranges or ("0", "0", "0", "0")))
    found = job_replies.jobs(reply, sandbox.base).get(job_id)
    if found is None:
        raise _unknown(sandbox, job_id)
    return found


def _check_id(sandbox: Sandbox, job_id: str) -> None:
    if not _ID.fullmatch(job_id):
        raise _unknown(sandbox, repr(job_id))


def _unknown(sandbox: Sandbox, job_id: str) -> NotFoundError:
    known = [job.id for job in recent(sandbox, 10)]
    newest = f"The newest are {', '.join(known)}." if known else "There are none yet."
    return NotFoundError(f"no job {job_id} on {sandbox.config.name}", newest)
