"""What the workflows report, as text for a model: the result, what is odd, what next.

Pure. Names, logs and git's words come from the machine, and go through `marks.remote`.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mcp_adapter import marks
from mcp_adapter.answers import Answer
from mcp_adapter.marks import Calls
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

_SHOWN = 20
_LINE = 300
_METRICS = 4
_LAST_LINES = 3
_TALKING = 3  # so many live jobs show the end of their log


def setup(report: "SetupReport", calls: Calls) -> Answer:
    """Say what each step did; the failed one in full."""
    steps = [
        marks.remote(f"{step.result} {step.name}: {step.detail}")
        for step in report.steps
    ]
    if report.ok:
        return _answer("ready", *steps, next_step=calls.named("remote_train"))
    failed = report.steps[-1].name
    return Answer(marks.join(f"not ready: {failed} failed", *steps), is_error=True)


def sync(report: "SyncReport", calls: Calls) -> Answer:
    """Say from which commit to which."""
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    moved = "as before" if before == after else f"was {before}"
    pushed = "; pushed first" if report.pushed else ""
    return _answer(
        f"the sandbox has {report.branch} at {after}, {moved}{pushed}",
        *_warned(report.warnings),
        next_step=calls.named("remote_train"),
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
    talking = [each for each in report.jobs if not each.job.state.ended][:_TALKING]
    newest = report.jobs[0].job.id if report.jobs else ""
    lines = (
        *map(formatting.gpu_line, report.gpus),
        *(_job_line(each) for each in report.jobs),
        *(line for each in talking for line in _last_lines(each)),
        *(f"not ours: {formatting.foreign_line(each)}" for each in report.foreign),
        *_warned(report.warnings),
    )
    if not report.reachable:
        first = f"{report.sandbox}: not reachable; what runs there is unknown"
        return Answer(marks.join(first, *lines), is_error=True)
    idle = calls.named("remote_train")
    return _answer(
        marks.remote(_machine_line(report)),
        *(marks.remote(line) for line in lines),
        "" if report.jobs else "no jobs",
        next_step=calls.read_job(newest) if newest else idle,
    )


def _machine_line(report: "MonitorReport") -> str:
    of = f" of {report.cpus}" if report.cpus else ""
    load = "" if report.load_1min is None else f", load {report.load_1min:.1f}{of}"
    return f"{report.sandbox}: {formatting.disk_line(report.disk)}{load}"


def _steps(found: "Progress") -> str:
    if found.step is None or not found.total:
        return "" if found.step is None else f"step {found.step}"
    return f"{found.step}/{found.total} {100 * found.step // found.total} %"


def _job_line(each: "JobView") -> str:
    found = each.progress
    eta = None if each.job.state.ended else found.eta_s
    metrics = list(found.metrics.items())[:_METRICS]
    return "; ".join(
        filter(
            None,
            (
                formatting.job_line(each.job),
                _steps(found),
                f"ETA {formatting.duration(eta)}" if eta is not None else "",
                ", ".join(
                    f"{name} {formatting.figure(value)}" for name, value in metrics
                ),
            ),
        )
    )


def _last_lines(each: "JobView") -> Iterable[str]:
    return (f"{each.job.id} | {_line(line)}" for line in each.last_lines[-_LAST_LINES:])


def reset(report: "ResetReport", calls: Calls) -> Answer:
    """Say what was stopped, rescued and thrown back, or would be."""
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    did = "nothing was done; it would go" if report.dry_run else "went"
    restore = report.restore.command if report.restore and not report.dry_run else ""
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
        next_step=calls.named("remote_reset", confirm=True) if report.dry_run else "",
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
        next_step=calls.named("remote_fetch") if report.dry_run else "",
    )


def would_stop(job: Job, calls: Calls) -> Answer:
    """Say what a stop would end."""
    alive = not job.state.ended or job.survivors
    return _answer(
        "nothing was done; it would end" if alive else "it has ended already",
        marks.remote(formatting.job_line(job)),
        next_step=calls.named("remote_stop", bash_id=job.id, confirm=True)
        if alive
        else calls.read_job(job.id),
    )


def stop(report: StopReport, calls: Calls) -> Answer:
    """Say what was ended, and what could not be."""
    text = _answer(
        marks.remote(formatting.job_line(report.job)),
        *_list("ended", report.killed),
        "" if report.killed else "no process of it was alive",
        *_list("left", report.left),
        next_step=calls.read_job(report.job.id),
    ).text
    return Answer(text, is_error=not report.job.state.ended)


def _answer(*lines: str, next_step: str = "") -> Answer:
    next_line = f"next: {next_step}" if next_step else ""
    return Answer(marks.join(*lines, next_line))


def _warned(warnings: Iterable[str]) -> Iterable[str]:
    return (marks.remote(f"warning: {warning}") for warning in warnings)


def _list(title: str, lines: Sequence[object]) -> Iterable[str]:
    if lines and title:
        yield f"{title}:"
    for line in lines[:_SHOWN]:
        yield marks.remote(f"  {_line(str(line))}")
    if len(lines) > _SHOWN:
        yield f"  ... and {len(lines) - _SHOWN} more"


def _line(words: str) -> str:
    return formatting.one_line(words, _LINE)
