"""What is said of a command or a job where text is all there is. Pure.

The first line of a failure is ours and says how it ended; then what the machine said;
then notes of ours, each with the next step.
"""

import re

from sandbox_ops.errors import NextStep
from sandbox_ops.models import CommandResult, EndKind, Job, JobState
from sandbox_ops.models.waiting import WaitEvent, WaitReport
from sandbox_ops.text import formatting, marks, shell_state, stream_words
from sandbox_ops.text.log_pages import Page
from sandbox_ops.text.pipes import ends_in_tee
from sandbox_ops.text.step_words import StepWords, read_job, stop_job

LIMIT = 30_000
"""How many characters an answer may have."""

_BODY = LIMIT - 2_000  # the rest is room for our own words
_COMMAND = 200
_WARNINGS = 8
_EVENT = 300
# A success begins with what the machine said. Where that looks like one of our first
# lines, ours has to be there too.
_STATUS_LIKE = re.compile(
    rf"\W*(?:{marks.alike('exit code')}|{marks.alike('connection lost')}"
    r"|internal error in|remote-\d+ started)",
    re.IGNORECASE,
)


def started(job: Job, timeout_s: float | None, steps: StepWords) -> str:
    """Say how a job in the background is waited for, and ended."""
    deadline = (
        f"It is ended after {formatting.duration(timeout_s)}." if timeout_s else ""
    )
    tee = _tee(job.command)
    return marks.join(
        f"{job.id} started in the background.",
        f"It has ended already: {job.words}." if job.state.ended else "",
        f"Wait for it: {steps.of(NextStep('wait', {'job': job.id}))}",
        f"End it: {steps.of(NextStep('stop', {'job': job.id}))}",
        f"Log: {job.log_path}" if job.log_path else "",
        deadline,
        marks.note(tee) if tee else "",
    )


def ended(result: CommandResult, line: str, timeout_s: float, steps: StepWords) -> str:
    """Say how a command ended, what it said, and what it left.

    Args:
        result: What came of it.
        line: The command, as it was given.
        timeout_s: The time it was allowed.
        steps: How the next steps are said.
    """
    body = stream_words.shown(result, steps, _BODY)
    if not result.ok:
        first = _first_line(result, timeout_s)
    elif not body or _STATUS_LIKE.match(body):
        first = "exit code 0" if body else "exit code 0, no output"
    else:
        first = ""
    return marks.join(first, body, *map(marks.note, _notes(result, line, steps)))


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


def _notes(result: CommandResult, line: str, steps: StepWords) -> tuple[str, ...]:
    job = result.job
    notes = []
    if result.end is EndKind.CONNECTION_LOST:
        notes.append(_lost(job, steps))
    if result.end is EndKind.TIMED_OUT:
        notes.append("longer work: a larger timeout (ms) or run_in_background=true")
    if result.end is EndKind.EXITED and (tee := _tee(line)):
        notes.append(tee)
    if result.ok and shell_state.is_forgotten(line):
        notes.append(
            "the next command has a new shell and forgets this: begin it with the same"
        )
    return (*notes, *_job_notes(job, steps))


def _lost(job: Job, steps: StepWords) -> str:
    if not job.id:
        return f"{job.reason}; look before you run it again"
    why = f"{job.reason}; " if job.reason else ""
    look = read_job(steps, job.id)
    return f"{why}it may still be running, do not start it again; see: {look}"


def _job_notes(job: Job, steps: StepWords) -> tuple[str, ...]:
    """Say what a job left behind, and whether its output is whole."""
    notes = []
    if alive := stop_job(steps, job):
        notes.append(alive)
    if job.log_incomplete:
        notes.append(
            "part of the output is not in the log: too much of it, or no room on the disk"
        )
    return tuple(notes)


def _tee(line: str) -> str:
    if not ends_in_tee(line):
        return ""
    return "the exit code is tee's, not that of what runs before it; set -o pipefail"


def output(
    job: Job,
    page: Page,
    cursor: str,
    *,
    steps: StepWords,
    event: str = "",
    again: bool = False,
    stderr: str = "",
) -> str:
    """Say where a job is, then what it said.

    Args:
        job: The job, as it was when its log was read.
        page: What is shown of it.
        cursor: Where the next page begins.
        steps: How the next steps are said.
        event: What ended a wait for it, in a line.
        again: Whether an answer before this one described the job.
        stderr: The end of it, for a command that has it apart.
    """
    where = "" if again or not job.log_path else f"; log: {job.log_path}"
    end_it = steps.of(NextStep("stop", {"job": job.id}))
    return marks.join(
        state_line(job),
        event,
        "" if again else _command_line(job),
        page.summary + where,
        f"cursor: {cursor}",
        "" if job.state.ended else f"end it: {end_it}",
        *map(marks.note, _job_notes(job, steps)),
        f"---\n{page.text}" if page.text else "",
        marks.note("stderr") if stderr else "",
        stderr,
    )


def event(report: WaitReport) -> str:
    """Say what ended a wait, where the job's state does not."""
    if report.event is WaitEvent.ENDED:
        ended = [f"all {report.line}"] if report.jobs else []
        says_it = not report.jobs and report.job.state is not JobState.SUCCEEDED
        return "\n".join((*ended, *(() if says_it else wait_warnings(report))))
    if report.event is WaitEvent.TIMEOUT:
        return "nothing happened in that time"
    kind = "warning" if report.event is WaitEvent.WARNING else "matched"
    return f"{kind}: {formatting.one_line(marks.remote(report.line), _EVENT)}"


def wait_warnings(report: WaitReport) -> list[str]:
    """Say what looked wrong with what ended, a line each; of many the first."""
    lines = [
        f"warning: {formatting.one_line(marks.remote(each), _EVENT)}"
        for each in report.warnings[:_WARNINGS]
    ]
    more = len(report.warnings) - len(lines)
    return [*lines, f"and {formatting.count(more, 'more warning')}"] if more else lines


def _command_line(job: Job) -> str:
    doing = formatting.one_line(formatting.job_summary(job), _COMMAND)
    who = f" (started by {job.started_by})" if job.started_by else ""
    return f"command: {doing}{who}" if doing else ""


def state_line(job: Job) -> str:
    """Say where a job is in its life: `remote-3: failed (exit code 1), 12 s`."""
    state = job.words
    if job.state is JobState.SUCCEEDED:
        state = f"{state} (exit code 0)"
    elif job.signal and job.exit_code is not None:
        state = f"{state} (exit code {job.exit_code})"
    tee = " (of tee)" if job.exit_code is not None and ends_in_tee(job.command) else ""
    known = job.elapsed_s is not None
    elapsed = f", {formatting.duration(job.elapsed_s)}" if known else ""
    return f"{job.id}: {state}{tee}{elapsed}"
