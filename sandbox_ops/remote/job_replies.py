"""What the machine said, text to values. Any text is read, or refused with a reason."""

import dataclasses
import json
import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import BY_KIND, ProtocolError, SandboxError
from sandbox_ops.models import Job, JobState, job_ids
from sandbox_ops.remote.frames import Segment
from sandbox_ops.remote.stream import Range

RECORD_FORMAT = 1
_SIGNALS = range(129, 193)
_START_WINDOW_CS = 3000
"""How long a record may say `starting`: the supervisor that was launched may be on its
way. It begins nothing once half of that is over."""


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
        offset=_number(fields, "offset") or 0,
        size_bytes=_number(fields, "size"),
        inode=_number(fields, "inode"),
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
    code = _number(fields, "code") if ended else None
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
        survivors=_number(fields, "alive") or 0
        if "alive" in fields
        else _number(fields, "survivors") or 0,
        log_incomplete="incomplete" in fields or "removed" in fields,
        foreground=bool(spec.get("foreground")),
        gpus=() if fields.get("life") == "elsewhere" else tuple(spec.get("gpus", ())),
        project_path=str(spec.get("project_path", "")),
    )


def job_state(phase: str, fields: dict[str, str]) -> tuple[JobState, str]:
    """Decide a job's state from its record and from what lives; return the reason too.

    Args:
        phase: `starting`, `running` or `ended`, as the record says.
        fields: The record's other words; `life` is what the machine found when it
            looked for the processes of the record.
    """
    life = fields.get("life", "gone")
    if phase == "ended":
        return _ended(fields)
    if life == "restarted":
        return JobState.LOST, _end_of_machine(phase, fields)
    if phase == "running":
        where = f"on {fields.get('host', '')}" if life == "elsewhere" else ""
        return _RUNNING.get(life, (JobState.RUNNING, where))
    if phase == "starting":
        return _starting(fields)
    return JobState.UNKNOWN, "its record cannot be read"


def _end_of_machine(phase: str, fields: dict[str, str]) -> str:
    if "departed" in fields:
        return f"its machine {fields.get('host', '')} is gone"
    if "over" not in fields:
        return "reboot"
    return "killed" if phase == "running" else "never started"


def _starting(fields: dict[str, str]) -> tuple[JobState, str]:
    age = (_number(fields, "now") or 0) - (_number(fields, "up0") or 0)
    if age > _START_WINDOW_CS:
        return JobState.LOST, "never started"
    return JobState.STARTING, ""


_RUNNING = {
    "gone": (JobState.LOST, "killed"),
    "orphaned": (JobState.RUNNING, "unsupervised"),
}


def _ended(fields: dict[str, str]) -> tuple[JobState, str]:
    reason = fields.get("reason", "exited")
    if reason == "stopped":
        return JobState.STOPPED, ""
    if reason == "timed-out":
        return JobState.TIMED_OUT, ""
    if reason == "late":
        return JobState.LOST, "never started"
    if fields.get("code") == "0":
        return JobState.SUCCEEDED, ""
    return JobState.FAILED, "out of memory" if "oom" in fields else ""


def _stopping(job: Job, segment: Segment, reports: dict[str, Any]) -> Job:
    """Hold back the end of a stopped job until its stopper has reported."""
    fields = segment.fields
    own_end = job.state in (JobState.SUCCEEDED, JobState.FAILED)
    if "stopping" not in fields or "stopped" in reports or own_end:
        return job
    since = (_number(fields, "now") or 0) - (_number(fields, "stopping") or 0)
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


def _number(fields: dict[str, str], name: str) -> int | None:
    """Return a field as a number; None where a broken record does not hold one."""
    text = fields.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else None


def _seconds(fields: dict[str, str], name: str) -> float | None:
    centiseconds = _number(fields, name)
    return None if centiseconds is None else centiseconds / 100


_NUMBER = re.compile(r"-?[0-9]{1,18}")


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(code - 128).name.removeprefix("SIG")
    except ValueError:
        return str(code - 128)
