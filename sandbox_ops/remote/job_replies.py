"""What the machine said, text to values. Any text is read, or refused with a reason. Pure.

(A little over 250 lines: the fields of one line are read together.)
"""

import dataclasses
import itertools
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import ProtocolError, SandboxError
from sandbox_ops.models import Job, JobState, job_ids
from sandbox_ops.remote import job_record, queue_words
from sandbox_ops.remote.frames import Segment
from sandbox_ops.remote.job_record import JobRecord
from sandbox_ops.remote.job_states import job_state, number
from sandbox_ops.remote.machine_errors import machine_error
from sandbox_ops.remote.stream import Range

_LATEST_S = 1e11
_MOST_CODE = 255
_MOST_GPUS = 1024
_SIGNALS = range(129, 193)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReply:
    """One job in an answer: what it is, the asked ranges, a stop's report.

    Attributes:
        killed: What the newest stop ended.
        killed_by_all: What all of them ended, also those that came at the same time.
    """

    job: Job
    ranges: dict[str, Range] = field(default_factory=dict)
    killed: tuple[str, ...] = ()
    killed_by_all: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    stopped: bool = False
    swept: bool = False


def error(segments: Iterable[Segment]) -> SandboxError | None:
    """Return the error that the machine answered with, if it did."""
    for segment in segments:
        if segment.what == "error":
            kind, code, *_ = (*segment.words, "", "")
            message = segment.data.decode("utf-8", "replace")
            return machine_error(kind, message, code)
    return None


def missing(segments: Iterable[Segment]) -> frozenset[str]:
    """Return the ids that the machine does not know."""
    return frozenset(s.words[0] for s in segments if s.what == "missing" and s.words)


def jobs(segments: Sequence[Segment], base: str) -> dict[str, JobReply]:
    """Return the jobs of an answer, in its order.

    Args:
        segments: The answer.
        base: Our folder on the machine, as the worker said it at its start.

    Raises:
        ProtocolError: A record of a newer version of ours. One that cannot be read is a
            job that is `unknown`, with the reason.
    """
    replies: dict[str, JobReply] = {}
    record = JobRecord()
    ranges: dict[str, Range] = {}
    reports: dict[str, tuple[str, ...]] = {}
    waits = ""
    for segment in segments:
        if segment.what == "spec":
            record = job_record.read(segment.data)
        elif segment.what == "range" and len(segment.words) > 1:
            ranges[segment.words[1]] = _range(segment)
        elif segment.what == "waits":
            waits = segment.data.decode("utf-8", "replace")
        elif segment.what in {"stopped", "swept"}:
            reports[segment.what] = tuple(
                segment.data.decode(errors="replace").split("\n")
            )
        elif segment.what == "job" and segment.words:
            job_id = segment.words[0]
            if not job_ids.is_id(job_id):
                raise ProtocolError(f"the machine named a job {job_id[:40]!r}")
            job = _queued(_job(job_id, segment, record, base), segment, waits)
            report = reports.get("swept", reports.get("stopped", ()))
            replies[job_id] = JobReply(
                job=_stopping(job, segment, reports),
                ranges=ranges,
                killed=_report(report, "killed "),
                killed_by_all=_report(itertools.chain(*reports.values()), "killed "),
                left=_report(report, "left "),
                stopped="stopped" in reports,
                swept="swept" in reports,
            )
            record, ranges, reports, waits = JobRecord(), {}, {}, ""
    return _with_places(replies, segments)


def _with_places(
    replies: dict[str, JobReply], segments: Iterable[Segment]
) -> dict[str, JobReply]:
    """Add the places in the queue, where the machine said its order."""
    order = [word for s in segments if s.what == "queue" for word in s.words]
    for place, job_id in enumerate(order, 1):
        if job_id in replies and replies[job_id].job.state is JobState.QUEUED:
            reply = replies[job_id]
            job = dataclasses.replace(reply.job, place=place)
            replies[job_id] = dataclasses.replace(reply, job=job)
    return replies


def _queued(job: Job, segment: Segment, waits: str) -> Job:
    """Add what is only known of a job of the queue."""
    fields = segment.fields
    attempt = number(fields, "attempt") or 0
    if job.state is JobState.UNKNOWN and waits:
        reason = queue_words.waits_for(waits, attempt or 1, 0)
        return dataclasses.replace(job, attempt=attempt, reason=reason)
    if job.state is not JobState.QUEUED:
        held = fields.get("gpus", "")
        is_elsewhere = fields.get("life") == "elsewhere"
        queued_at = seconds(fields, "q0")
        if not (held or attempt or queued_at):
            return job
        gpus = tuple(int(index) for index in held.split(",") if index.isdecimal())
        return dataclasses.replace(
            job,
            attempt=attempt,
            queued_at=queued_at,
            gpus=gpus[:_MOST_GPUS] if held and not is_elsewhere else job.gpus,
        )
    queued_at = seconds(fields, "q0") or seconds(fields, "t0")
    now_cs = number(fields, "now") or 0
    return dataclasses.replace(
        job,
        attempt=attempt or 1,
        queued_at=queued_at,
        waits_for=queue_words.waits_for(waits, attempt or 1, now_cs),
        waits_on=queue_words.waits_on(waits),
        started_at=None,
        elapsed_s=None,
    )


