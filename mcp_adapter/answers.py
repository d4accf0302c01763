"""What a tool says of a command: values of the library as text for a model.

Pure. The first line of a failure is ours and says how it ended; then what the machine
said; then notes of ours, each with the next call.
"""

import re
from dataclasses import dataclass

from mcp_adapter import streams
from mcp_adapter.calls import Calls
from sandbox_ops.errors import AuthenticationError, NextStep, SandboxError
from sandbox_ops.models import CommandResult, EndKind, Job, JobState
from sandbox_ops.text import clean, formatting, marks, remote_text
from sandbox_ops.text.log_pages import Page
from sandbox_ops.text.pipes import ends_in_tee

LIMIT = 30_000
"""How many characters an answer may have."""

_GAP = 100  # room for the note about what is left out

KEEP_BYTES = 1 << 18
"""How much of each end of a command's output is worth bringing here."""

_DEFAULT = Calls()
_ERROR_LINE = 2_000  # an error quotes what was sent, however long that is
_BODY = LIMIT - 2_000  # the rest is room for our own words
# A success begins with what the machine said. Where that looks like one of our first
# lines, ours has to be there too.
_STATUS_LIKE = re.compile(
    rf"\W*(?:{marks.alike('exit code')}|{marks.alike('connection lost')}"
    r"|internal error in|remote-\d+ started)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What goes back to the model, and the exit that its text passes on the way.

    There is none whose text was not made safe, or is longer than `LIMIT`.
    """

    text: str
    is_error: bool = False

    def __post_init__(self) -> None:
        """Make the text safe, and cut its middle out where it is too long."""
        text = marks.shown(self.text)
        begin, left_out, end = clean.head_tail(text, LIMIT - _GAP)
        if left_out:
            gap = marks.shown(marks.note(f"{left_out:,} characters left out here"))
            text = marks.join(begin, gap, end)
        object.__setattr__(self, "text", text)


def error(
    problem: SandboxError, calls: Calls = _DEFAULT, *, no_agent: bool = False
) -> ToolAnswer:
    """Say what is wrong and what to do next.

    Args:
        problem: What the library says.
        calls: How the next calls are written.
        no_agent: Whether we were started without the way to the user's ssh agent.
    """
    lines = calls.error_text(problem).split("\n")
    failed = isinstance(problem, AuthenticationError)
    return ToolAnswer(
        marks.join(
            *(marks.cut(line, _ERROR_LINE) for line in lines),
            _no_agent_words(calls) if no_agent and failed else "",
        ),
        is_error=True,
    )


def _no_agent_words(calls: Calls) -> str:
    return (
        "SSH_AUTH_SOCK is not set for this server, as hosts strip it: a key in an ssh"
        " agent is out of reach. The host hands it on after this, once it is restarted"
        f" from a terminal that has it: {calls.of(NextStep('mcp-install'))}"
    )


def bug(problem: Exception) -> ToolAnswer:
    """Say that it is our fault."""
    what = remote_text.masked(f"{type(problem).__name__}: {problem}")[:500]
    return ToolAnswer(
        f"internal error in sandbox-ops: {what}\nThe traceback is in the server's log.",
        is_error=True,
    )


def started(job: Job, timeout_s: float | None, calls: Calls = _DEFAULT) -> ToolAnswer:
    """Say how a job in the background is read."""
    deadline = (
        f"It is ended after {formatting.duration(timeout_s)}." if timeout_s else ""
    )
    tee = _tee_words(job.command)
    return ToolAnswer(
        marks.join(
            f"{job.id} started in the background.",
            f"Read it: {calls.read_job(job.id)}",
            f"Log: {job.log_path}" if job.log_path else "",
            deadline,
            marks.note(tee) if tee else "",
        )
    )


def command(
    result: CommandResult, line: str, timeout_s: float, calls: Calls = _DEFAULT
) -> ToolAnswer:
    """Say how a command ended, what it said, and what it left.

    Args:
        result: What came of it.
        line: The command, as it was given.
        timeout_s: The time it was allowed.
        calls: How the next calls are written.
    """
    body = streams.shown(result, calls, _BODY)
    if not result.ok:
        first = _first_line(result, timeout_s)
    elif not body or _STATUS_LIKE.match(body):
        first = "exit code 0" if body else "exit code 0, no output"
    else:
        first = ""
    notes = map(marks.note, _notes(result, line, calls))
    return ToolAnswer(marks.join(first, body, *notes), is_error=not result.ok)


def _first_line(result: CommandResult, timeout_s: float) -> str:
    code, job = result.exit_code, result.job
    if result.end is EndKind.CONNECTION_LOST:
        which = f"how {job.id} ended" if job.id else "whether the command was started"
        return f"connection lost: it is not known {which}"
    if result.end is EndKind.TIMED_OUT:
        left = ", ".join(result.left)
        tree = (
            f"still alive: {left}" if left else "no process of it can be found any more"
        )
        return f"exit code {code} (timed out after {formatting.duration(timeout_s)}; {tree})"
    if job.exit_code is None:
        return f"exit code unknown: {job.words}"
    stopped = "; stopped" if job.state is JobState.STOPPED else ""
    if not job.signal:
        return f"exit code {code}{stopped}"
    or_own = "" if job.signal_certain else ", or the command's own code"
    memory = "; often out of memory" if job.signal == "KILL" and not stopped else ""
    return f"exit code {code} (signal {job.signal}{or_own}{memory}{stopped})"


def _notes(result: CommandResult, line: str, calls: Calls) -> tuple[str, ...]:
    job = result.job
    notes = []
    if result.end is EndKind.CONNECTION_LOST:
        notes.append(_lost_words(job, calls))
    if result.end is EndKind.TIMED_OUT:
        notes.append("longer work: a larger timeout (ms) or run_in_background=true")
    if result.end is EndKind.EXITED and (tee := _tee_words(line)):
        notes.append(tee)
    return (*notes, *_job_notes(job, calls))


def _lost_words(job: Job, calls: Calls) -> str:
    if not job.id:
        return f"{job.reason}; look before you run it again"
    why = f"{job.reason}; " if job.reason else ""
    look = calls.read_job(job.id)
    return f"{why}it may still be running, do not start it again; see: {look}"


def _job_notes(job: Job, calls: Calls) -> tuple[str, ...]:
    """Say what a job left behind, and whether its output is whole."""
    notes = []
    if alive := calls.stop_words(job):
        notes.append(alive)
    if job.log_incomplete:
        notes.append("the machine dropped part of the output, it was too much")
    return tuple(notes)


def _tee_words(line: str) -> str:
    if not ends_in_tee(line):
        return ""
    return "the exit code is tee's, not that of what runs before it; set -o pipefail"


def output(
    job: Job,
    page: Page,
    cursor: str,
    *,
    path: str = "",
    stderr: str = "",
    calls: Calls = _DEFAULT,
) -> ToolAnswer:
    """Say where a job is, then what it said.

    Args:
        job: The job, as it was when its log was read.
        page: What is shown of it.
        cursor: Where the next page begins.
        path: Where all of it can be read; "" where that need not be said.
        stderr: The end of it, for a command that has it apart.
        calls: How the next calls are written.
    """
    where = f"; log: {path}" if path else ""
    return ToolAnswer(
        marks.join(
            state_line(job),
            page.words + where,
            f"cursor: {cursor}",
            *map(marks.note, _job_notes(job, calls)),
            f"---\n{page.text}" if page.text else "",
            marks.note("stderr") if stderr else "",
            stderr,
        )
    )


def state_line(job: Job) -> str:
    """Say where a job is in its life: `remote-3: failed (exit code 1), 12 s`."""
    words = job.words
    if job.state is JobState.SUCCEEDED:
        words = f"{words} (exit code 0)"
    elif job.signal and job.exit_code is not None:
        words = f"{words} (exit code {job.exit_code})"
    tee = " (of tee)" if job.exit_code is not None and ends_in_tee(job.command) else ""
    return f"{job.id}: {words}{tee}, {formatting.duration(job.elapsed_s)}"
