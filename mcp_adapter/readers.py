"""The tools that only read. They block for a round trip or two: call them in a thread."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp_adapter import answers, file_pages
from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from sandbox_ops.errors import UsageError
from sandbox_ops.models import JobOutput
from sandbox_ops.text import formatting, log_cursor, log_pages, paging
from sandbox_ops.text.log_cursor import Cursor

if TYPE_CHECKING:
    from sandbox_ops.sandbox import Sandbox

_STDERR_BYTES = 1 << 14
_LAST_LINE_BYTES = 2000
_MOST_LINES = 5_000  # more do not fit into an answer, however short they are


def job_output(
    sandbox: "Sandbox", given: Mapping[str, Any], calls: Calls
) -> ToolAnswer:
    """Answer `remote_bash_output`."""
    from sandbox_ops.machine import logs

    name, job_id = sandbox.config.name, given["bash_id"].strip()
    pattern, since = given["filter"], given["since"]
    place = None
    if since:
        earlier = log_cursor.decode(since, sandbox=name, job=job_id)
        job_id, place = earlier.job_id, earlier.place
    logs.check_pattern(pattern)
    size = logs.FILTER_BYTES if pattern else log_pages.PAGE_BYTES
    if place is not None:
        reading = logs.since(sandbox, job_id, place, size)
    elif pattern:
        reading = logs.end(sandbox, job_id, size)
    else:
        reading = logs.end(sandbox, job_id, log_pages.TAIL_BYTES)
    piece = reading.piece
    if pattern:
        page = log_pages.matching(
            piece, pattern, forward=place is not None, in_time=logs.filter_time()
        )
    elif place is not None:
        page = log_pages.following(piece)
    else:
        page = log_pages.tail(piece)
    next_place = Cursor(
        sandbox=name, job_id=piece.job.id, place=reading.place(page.next_offset)
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


def _stderr(sandbox: "Sandbox", piece: JobOutput) -> str:
    """Return the end of what a foreground command complained of."""
    if not piece.job.foreground:
        return ""
    from sandbox_ops.machine import logs

    reading = logs.end(sandbox, piece.job.id, _STDERR_BYTES, "stderr")
    return log_pages.tail(reading.piece).text


def last_line(sandbox: "Sandbox", job_id: str) -> str:
    """Return the last line that a command said, cut short; "" if none."""
    from sandbox_ops.machine import logs

    piece = logs.end(sandbox, job_id, _LAST_LINE_BYTES).piece
    line = paging.shown(piece.data).rstrip().rpartition("\n")[2]
    return formatting.one_line(line, 120)


def file_lines(
    sandbox: "Sandbox", given: Mapping[str, Any], calls: Calls
) -> ToolAnswer:
    """Answer `remote_file_read`."""
    from sandbox_ops.machine import files

    path, offset, limit = given["file_path"], given["offset"], given["limit"]
    if limit is not None and limit < 1:
        raise UsageError("`limit` must be at least 1")
    from_end = offset is None and limit is not None
    most = min(limit, _MOST_LINES) if limit else None
    piece = files.read_lines(sandbox, path, offset, most)
    return file_pages.lines(piece, from_end=from_end, limit=limit, calls=calls)
