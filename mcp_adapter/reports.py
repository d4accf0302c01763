"""What the workflows report, as text for a model: the result, what is odd, what next.

Pure. What the facts are, `workflows.rows` says; what is the machine's, `Answer` guards.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mcp_adapter import marks
from mcp_adapter.answers import Answer
from mcp_adapter.marks import Calls
from sandbox_ops.errors import NextStep
from sandbox_ops.models import Job, StopReport
from sandbox_ops.text import formatting
from sandbox_ops.workflows import rows
from sandbox_ops.workflows.rows import JobRow

if TYPE_CHECKING:
    from sandbox_ops.workflows.fetch import FetchReport
    from sandbox_ops.workflows.monitor import MonitorReport
    from sandbox_ops.workflows.reset import ResetReport
    from sandbox_ops.workflows.setup import SetupReport
    from sandbox_ops.workflows.sync import SyncReport
    from sandbox_ops.workflows.train import TrainReport

_SHOWN = 20
_LINE = 300


def setup(report: "SetupReport", calls: Calls) -> Answer:
    """Say what each step did; the failed one in full."""
    table = rows.setup_rows(report)
    steps = (
        f"{row.result} {row.name}: " + "\n".join(row.detail) for row in table.steps
    )
    if not table.ok:
        return Answer(marks.join(table.headline, *steps), is_error=True)
    return _answer(
        table.headline,
        *steps,
        next_step=calls.of(NextStep("train")),
    )


def sync(report: "SyncReport", calls: Calls) -> Answer:
    """Say from which commit to which."""
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    moved = "as before" if before == after else f"was {before}"
    pushed = "; pushed first" if report.pushed else ""
    return _answer(
        f"the sandbox has {report.branch} at {after}, {moved}{pushed}",
        *_warned(report.warnings),
        next_step=calls.of(NextStep("train")),
    )


def train(report: "TrainReport", calls: Calls) -> Answer:
    """Say which job it is, and how it is read."""
    job = report.job
    gpus = f" on GPU {', '.join(map(str, job.gpus))}" if job.gpus else ""
    return _answer(
        f"{job.id} started in the background{gpus}: {_line(job.command)}",
        f"Log: {job.log_path}",
        *_warned(report.warnings),
        next_step=calls.read_job(job.id),
    )


def monitor(report: "MonitorReport", calls: Calls) -> Answer:
    """Say what goes on there; a machine that does not answer is an error."""
    table = rows.monitor_rows(report)
    lines = (
        *table.gpus,
        *map(_job_line, table.jobs),
        *table.last_lines,
        *(f"not ours: {line}" for line in table.foreign),
        *(f"warning: {warning}" for warning in table.warnings),
    )
    steps = tuple(map(calls.step, table.next_steps))
    if not table.reachable:
        return Answer(marks.join(table.headline, *lines, *steps), is_error=True)
    newest = table.jobs[0].id if table.jobs else ""
    return _answer(
        table.headline,
        *lines,
        *steps,
        "" if table.jobs else "no jobs",
        next_step=calls.read_job(newest) if newest else calls.of(NextStep("train")),
    )


def _job_line(row: JobRow) -> str:
    """`remote-3 "night" running, 2 h 05 min: python t.py; 7/10 70 %; ETA 1 h; loss 2`."""
    name = f' "{formatting.one_line(row.name, 40)}"' if row.name else ""
    time = "" if row.elapsed_s is None else f", {formatting.duration(row.elapsed_s)}"
    doing = f": {formatting.one_line(row.activity)}" if row.activity else ""
    eta = row.remaining_s
    facts = (
        f"{row.id}{name} {row.state}{time}{doing}",
        row.progress,
        "" if eta is None else f"ETA {formatting.duration(eta)}",
        ", ".join(row.metrics),
    )
    return "; ".join(filter(None, facts))


def reset(report: "ResetReport", calls: Calls) -> Answer:
    """Say what was stopped, rescued and thrown back, or would be."""
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    did = "nothing was done; it would go" if report.dry_run else "went"
    restore = "" if report.dry_run else report.restore
    rescued = "would be rescued to" if report.dry_run else "rescued to"
    return _answer(
        f"{did} from {before} back to {after}",
        *_list("jobs to stop" if report.dry_run else "stopped", report.stopped),
        *_list("edited there", report.dirty),
        *_list("not tracked there", report.untracked),
        *_list("commits that are not upstream", report.unpushed),
        f"{rescued} {report.backup_ref}" if report.backup_ref else "nothing to rescue",
        f"bring it back: {restore}" if restore else "",
        *_list("not ours, left alone", report.foreign),
        *_warned(report.warnings),
        next_step=calls.of(NextStep("reset")) if report.dry_run else "",
    )


def fetch(report: "FetchReport", calls: Calls) -> Answer:
    """Say which files came home, or would."""
    new = [file for file in report.files if not file.kept]
    kept = len(report.files) - len(new)
    total = formatting.size(sum(file.size_bytes for file in new))
    did = "would come" if report.dry_run else "came, checked,"
    here = f"; {formatting.count(kept, 'file')} here already" if kept else ""
    return _answer(
        f"{formatting.count(len(new), 'file')}, {total}, {did} to {report.into}{here}",
        *_list("", [f"{file.path} {formatting.size(file.size_bytes)}" for file in new]),
        next_step=calls.of(NextStep("fetch")) if report.dry_run else "",
    )


def would_stop(job: Job, calls: Calls) -> Answer:
    """Say what a stop would end."""
    alive = not job.state.ended or job.survivors
    return _answer(
        "nothing was done; it would end" if alive else "it has ended already",
        formatting.job_line(job),
        next_step=calls.of(NextStep("stop", {"job": job.id}))
        if alive
        else calls.read_job(job.id),
    )


def stop(report: StopReport, calls: Calls) -> Answer:
    """Say what was ended, and what could not be."""
    text = _answer(
        formatting.job_line(report.job),
        *_list("ended", report.killed),
        "" if report.killed or report.left else "no living process of it was found",
        *_list("not ended", report.left),
        next_step=calls.read_job(report.job.id),
    ).text
    return Answer(text, is_error=not report.job.state.ended or bool(report.left))


def _answer(*lines: str, next_step: str = "") -> Answer:
    next_line = f"next: {next_step}" if next_step else ""
    return Answer(marks.join(*lines, next_line))


def _warned(warnings: Iterable[str]) -> Iterable[str]:
    return (f"warning: {warning}" for warning in warnings)


def _list(title: str, lines: Sequence[object]) -> Iterable[str]:
    if lines and title:
        yield f"{title}:"
    for line in lines[:_SHOWN]:
        yield f"  {_line(str(line))}"
    if len(lines) > _SHOWN:
        yield f"  ... and {len(lines) - _SHOWN} more"


def _line(words: str) -> str:
    return formatting.one_line(words, _LINE)
