"""The tools that take a round trip or two. They block: call them in a thread."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcp_adapter import catalog
from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.models.waiting import WaitReport
from sandbox_ops.text import file_words, marks
from sandbox_ops.workflows import report_lines

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox

_MOST_LINES = 5_000  # more do not fit into an answer, however short they are


def job_output(
    sandbox: "Sandbox",
    asked: catalog.RemoteBashOutput,
    calls: Calls,
    report: WaitReport | None = None,
) -> ToolAnswer:
    """Answer `remote_bash_output`; after a wait, with what ended it."""
    from sandbox_ops.workflows import job_answers

    limit = asked.limit
    if asked.names:
        options = {"pattern": asked.filter, "since": asked.since}
        read = functools.partial(job_answers.output, sandbox, asked.names, calls)
        return ToolAnswer(read(limit=limit, report=report, **options))
    if asked.since or asked.wait is not None:
        raise UsageError(
            "`since` and `wait` need `bash_id`",
            NextStep("jobs", purpose="See which jobs there are"),
        )
    return ToolAnswer(job_answers.listed(sandbox, calls, limit))


def file_lines(
    sandbox: "Sandbox", asked: catalog.RemoteFileRead, calls: Calls
) -> ToolAnswer:
    """Answer `remote_file_read`."""
    from sandbox_ops.machine import files

    offset, limit = asked.offset, asked.limit
    from_end = offset is None and limit is not None
    most = None if limit is None else min(limit, _MOST_LINES)
    piece = files.read_lines(sandbox, asked.file_path, offset, most)
    shown = file_words.lines(piece, from_end=from_end, steps=calls, limit=limit)
    return ToolAnswer(shown)


def stop(sandbox: "Sandbox", asked: catalog.RemoteBashStop, calls: Calls) -> ToolAnswer:
    """Answer `remote_bash_stop`."""
    from sandbox_ops.workflows.stop import WouldStop
    from sandbox_ops.workflows.stop import stop as work

    report = work(sandbox, asked.bash_id, confirm=asked.confirm)
    if isinstance(report, WouldStop):
        lines = report_lines.would_stop(report.job, report.processes, report.group)
        is_error = False
        step = calls.named("remote_bash_stop", bash_id=report.asked, confirm=True)
    else:
        lines, is_error = report_lines.stop(report), not report.ok
        step = calls.of(NextStep("logs", {"job": report.job.id}))
    shown = (marks.remote(str(line)) for line in lines)
    return ToolAnswer(marks.join(*shown, f"next: {step}"), is_error=is_error)


READERS: dict[str, Callable[["Sandbox", Any, Calls], ToolAnswer]] = {
    catalog.RemoteBashOutput.tool_name: job_output,
    catalog.RemoteFileRead.tool_name: file_lines,
    catalog.RemoteBashStop.tool_name: stop,
}
