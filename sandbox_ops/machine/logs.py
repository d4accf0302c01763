"""Logs: what a job wrote. Its end, what comes after a place, the last lines, all of it.

The only reader of logs, for every face: over `jobs.output` and the shared follower. A
place in a log is known by what lies right before it, so that a log that was truncated
or replaced, and grew past the place since, is noticed.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobOutput
from sandbox_ops.models.options import Listener
from sandbox_ops.remote.follower import Watch
from sandbox_ops.remote.stream import END_BYTES, KNOWN_BYTES, Begin
from sandbox_ops.text import clean, paging
from sandbox_ops.text.paging import InTime, LastLines, Place

Stream = Literal["stdout", "stderr"]
FILTER_BYTES = 8 << 20
"""How much a filter searches at most."""

_FIRST_BYTES = 64 << 10
_FILTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A piece of a log, and what lies right before it as far as it is known."""

    piece: JobOutput
    known: bytes = b""

    def begin(self, offset: int) -> Begin:
        """Return where to follow the log from; `offset` lies in the piece."""
        until = self.known + self.piece.data[: offset - self.piece.offset]
        return Begin(offset, until[-KNOWN_BYTES:])

    def place(self, offset: int) -> Place:
        """Return a place to keep; `offset` lies in the piece."""
        return Place.after(self.begin(offset).known, offset, self.piece.inode)


def end(
    sandbox: Sandbox, job_id: str, max_bytes: int, stream: Stream = "stdout"
) -> Reading:
    """Return the end of a log.

    Raises:
        NotFoundError: No such job, or its log is gone.
    """
    piece = _piece(sandbox, job_id, stream, -max_bytes, max_bytes)
    return Reading(piece=piece)


def since(sandbox: Sandbox, job_id: str, place: Place, max_bytes: int) -> Reading:
    """Return what comes after a place; a log that is another one, from its beginning.

    One that outgrew its limit lost what is before its last 64 KiB: those, then.

    Raises:
        NotFoundError: No such job, or its log is gone.
    """
    before = place.offset - place.known_bytes
    piece = jobs.output(
        sandbox,
        job_id,
        offset=before,
        max_bytes=place.known_bytes + max_bytes,
        inode=place.inode,
    )
    if piece.restarted:
        return Reading(piece=piece)
    known, data = piece.data[: place.known_bytes], piece.data[place.known_bytes :]
    if not place.follows(known):
        over_limit = piece.job.log_incomplete
        begin = -min(END_BYTES, max_bytes) if over_limit else 0
        again = _piece(sandbox, job_id, "stdout", begin, max_bytes)
        return Reading(piece=dataclasses.replace(again, restarted=True))
    later = dataclasses.replace(piece, data=data, offset=place.offset)
    return Reading(piece=later, known=known)


def last(
    sandbox: Sandbox,
    job_id: str,
    lines: int,
    *,
    pattern: str = "",
    stream: Stream = "stdout",
) -> tuple[Reading, LastLines]:
    """Return the last `lines` lines, of those that match; 0 for all in the last 8 MiB.

    Raises:
        UsageError: The pattern is bad; says where. The machine is not asked then.
        TimedOutError: The pattern takes too long.
        NotFoundError: There is no such job, or its log is gone.
    """
    check_pattern(pattern)
    size = FILTER_BYTES if pattern or not lines else _FIRST_BYTES
    while True:
        reading = end(sandbox, job_id, size, stream)
        page = paging.last_lines(
            reading.piece, lines, pattern=pattern, in_time=filter_time()
        )
        enough = lines and len(page.lines) >= lines
        if enough or not reading.piece.offset or size >= FILTER_BYTES:
            return reading, page
        size *= 8


def follow(
    sandbox: Sandbox,
    job: Job,
    listener: Listener | None,
    *,
    begin: Mapping[str, Begin] | None = None,
    on_restart: Callable[[str], None] = lambda _: None,
) -> Watch:
    """Begin to follow a job, with all others that are followed, and return the watch.

    Args:
        sandbox: Where it is.
        job: As it was last known.
        listener: Gets `("stdout"|"stderr", bytes)` as they come, in another thread;
            None: only the end matters.
        begin: Where to begin, by stream; without it at the beginning.
        on_restart: Told which stream was truncated or replaced; it goes on with the
            beginning of the new one.
    """
    watch = Watch(job, 2, listener, begin=begin, on_restart=on_restart)
    sandbox.follow(watch)
    return watch


def check_pattern(pattern: str) -> None:
    """Refuse a bad pattern before anything is read.

    Raises:
        UsageError: It is no RE2 pattern; says where it goes wrong.
    """
    if pattern:
        clean.matching(b"", pattern)


def filter_time() -> InTime:
    """Return what says whether a filter that begins now still has time."""
    over_at = time.monotonic() + _FILTER_S
    return lambda: time.monotonic() < over_at


def _piece(
    sandbox: Sandbox, job_id: str, stream: Stream, offset: int, max_bytes: int
) -> JobOutput:
    read = jobs.stderr if stream == "stderr" else jobs.output
    return read(sandbox, job_id, offset=offset, max_bytes=max_bytes)
