"""A page of a job's log by what a caller holds: a pattern, a cursor, a number of lines.

The server of such a caller remembers nothing: cursor in, page and next cursor out.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_ops.errors import UsageError
from sandbox_ops.machine import jobs, logs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobOutput
from sandbox_ops.remote.stream import Begin
from sandbox_ops.text import formatting, log_cursor, log_pages, paging
from sandbox_ops.text.log_cursor import Cursor
from sandbox_ops.text.log_pages import Page

_STDERR_BYTES = 1 << 14
_LAST_LINE_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReading:
    """What was read.

    Attributes:
        job: As it was when its log was read.
        page: A part of its log.
        cursor: What reads on behind that part.
        stderr: The end of what a foreground command complained of, without a cursor or
            pattern.
    """

    job: Job
    page: Page
    cursor: Cursor
    stderr: str = ""


def read(
    sandbox: Sandbox,
    job: str,
    *,
    pattern: str = "",
    since: Cursor | None = None,
    lines: int | None = None,
) -> LogReading:
    """Read a page.

    Args:
        sandbox: Where the job is.
        job: Which one; see `jobs.get`.
        pattern: RE2; only the lines that match.
        since: Only what came behind it; else the end of the log.
        lines: At most so many: the last ones, or those that come next.

    Raises:
        UsageError: The pattern is bad; says where. Or no such number of lines.
        NotFoundError: There is no such job, or its log is gone.
    """
    if lines is not None and lines < 1:
        raise UsageError("`limit` must be at least 1")
    logs.check_pattern(pattern)
    size = logs.FILTER_BYTES if pattern else log_pages.PAGE_BYTES
    stderr = ""
    if since is not None:
        reading = logs.since(sandbox, since.job_id, since.place, size)
    elif pattern:
        reading = logs.end(sandbox, job, size)
    else:
        log, complaints = jobs.ends(
            sandbox,
            job,
            log_bytes=log_pages.TAIL_BYTES,
            stderr_bytes=_STDERR_BYTES,
        )
        reading = logs.Reading(piece=log)
        stderr = log_pages.tail(complaints).text if complaints.data else ""
    piece = reading.piece
    page = _page(piece, pattern, forward=since is not None, lines=lines)
    place = reading.place(page.next_offset)
    cursor = Cursor(
        sandbox=sandbox.config.name,
        job_id=piece.job.id,
        place=place,
        warned=since.warned if since else (),
    )
    return LogReading(job=piece.job, page=page, cursor=cursor, stderr=stderr)


def _page(piece: JobOutput, pattern: str, *, forward: bool, lines: int | None) -> Page:
    if pattern:
        return log_pages.matching(
            piece, pattern, forward=forward, lines=lines, in_time=logs.filter_time()
        )
    if not forward:
        return log_pages.tail(piece, lines)
    if lines:
        whole = piece.data.split(b"\n", lines)
        rest = len(whole[-1]) if len(whole) > lines else 0
        piece = dataclasses.replace(piece, data=piece.data[: len(piece.data) - rest])
    return log_pages.following(piece)


def last_line(sandbox: Sandbox, job_id: str) -> str:
    """Return the last line that a command said, cut short; "" if none."""
    piece = logs.end(sandbox, job_id, _LAST_LINE_BYTES).piece
    line = paging.shown(piece.data).rstrip().rpartition("\n")[2]
    return formatting.one_line(line, 120)


def begins(cursors: Sequence[Cursor]) -> dict[str, Begin]:
    """Return where a search goes on, by the ids of the jobs."""
    return {each.job_id: Begin(each.place.offset) for each in cursors}


def cursors(sandbox: Sandbox, jobs: tuple[str, ...], since: str) -> tuple[Cursor, ...]:
    """Return the places that a caller holds, one word each, with commas between.

    Raises:
        UsageError: One is no cursor of ours, or of none of these jobs.
    """
    cursors = [word for word in since.split(",") if word.strip()]
    name = sandbox.config.name
    return tuple(log_cursor.decode(word, sandbox=name, jobs=jobs) for word in cursors)