def _report(lines: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Return the processes of a stop's report, `VERB PID NAME`; the last line of each counts."""
    newest = {line.partition(" ")[2].partition(" ")[0]: line for line in lines}
    return tuple(
        x.removeprefix(prefix) for x in newest.values() if x.startswith(prefix)
    )


def _range(segment: Segment) -> Range:
    fields = segment.fields
    return Range(
        data=segment.data,
        offset=number(fields, "offset") or 0,
        size_bytes=number(fields, "size"),
        inode=number(fields, "inode"),
        gone="gone" in fields,
    )


def _job(
    job_id: str,
    segment: Segment,
    record: JobRecord,
    base: str,
) -> Job:
    fields = segment.fields
    phases = [word for word in segment.words[1:] if "=" not in word and word != "."]
    phase = phases[0] if phases else "none"
    state, reason = job_state(phase, fields)
    if record.problem:
        state, reason = JobState.UNKNOWN, record.problem
    if "removed" in fields:
        reason = "its folder was removed"
    code = _exit_code(fields) if phase == "ended" else None
    signalled = code in _SIGNALS and fields.get("sure") == "0"
    has_run = "leader" in fields or (number(fields, "attempt") or 1) > 1
    began = phase != "ended" or has_run or code is not None
    return Job(
        id=job_id,
        name=record.name,
        state=state,
        reason=reason,
        exit_code=code,
        signal=_signal_name(code) if signalled and code else None,
        signal_certain=False if signalled else None,
        command=record.command,
        description=record.description,
        cwd=record.cwd,
        started_at=seconds(fields, "t0") if began else None,
        elapsed_s=_elapsed_s(state, fields) if began else None,
        ended_at=_ended_at(fields) if state.ended else None,
        log_path=job_ids.log_path(base, job_id),
        stderr_path=job_ids.stderr_path(base, job_id) if record.foreground else "",
        survivors=number(fields, "alive") or 0
        if "alive" in fields
        else number(fields, "survivors") or 0,
        log_incomplete="incomplete" in fields or "removed" in fields,
        foreground=record.foreground,
        gpus=() if fields.get("life") == "elsewhere" else record.gpus,
        project_path=record.project_path,
        started_by=record.started_by,
        group=record.group,
        cell=record.cell,
        writes=record.writes,
    )


def _exit_code(fields: dict[str, str]) -> int | None:
    code = number(fields, "code")
    return code if code is not None and 0 <= code <= _MOST_CODE else None


def _stopping(job: Job, segment: Segment, reports: dict[str, Any]) -> Job:
    """Hold back the end of a stopped job until its stopper has reported."""
    fields = segment.fields
    own_end = job.state in (JobState.SUCCEEDED, JobState.FAILED)
    if "stopping" not in fields or "stopped" in reports or own_end:
        return job
    since = (number(fields, "now") or 0) - (number(fields, "stopping") or 0)
    given_up = job.state is not JobState.RUNNING and since > _STOPPER_WINDOW_CS
    if given_up or job.reason == "reboot":
        return job
    return dataclasses.replace(
        job,
        state=JobState.STOPPING,
        reason="",
        exit_code=None,
        signal=None,
        ended_at=None,
    )


_STOPPER_WINDOW_CS = 12000
"""A stopper that has not reported two minutes after it began is dead itself."""


def _elapsed_s(state: JobState, fields: dict[str, str]) -> float | None:
    if "up1" not in fields and state is not JobState.LOST:
        return span_s(fields, "now")
    return span_s(fields)


def span_s(fields: dict[str, str], until: str = "up1") -> float | None:
    """Return how long it took from `up0` on; None where that is not known."""
    begin, end = seconds(fields, "up0"), seconds(fields, until)
    return None if end is None or begin is None else round(max(0.0, end - begin), 2)


def _ended_at(fields: dict[str, str]) -> float | None:
    """Return when it ended; of one that is lost when it gave its last sign of life."""
    begin, up0, up1 = (seconds(fields, name) for name in ("t0", "up0", "up1"))
    if None not in (begin, up0, up1) and "t1" not in fields:
        return round((begin or 0.0) + max(0.0, (up1 or 0.0) - (up0 or 0.0)), 2)
    return seconds(fields, "t1" if "t1" in fields else "seen")


def seconds(fields: dict[str, str], name: str) -> float | None:
    """Return a time that was sent in centiseconds; None where it is none."""
    centiseconds = number(fields, name)
    if centiseconds is None or not 0 <= centiseconds / 100 <= _LATEST_S:
        return None
    return centiseconds / 100


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(code - 128).name.removeprefix("SIG")
    except ValueError:
        return str(code - 128)
