"""The tools that only read. They block for a round trip or two: call them in a thread."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp_adapter import answers, cursor, file_pages, log_pages, marks
from mcp_adapter.answers import Answer
from mcp_adapter.cursor import Cursor
from mcp_adapter.marks import Calls
from sandbox_ops.errors import UsageError
from sandbox_ops.models import JobOutput
from sandbox_ops.text import clean, formatting

if TYPE_CHECKING:
    from sandbox_ops.sandbox import Sandbox

_STDERR_BYTES = 1 << 14
_MOST_LINES = 5_000  # more do not fit into an answer, however short they are


def job_output(sandbox: "Sandbox", given: Mapping[str, Any], calls: Calls) -> Answer:
    """Answer `remote_bash_output`."""
    name, job_id = sandbox.config.name, given["bash_id"].strip()
    pattern, since = given["filter"], given["since"]
    place = cursor.decode(since, sandbox=name, job_id=job_id) if since else None
    if pattern:
        clean.matching(b"", pattern)  # a bad one is told before anything is read
    piece = _piece(sandbox, job_id, place, filtered=bool(pattern))
    if pattern:
        page = log_pages.matching(piece, pattern, forward=place is not None)
    elif place:
        page = log_pages.following(piece)
    else:
        page = log_pages.tail(piece)
    next_place = Cursor(
        sandbox=name, job_id=job_id, offset=page.next_offset, inode=piece.inode
    )
    stderr = _stderr(sandbox, piece) if not since and not pattern else ""
    return answers.output(
        piece.job,
        page,
        next_place.encode(),
        path="" if since else piece.job.log_path,
        stderr=stderr,
        calls=calls,
    )


def _piece(
    sandbox: "Sandbox", job_id: str, place: Cursor | None, *, filtered: bool
) -> JobOutput:
    """Read as much of the log as the page may need."""
    from sandbox_ops.machine import jobs

    if place is None:
        wanted = log_pages.FILTER_BYTES if filtered else log_pages.TAIL_BYTES
        return jobs.output(sandbox, job_id, offset=-wanted, max_bytes=wanted)
    wanted = log_pages.FILTER_BYTES if filtered else log_pages.PAGE_BYTES
    return jobs.output(
        sandbox, job_id, offset=place.offset, max_bytes=wanted, inode=place.inode
    )


def _stderr(sandbox: "Sandbox", piece: JobOutput) -> str:
    """Return the end of what a foreground command complained of."""
    if not piece.job.foreground:
        return ""
    from sandbox_ops.machine import jobs

    said = jobs.stderr(sandbox, piece.job.id, offset=-_STDERR_BYTES)
    return log_pages.tail(said).text


def last_line(sandbox: "Sandbox", job_id: str) -> str:
    """Return the last line that a command said, cut short; "" if none."""
    from sandbox_ops.machine import jobs

    piece = jobs.output(sandbox, job_id, offset=-2000, max_bytes=2000)
    lines = marks.remote(piece.data).rstrip().rpartition("\n")[2]
    return formatting.one_line(lines, 120)


def file_lines(sandbox: "Sandbox", given: Mapping[str, Any], calls: Calls) -> Answer:
    """Answer `remote_file_read`."""
    from sandbox_ops.machine import files

    path, offset, limit = given["file_path"], given["offset"], given["limit"]
    if limit is not None and limit < 1:
        raise UsageError("`limit` must be at least 1")
    from_end = offset is None and limit is not None
    most = min(limit, _MOST_LINES) if limit else None
    piece = files.read_lines(sandbox, path, offset, most)
    return file_pages.lines(piece, from_end=from_end, calls=calls)
