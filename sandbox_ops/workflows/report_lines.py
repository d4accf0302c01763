"""What the verbs report, as lines of plain text, for a face without tables. Pure.

The first line is the result. A step to take stands as a value: each face says it in its
own words. The texts are as the machine sent them: a face makes them safe at its exit.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sandbox_ops.errors import NextStep
from sandbox_ops.models import Job, JobState, StopReport
from sandbox_ops.text import formatting
from sandbox_ops.workflows import group_rows, rows, wait_reasons
from sandbox_ops.workflows.rows import JobRow

if TYPE_CHECKING:
    from sandbox_ops.workflows.fetch import FetchReport
    from sandbox_ops.workflows.group_jobs import GroupJobs
    from sandbox_ops.workflows.monitor import MonitorReport
    from sandbox_ops.workflows.put import PutReport
    from sandbox_ops.workflows.reset import ResetReport
    from sandbox_ops.workflows.setup import SetupReport
    from sandbox_ops.workflows.stop import GroupStopReport
    from sandbox_ops.workflows.sweep_report import SweepReport
    from sandbox_ops.workflows.sync import SyncReport
    from sandbox_ops.workflows.train import TrainReport

Lines = Iterator[str | NextStep]

_MOST_ITEMS = 20
_MOST_FILES = 100
_MOST_CHARACTERS = 300


def setup(report: "SetupReport") -> Lines:
    """Say what each step did; the failed one in full."""
    table = rows.setup_rows(report)
    yield table.headline
    for row in table.steps:
        yield f"{row.result} {row.name}: " + "\n".join(row.detail)
    yield from (f"not checked: {line}" for line in table.not_checked)


def sync(report: "SyncReport") -> Lines:
    """Say from which commit to which."""
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    moved = "as before" if before == after else f"was {before}"
    pushed = "; pushed first" if report.pushed else ""
    yield f"the sandbox has {report.branch} at {after}, {moved}{pushed}"
    yield from _warnings(report.warnings)


def train(report: "TrainReport") -> Lines:
    """Say which job it is, and where its log is."""
    job = report.job
    gpus = f" on GPU {', '.join(map(str, job.gpus))}" if job.gpus else ""
    name = f' "{job.name}"' if job.name else ""
    began = f"started in the background{gpus}"
    if job.state is JobState.QUEUED:
        began = f"is queued: {job.waits_for}"
    yield f"{job.id}{name} {began}: {_short(job.command)}"
    if report.commit:
        yield f"Commit: {formatting.short(report.commit)}"
    yield f"Log: {job.log_path}"
    yield from _warnings(report.warnings)


def sweep(report: "SweepReport") -> Lines:
    """Say which jobs were started, which were not and why, and which were skipped."""
    n_jobs = len(report.planned) if report.dry_run else len(report.jobs)
    did = "would be started" if report.dry_run else "started"
    count = formatting.count(n_jobs, "job")
    yield f"group {report.group}: {count} {did}, {len(report.skipped)} skipped"
    if report.commit:
        yield f"Commit: {formatting.short(report.commit)}"
    jobs = [f'{job.id} "{job.name}"' for job in report.jobs]
    jobs += [f'"{cell.name}": {_short(cell.command)}' for cell in report.planned]
    yield from _listed("in this order", jobs)
    skipped = [f'"{cell.name}": {cell.skipped}' for cell in report.skipped]
    yield from _listed("skipped", skipped)
    yield from _warnings(report.warnings)
    if report.then or report.then_command:
        command = report.then.command if report.then else report.then_command
        job = f"{report.then.id} " if report.then else ""
        yield f"when all have ended: {job}{_short(command)}"
    if report.error is not None:
        yield from _listed("not started", [cell.name for cell in report.not_started])
        yield report.error.message
        yield from report.error.hints
    yield from report.next_steps


def group_jobs(listed: "GroupJobs") -> Lines:
    """Say how a group is, then each of its jobs."""
    yield group_rows.group_line(group_rows.group_row(listed.summary))
    for job, progress in listed.jobs[:_MOST_FILES]:
        yield _job_line(rows.job_row(job, progress))
    if len(listed.jobs) > _MOST_FILES:
        yield f"... and {len(listed.jobs) - _MOST_FILES} more"


def monitor(report: "MonitorReport") -> Lines:
    """Say what goes on there, so far as is known."""
    table = rows.monitor_rows(report)
    yield table.headline
    yield from table.gpus
    yield from map(group_rows.group_line, table.groups)
    yield from map(_job_line, table.jobs)
    yield from wait_reasons.lines(report.waiting)  # of the others their lines say it
    yield from table.last_lines
    for line in table.foreign:
        yield f"not ours: {line}"
    yield from _warnings(table.warnings)
    yield from report.next_steps
    if table.reachable and not table.jobs and not table.groups:
        yield "no jobs"


def _job_line(row: JobRow) -> str:
    """`remote-3 "night" running, 2 h 05 min: python t.py; 7/10 70 %; ETA 1 h; loss 2`."""
    name = f' "{formatting.one_line(row.name, 40)}"' if row.name else ""
    time = "" if row.elapsed_s is None else f", {formatting.duration(row.elapsed_s)}"
    time += "" if row.cost is None else f", cost {row.cost:.2f}"
    doing = f": {formatting.one_line(row.activity)}" if row.activity else ""
    eta = row.remaining_s
    facts = (
        f"{row.id}{name} {row.state}{time}{doing}",
        row.progress,
        "" if eta is None else f"ETA {formatting.duration(eta)}",
        ", ".join(row.metrics),
    )
    return "; ".join(filter(None, facts))


def reset(report: "ResetReport") -> Lines:
    """Say what was stopped, rescued and thrown back, or would be."""
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    rescued = "would be rescued to" if report.dry_run else "rescued to"
    undone = "nothing was done; " if report.dry_run else ""
    if report.moved:
        went = "it would go" if report.dry_run else "went"
        yield f"{undone}{went} from {before} back to {after}"
    else:
        yield f"{undone}the commit {'would stay' if undone else 'stayed'} {after}"
    stopped = tuple(map(_with_survivors, report.jobs)) or report.stopped
    yield from _listed("jobs to stop" if report.dry_run else "stopped", stopped)
    yield from _listed("edited there", report.dirty)
    yield from _listed("not tracked there", report.untracked)
    yield from _listed("commits that are not upstream", report.unpushed)
    yield f"{rescued} {report.backup_ref}" if report.backup_ref else "nothing to rescue"
    if report.restore and not report.dry_run:
        yield report.restore
    yield from _listed("not ours, left alone", report.foreign)
    yield from _warnings(report.warnings)


def fetch(report: "FetchReport") -> Lines:
    """Say which files came home, or would."""
    did = "would come" if report.dry_run else "came, checked,"
    return _files(report, did, "here")


def put(report: "PutReport") -> Lines:
    """Say which files went to the machine, or would."""
    did = "would go" if report.dry_run else "went, checked,"
    return _files(report, did, "there")


def _files(report: "FetchReport | PutReport", did: str, where: str) -> Lines:
    new = [file for file in report.files if not file.kept]
    kept = len(report.files) - len(new)
    total = formatting.size(sum(file.size_bytes for file in new))
    present = f"; {formatting.count(kept, 'file')} {where} already" if kept else ""
    yield f"{formatting.count(len(new), 'file')}, {total}, {did} to {report.into}{present}"
    for file in report.files[:_MOST_FILES]:
        checksum = f" sha256 {file.sha256}" if file.sha256 else ""
        yield f"  {_short(file.path)}, {file.size_bytes} bytes{checksum}"
    if len(report.files) > _MOST_FILES:
        yield f"  ... and {len(report.files) - _MOST_FILES} more"
    yield from _warnings(report.warnings)


def would_stop(job: Job, processes: Sequence[str] = (), group: str = "") -> Lines:
    """Say what a stop would end: the job, and its processes as they are now; or a group."""
    if group:
        yield f"nothing was done; it would end all jobs of {group}, such as"
    alive = not job.state.ended or job.survivors
    if not group:
        yield "nothing was done; it would end" if alive else "it has ended already"
    yield _with_survivors(job)
    if job.started_by:
        yield f"started by {job.started_by}"
    yield from _listed("its processes", processes)


def _with_survivors(job: Job) -> str:
    survivors = formatting.survivors_words(job)
    line = formatting.job_line(job)
    return f"{line}; {survivors}" if survivors else line


def jobs(listed: Sequence[Job], now_s: float) -> Lines:
    """Say which jobs there are, a line each: those that run first."""
    shown, left_out = group_rows.without_waiting(listed)
    for job in shown:
        age_s = None if job.started_at is None else max(0.0, now_s - job.started_at)
        began = f"; started {formatting.duration(age_s)} ago" if age_s else ""
        yield _with_survivors(job) + began
    for group, number in left_out.items():
        yield f"{formatting.count(number, 'more job')} of the group {group} wait"
    if not listed:
        yield "no jobs"


def stop(report: "StopReport | GroupStopReport") -> Lines:
    """Say what was ended, and what could not be."""
    if not isinstance(report, StopReport):
        yield f"group {report.group}: {len(report.stopped)} stopped, {len(report.ended)} had ended"
        yield from _listed(
            "stopped", [formatting.job_line(r.job) for r in report.stopped]
        )
        yield from _listed("not ended", report.left)
        return
    yield formatting.job_line(report.job)
    yield from _listed("ended", report.killed)
    if report.nothing_ended:
        yield report.nothing_ended
    yield from _listed("not ended", report.left)
    for each in report.same_name:
        yield NextStep(
            "stop", {"job": each}, f"{each} has the same name and is still running"
        )


def _warnings(warnings: Iterable[str | NextStep]) -> Lines:
    for warning in warnings:
        yield warning if isinstance(warning, NextStep) else f"warning: {warning}"


def _listed(title: str, items: Sequence[object]) -> Iterator[str]:
    if items and title:
        yield f"{title}:"
    for item in items[:_MOST_ITEMS]:
        yield f"  {_short(str(item))}"
    if len(items) > _MOST_ITEMS:
        yield f"  ... and {len(items) - _MOST_ITEMS} more"


def _short(text: str) -> str:
    return formatting.one_line(text, _MOST_CHARACTERS)
