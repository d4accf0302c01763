"""The tools that take a round trip or two. They block: call them in a thread."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcp_adapter import catalog
from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.models.waiting import WaitReport
from sandbox_ops.text import command_words, file_words, marks
from sandbox_ops.workflows import report_lines

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.machine.waiting import Wait

_MOST_LINES = 5_000  # more do not fit into an answer, however short they are
_JOBS = 20
_MATCHES = 20


def job_output(
    sandbox: "Sandbox",
    asked: catalog.RemoteBashOutput,
    calls: Calls,
    report: WaitReport | None = None,
) -> ToolAnswer:
    """Answer `remote_bash_output`; after a wait, with what ended it."""
    from sandbox_ops.machine import log_reading
    from sandbox_ops.workflows import group_jobs

    names = asked.names
    if not names:
        return _jobs(sandbox, asked, calls)
    if report is None and (listed := group_jobs.named(sandbox, names)):
        shown = (marks.remote(str(line)) for line in report_lines.group_jobs(listed))
        return ToolAnswer(marks.join(*shown))
    if len(names) > 1 and report is None:
        raise UsageError("only `wait` takes several jobs: it answers of the first")
    held = log_reading.cursors(sandbox, names, asked.since)
    limit = asked.limit
    if report is not None:
        held = tuple(each for each in held if each.job_id == report.job.id)
        names = (report.job.id,)
        limit = limit or (_MATCHES if asked.filter else None)
    since = held[0] if held else None
    reading = log_reading.read(
        sandbox, names[0], pattern=asked.filter, since=since, lines=limit
    )
    warning_keys = (report.warning_key,) if report and report.warning_key else ()
    text = command_words.output(
        reading.job,
        reading.page,
        reading.cursor.after(warning_keys).encode(),
        steps=calls,
        event=command_words.event(report) if report else "",
        again=since is not None,
        stderr=reading.stderr,
    )
    return ToolAnswer(text)


def begin_wait(sandbox: "Sandbox", asked: catalog.RemoteBashOutput) -> "Wait":
    """Begin to wait for what `remote_bash_output` asks for."""
    from sandbox_ops.machine import log_reading, waiting

    held = log_reading.cursors(sandbox, asked.names, asked.since)
    wanted = waiting.WaitFor(
        pattern=asked.filter,
        since=log_reading.begins(held),
        known_warnings=[key for each in held for key in each.warned],
        timeout_s=catalog.seconds(asked.wait, "wait"),
    )
    return waiting.begin(sandbox, asked.names, wanted)


def _jobs(
    sandbox: "Sandbox", asked: catalog.RemoteBashOutput, calls: Calls
) -> ToolAnswer:
    from sandbox_ops.machine import job_list

    if asked.since or asked.wait is not None:
        raise UsageError(
            "`since` and `wait` need `bash_id`",
            NextStep("jobs", purpose="See which jobs there are"),
        )
    limit = asked.limit or _JOBS
    listed = job_list.recent(sandbox, limit, include_commands=True)
    lines = report_lines.jobs(job_list.running_first(listed), time.time())
    shown = (marks.remote(str(line)) for line in lines)
    more = f"next: {calls.of(NextStep('jobs', {'limit': limit * 5}))}"
    return ToolAnswer(marks.join(*shown, more if len(listed) >= limit else ""))


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
