"""What the machine said, text to values. Any text is read, or refused with a reason."""

import dataclasses
import json
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import BY_KIND, ProtocolError, SandboxError
from sandbox_ops.models import Job, JobState, job_ids
from sandbox_ops.remote.frames import Segment
from sandbox_ops.remote.job_states import job_state, number
from sandbox_ops.remote.stream import Range

RECORD_FORMAT = 1
_SIGNALS = range(129, 193)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReply:
    """One job in an answer: what it is, the asked ranges, a stop's report."""

    job: Job
    ranges: dict[str, Range] = field(default_factory=dict)
    killed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    stopped: bool = False
    swept: bool = False


def error(segments: Iterable[Segment]) -> SandboxError | None:
    """Return the error that the machine answered with, if it did."""
    for segment in segments:
        if segment.what == "error":
            kind = segment.words[0] if segment.words else ""
            message, _, hint = segment.data.decode("utf-8", "replace").partition("\n")
            if kind not in BY_KIND:
                return ProtocolError(f"the machine sent an unknown error: {kind!r}")
            problem = BY_KIND[kind](message, hint)
            problem.reason = "".join(segment.words[1:2])
            return problem
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
        ProtocolError: A record that this version cannot read.
    """
    replies: dict[str, JobReply] = {}
    spec: dict[str, Any] = {}
    ranges: dict[str, Range] = {}
    reports: dict[str, tuple[str, ...]] = {}
    for segment in segments:
        if segment.what == "spec":
            spec = _spec(segment.data)
        elif segment.what == "range" and len(segment.words) > 1:
            ranges[segment.words[1]] = _range(segment)
        elif segment.what in {"stopped", "swept"}:
            reports[segment.what] = tuple(
                segment.data.decode(errors="replace").split("\n")
            )
        elif segment.what == "job" and segment.words:
            job_id = segment.words[0]
            job = _job(job_id, segment, spec, base)
            report = reports.get("swept", reports.get("stopped", ()))
            replies[job_id] = JobReply(
                job=_stopping(job, segment, reports),
                ranges=ranges,
                killed=_report(report, "killed "),
                left=_report(report, "left "),
                stopped="stopped" in reports,
                swept="swept" in reports,
            )
            spec, ranges, reports = {}, {}, {}
    return replies


def _report(lines: Iterable[str], prefix: str) -> tuple[str, ...]:
    return tuple(x.removeprefix(prefix) for x in lines if x.startswith(prefix))


def _spec(data: bytes) -> dict[str, Any]:
    try:
        spec = json.loads(data)
    except ValueError:
        spec = None
    if not isinstance(spec, dict):
        raise ProtocolError(f"a job's record cannot be read: {data[:80]!r}")
    if spec.get("format", RECORD_FORMAT) > RECORD_FORMAT:
        raise ProtocolError(
            "a job's record was written by a newer sandbox-ops",
            "Update this one: pip install --upgrade sandbox-ops",
        )
    return spec


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
    spec: dict[str, Any],
    base: str,
) -> Job:
    fields = segment.fields
    phases = [word for word in segment.words[1:] if "=" not in word and word != "."]
    phase = phases[0] if phases else "none"
    state, reason = job_state(phase, fields)
    if "removed" in fields:
        reason = "its folder was removed"
    ended = phase == "ended"
    code = number(fields, "code") if ended else None
    signalled = code in _SIGNALS and fields.get("sure") == "0"
    return Job(
        id=job_id,
        name=str(spec.get("name", "")),
        state=state,
        reason=reason,
        exit_code=code,
        signal=_signal_name(code) if signalled and code else None,
        signal_certain=False if signalled else None,
        command=str(spec.get("command", "")),
        description=str(spec.get("description", "")),
        cwd=str(spec.get("cwd", "")),
        started_at=_seconds(fields, "t0"),
        elapsed_s=_elapsed_s(state, fields),
        log_path=job_ids.log_path(base, job_id),
        stderr_path=job_ids.stderr_path(base, job_id) if spec.get("foreground") else "",
        survivors=number(fields, "alive") or 0
        if "alive" in fields
        else number(fields, "survivors") or 0,
        log_incomplete="incomplete" in fields or "removed" in fields,
        foreground=bool(spec.get("foreground")),
        gpus=() if fields.get("life") == "elsewhere" else tuple(spec.get("gpus", ())),
        project_path=str(spec.get("project_path", "")),
        started_by=str(spec.get("started_by", "")),
    )


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
        job, state=JobState.STOPPING, reason="", exit_code=None, signal=None
    )


_STOPPER_WINDOW_CS = 12000
"""A stopper that has not reported two minutes after it began is dead itself."""


def _elapsed_s(state: JobState, fields: dict[str, str]) -> float | None:
    end = _seconds(fields, "up1")
    if end is None and state is not JobState.LOST:
        end = _seconds(fields, "now")
    begin = _seconds(fields, "up0")
    return None if end is None or begin is None else round(max(0.0, end - begin), 2)


def _seconds(fields: dict[str, str], name: str) -> float | None:
    centiseconds = number(fields, name)
    return None if centiseconds is None else centiseconds / 100


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(code - 128).name.removeprefix("SIG")
    except ValueError:
        return str(code - 128)
