"""What was reported of each machine: with it, the next look knows what is new. Pure.

A memory is a frozen value; each event comes with the memory that holds after it. So a
reader that is killed between two lines, and goes on from the cursor of the last one it
saw, gets nothing twice and misses nothing.
(Over 250 lines: each kind of event is one decision, and they are read together.)
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sandbox_ops.machine.changes import Changes, JobChange
from sandbox_ops.models import Job, JobState, LogDigest
from sandbox_ops.models.events import Event, EventKind
from sandbox_ops.text import formatting, stalls
from sandbox_ops.text.log_warnings import LogWarning
from sandbox_ops.workflows import idle, job_progress

T = TypeVar("T")
_PENDING_S = 300.0  # so long a job may take from its number to its record
_MAX_WARNINGS = 32  # reported of one job
_NAME = 64  # so much of a name is kept
_STALLED = zlib.crc32(LogWarning("stalled", "").key.encode())
_IDLE = zlib.crc32(LogWarning("idle", "").key.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMemory:
    """A job that lived when it was last seen.

    Attributes:
        written_bytes: How much it had written; None: its digest was not read yet.
        changed_at: When that was seen to change last.
        reports: Whether it says how far it is: such a one may stall.
        reported: Which warnings were reported, as the CRC-32 of their keys.
        is_queued: Whether it waited in the queue; its start is to be reported.
    """

    name: str = ""
    written_bytes: int | None = None
    changed_at: float = 0.0
    reports: bool = False
    reported: tuple[int, ...] = ()
    is_queued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxMemory:
    """A machine.

    Attributes:
        store: Which folder of records it had; "": not looked at yet.
        seen: The highest number of a job that is not new.
        jobs: Those that live, by number.
        pending: Numbers without a record, and since when.
        is_reachable: None where it was not asked yet.
    """

    store: str = ""
    seen: int = 0
    jobs: Mapping[int, JobMemory] = field(default_factory=dict)
    pending: Mapping[int, float] = field(default_factory=dict)
    is_reachable: bool | None = None

    @property
    def known(self) -> dict[int, int | None]:
        """What to ask for: each job with how much it had written."""
        return {
            **dict.fromkeys(self.pending),
            **{number: job.written_bytes for number, job in self.jobs.items()},
        }

    @property
    def queued(self) -> frozenset[int]:
        """Those that waited: there is nothing new of them while they do."""
        return frozenset(n for n, job in self.jobs.items() if job.is_queued)


Step = tuple[SandboxMemory, Event | None]
"""What is remembered from then on, and the event that it follows."""


def present(changes: Changes, live: Mapping[int, Job]) -> SandboxMemory:
    """Return the memory of a reader that begins now: jobs that live are not news, their warnings are."""
    return SandboxMemory(
        store=changes.store,
        seen=changes.newest,
        jobs={
            number: JobMemory(name=job.name[:_NAME], is_queued=_waits(job))
            for number, job in live.items()
            if number <= changes.newest
        },
        is_reachable=True,
    )


def unreachable(
    sandbox: str, memory: SandboxMemory, reason: str, at: float
) -> Iterator[Step]:
    """Yield that a machine cannot be reached, if that is news."""
    if memory.is_reachable is not False:
        event = Event(
            at=at, kind=EventKind.UNREACHABLE, sandbox=sandbox, message=reason
        )
        yield replace(memory, is_reachable=False), event


def news(
    sandbox: str, memory: SandboxMemory, changes: Changes, at: float
) -> Iterator[Step]:
    """Yield what is new, oldest job first; the last step may have no event."""
    if memory.is_reachable is False:
        memory = replace(memory, is_reachable=True)
        yield memory, Event(at=at, kind=EventKind.REACHABLE, sandbox=sandbox)
    if memory.store and _is_another(memory, changes):
        memory = SandboxMemory()  # its records were removed: all that there is is new
        yield replace(memory, store=changes.store, is_reachable=True), None
        return
    memory = replace(
        memory,
        store=changes.store,
        is_reachable=True,
        pending=_pending(memory, changes, at),
    )
    for number in sorted(memory.jobs.keys() & changes.missing):
        old = memory.jobs[number]
        memory = replace(memory, jobs=_without(memory.jobs, number))
        yield memory, Event(
            at=at, kind=EventKind.ENDED, sandbox=sandbox,
            job=f"remote-{number}", name=old.name, state="unknown",
            message="its record was removed",
        )  # fmt: skip
    for number in sorted(changes.jobs):
        for step in _of_job(sandbox, memory, number, changes.jobs[number], at):
            memory = step[0]
            yield step
    yield replace(memory, seen=max(memory.seen, changes.upto)), None


def _is_another(memory: SandboxMemory, changes: Changes) -> bool:
    return memory.store != changes.store or changes.newest < memory.seen


def _pending(memory: SandboxMemory, changes: Changes, at: float) -> Mapping[int, float]:
    """Return the numbers without a record, and those that have one since this look."""
    since = {number: memory.pending.get(number, at) for number in changes.missing}
    awaited = {
        number: begun
        for number, begun in since.items()
        if number not in memory.jobs and at - begun < _PENDING_S
    }
    answered = memory.pending.keys() & changes.jobs.keys()
    return {**awaited, **{number: memory.pending[number] for number in answered}}


def _without(mapping: Mapping[int, T], number: int) -> dict[int, T]:
    return {key: value for key, value in mapping.items() if key != number}


def _of_job(
    sandbox: str, memory: SandboxMemory, number: int, change: JobChange, at: float
) -> Iterator[Step]:
    job = change.job
    if job.foreground:
        yield replace(memory, pending=_without(memory.pending, number)), None
        return
    is_known = number in memory.jobs or number in memory.pending
    if not is_known and number <= memory.seen:
        return  # it ended before, and was reported
    for step in _begun(sandbox, memory, number, job, at):
        memory = step[0]
        yield step
    old = memory.jobs[number]
    if job.state.ended:
        memory = replace(memory, jobs=_without(memory.jobs, number))
        ended = at if job.ended_at is None else round(job.ended_at, 3)
        yield memory, _event(sandbox, job, ended, EventKind.ENDED, _ending(change))
        return
    now, findings = _looked_at(old, change, at)
    memory = replace(memory, jobs={**memory.jobs, number: now})
    for finding in findings:
        mark = zlib.crc32(finding.key.encode())
        if mark in now.reported or len(now.reported) >= _MAX_WARNINGS:
            continue
        now = replace(now, reported=(*now.reported, mark))
        memory = replace(memory, jobs={**memory.jobs, number: now})
        yield memory, _event(sandbox, job, at, EventKind.WARNING, finding.text)
    yield memory, None


def _begun(
    sandbox: str, memory: SandboxMemory, number: int, job: Job, at: float
) -> Iterator[Step]:
    """Yield that a job is there, that it began, or waits again: what of it is news."""
    old = memory.jobs.get(number)
    now = replace(old or JobMemory(name=job.name[:_NAME]), is_queued=_waits(job))
    never_ran = job.state.ended and job.started_at is None
    if old is not None and (old.is_queued == now.is_queued or never_ran):
        return
    memory = replace(
        memory,
        seen=max(memory.seen, number),
        jobs={**memory.jobs, number: now},
        pending=_without(memory.pending, number),
    )
    is_queued = now.is_queued or never_ran
    kind = EventKind.QUEUED if is_queued else EventKind.STARTED
    began = job.queued_at if is_queued else job.started_at
    yield (
        memory,
        _event(sandbox, job, at if began is None else began, kind, _command(job)),
    )


def _waits(job: Job) -> bool:
    return job.state is JobState.QUEUED


def _looked_at(
    old: JobMemory, change: JobChange, at: float
) -> tuple[JobMemory, tuple[LogWarning, ...]]:
    """Return a live job as it is remembered now, and what looks wrong with it."""
    now, findings = _log_looked_at(old, change, at)
    if idles := idle.warning(change.job, change.use):
        return now, (*findings, idles)
    if change.use is not None:  # busy again: to be idle once more is news
        now = replace(now, reported=tuple(m for m in now.reported if m != _IDLE))
    return now, findings


def _log_looked_at(
    old: JobMemory, change: JobChange, at: float
) -> tuple[JobMemory, tuple[LogWarning, ...]]:
    if change.digest is None:
        stalled = old.reports and stalls.warning(at - old.changed_at)
        return old, (stalled,) if stalled else ()
    progress = job_progress.read(change.job, change.digest)
    now = replace(
        old,
        name=change.job.name[:_NAME],
        written_bytes=change.written_bytes,
        changed_at=at,
        reports=stalls.reports(progress),
        reported=tuple(mark for mark in old.reported if mark != _STALLED),
    )
    return now, progress.findings


def _event(sandbox: str, job: Job, at: float, kind: EventKind, message: str) -> Event:
    return Event(
        at=at, kind=kind, sandbox=sandbox, job=job.id, name=job.name,
        state=str(job.state), exit_code=job.exit_code, message=message,
    )  # fmt: skip


def _command(job: Job) -> str:
    return formatting.one_line(formatting.job_summary(job), 200)


def _ending(change: JobChange) -> str:
    """Return how a job ended: `failed (exit code 1) after 3 min 05 s; traceback: ...`."""
    job = change.job
    after = (
        "" if job.elapsed_s is None else f" after {formatting.duration(job.elapsed_s)}"
    )
    progress = job_progress.read(job, change.digest or LogDigest())
    return "; ".join((f"{job.words}{after}", *progress.warnings))
