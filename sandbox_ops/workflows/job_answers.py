"""Jobs as an agent asks for them: the list, one of them, several until something happens.

Texts for a face that has only text: `steps` says how it names the next call.
"""

import time
from typing import TYPE_CHECKING

from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.machine import job_list, log_reading, waiting
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, job_ids
from sandbox_ops.models.waiting import WaitReport
from sandbox_ops.text import command_words, marks
from sandbox_ops.text.step_words import StepWords
from sandbox_ops.workflows import group_jobs, report_lines

if TYPE_CHECKING:
    from sandbox_ops.machine.waiting import Wait

_JOBS = 20
_COMMANDS = 20  # so many are looked at for those of a client: jobs are asked for apart
_MATCHES = 20


def listed(sandbox: Sandbox, steps: StepWords, limit: int | None = None) -> str:
    """Say which jobs there are, those that run first.

    Args:
        sandbox: The machine.
        steps: How the next step is named.
        limit: So many of the newest; None: twenty.
    """
    limit = limit or _JOBS
    jobs = job_list.recent(sandbox, limit)
    commands = job_list.recent(sandbox, _COMMANDS, include_commands=True)
    newest = {job.id: job for job in (*jobs, *filter(_is_command, commands))}
    in_order = job_list.running_first(newest.values())
    lines = report_lines.jobs(in_order, time.time())
    shown = (marks.remote(str(line)) for line in lines)
    more = f"next: {steps.of(NextStep('jobs', {'limit': limit * 5}))}"
    return marks.join(*shown, more if len(jobs) >= limit else "")


def _is_command(job: Job) -> bool:
    return job_ids.is_command(job.id)


def output(
    sandbox: Sandbox,
    names: tuple[str, ...],
    steps: StepWords,
    *,
    pattern: str = "",
    since: str = "",
    limit: int | None = None,
    report: WaitReport | None = None,
) -> str:
    """Say how a job is, and what it wrote; of a group, how each of its jobs is.

    Args:
        sandbox: The machine.
        names: What names the job; several only after a wait for them.
        steps: How the next step is named.
        pattern: Only lines that match it.
        since: Cursors of earlier answers: only what is new since then.
        limit: So many lines; None: about 3 kB, after a wait for a pattern twenty.
        report: What ended a wait for these jobs; None: nobody waited.

    Raises:
        UsageError: Several jobs without a wait, or what `log_reading` refuses.
        NotFoundError: There is no such job.
    """
    if report is None and (of_groups := group_jobs.named(sandbox, names)):
        lines = report_lines.group_jobs(of_groups)
        return marks.join(*(marks.remote(str(line)) for line in lines))
    if len(names) > 1 and report is None:
        raise UsageError("only `wait` takes several jobs: it answers of the first")
    held = log_reading.cursors(sandbox, names, since)
    if report is not None:
        report = group_jobs.with_warnings(sandbox, names, report)
        held = tuple(each for each in held if each.job_id == report.job.id)
        names = (report.job.id,)
        limit = limit or (_MATCHES if pattern else None)
    cursor = held[0] if held else None
    reading = log_reading.read(
        sandbox, names[0], pattern=pattern, since=cursor, lines=limit
    )
    warning_keys = (report.warning_key,) if report and report.warning_key else ()
    return command_words.output(
        reading.job,
        reading.page,
        reading.cursor.after(warning_keys).encode(),
        steps=steps,
        event=command_words.event(report) if report else "",
        again=cursor is not None,
        stderr=reading.stderr,
    )


def begin_wait(
    sandbox: Sandbox,
    names: tuple[str, ...],
    *,
    pattern: str = "",
    since: str = "",
    timeout_s: float | None = None,
) -> "Wait":
    """Begin to wait for what happens first to one of the jobs.

    Args:
        sandbox: The machine.
        names: What names the jobs.
        pattern: Also a line that matches it.
        since: Cursors of earlier answers: of a log only what is new since then counts.
        timeout_s: At most so long; None: for ever.

    Raises:
        SandboxError: As `waiting.begin` has it.
    """
    held = log_reading.cursors(sandbox, names, since)
    wanted = waiting.WaitFor(
        pattern=pattern,
        since=log_reading.begins(held),
        known_warnings=[key for each in held for key in each.warned],
        timeout_s=timeout_s,
    )
    return waiting.begin(sandbox, names, wanted)
