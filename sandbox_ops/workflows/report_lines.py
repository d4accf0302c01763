"""What the verbs report, as lines of plain text, for a face without tables. Pure.

The first line is the result. A step to take stands as a value: each face says it in its
own words. The texts are as the machine sent them: a face makes them safe at its exit.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sandbox_ops.errors import NextStep
from sandbox_ops.models import Job, StopReport
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from sandbox_ops.text.progress import Progress
    from sandbox_ops.workflows.fetch import FetchReport
    from sandbox_ops.workflows.monitor import JobView, MonitorReport
    from sandbox_ops.workflows.reset import ResetReport
    from sandbox_ops.workflows.setup import SetupReport
    from sandbox_ops.workflows.sync import SyncReport
    from sandbox_ops.workflows.train import TrainReport

Lines = Iterator[str | NextStep]

_MOST_ITEMS = 20
_MOST_CHARACTERS = 300
_MOST_METRICS = 4
_LAST_LINES = 3
_MOST_TALKING = 3  # so many live jobs show the end of their log


def setup(report: "SetupReport") -> Lines:
    """Say what each step did; the failed one in full."""
    yield "ready" if report.ok else f"not ready: {report.steps[-1].name} failed"
    for step in report.steps:
        yield f"{step.result} {step.name}: {step.detail}"


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
    yield f"{job.id} started in the background{gpus}: {_short(job.command)}"
    yield f"Log: {job.log_path}"
    yield from _warnings(report.warnings)


def monitor(report: "MonitorReport") -> Lines:
    """Say what goes on there, so far as is known."""
    if report.reachable:
        of = f" of {report.cpus}" if report.cpus else ""
        load = "" if report.load_1min is None else f", load {report.load_1min:.1f}{of}"
        yield f"{report.sandbox}: {formatting.disk_line(report.disk)}{load}"
    else:
        yield f"{report.sandbox}: not reachable; what runs there is unknown"
    yield from map(formatting.gpu_line, report.gpus)
    yield from map(_job_line, report.jobs)
    talking = [view for view in report.jobs if not view.job.state.ended]
    for view in talking[:_MOST_TALKING]:
        for line in view.last_lines[-_LAST_LINES:]:
            yield f"{view.job.id} | {_short(line)}"
    for process in report.foreign:
        yield f"not ours: {formatting.foreign_line(process)}"
    yield from _warnings(report.warnings)
    if report.reachable and not report.jobs:
        yield "no jobs"


def _job_line(view: "JobView") -> str:
    progress = view.progress
    eta = None if view.job.state.ended else progress.eta_s
    metrics = list(progress.metrics.items())[:_MOST_METRICS]
    parts = (
        formatting.job_line(view.job),
        _steps(progress),
        f"ETA {formatting.duration(eta)}" if eta is not None else "",
        ", ".join(f"{name} {formatting.figure(value)}" for name, value in metrics),
    )
    return "; ".join(filter(None, parts))


def _steps(progress: "Progress") -> str:
    if progress.step is None:
        return ""
    if not progress.total:
        return f"step {progress.step}"
    percent = 100 * progress.step // progress.total
    return f"{progress.step}/{progress.total} {percent} %"


def reset(report: "ResetReport") -> Lines:
    """Say what was stopped, rescued and thrown back, or would be."""
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    did = "nothing was done; it would go" if report.dry_run else "went"
    rescued = "would be rescued to" if report.dry_run else "rescued to"
    yield f"{did} from {before} back to {after}"
    yield from _listed("jobs to stop" if report.dry_run else "stopped", report.stopped)
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
    new = [file for file in report.files if not file.kept]
    kept = len(report.files) - len(new)
    total = formatting.size(sum(file.size_bytes for file in new))
    did = "would come" if report.dry_run else "came, checked,"
    here = f"; {formatting.count(kept, 'file')} here already" if kept else ""
    yield f"{formatting.count(len(new), 'file')}, {total}, {did} to {report.into}{here}"
    files = [f"{file.path} {formatting.size(file.size_bytes)}" for file in new]
    yield from _listed("", files)
    yield from _warnings(report.warnings)


def would_stop(job: Job) -> Lines:
    """Say what a stop would end."""
    alive = not job.state.ended or job.survivors
    yield "nothing was done; it would end" if alive else "it has ended already"
    yield formatting.job_line(job)


def stop(report: StopReport) -> Lines:
    """Say what was ended, and what could not be."""
    yield formatting.job_line(report.job)
    yield from _listed("ended", report.killed)
    if not report.killed:
        yield "no process of it was alive"
    yield from _listed("left", report.left)


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
