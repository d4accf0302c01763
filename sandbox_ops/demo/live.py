"""A training as it runs: one `monitor` a moment, drawn in place."""

import math
import time
from threading import Event

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sandbox_ops.demo.screen import Screen, spark
from sandbox_ops.errors import ProtocolError, TimedOutError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.text import formatting
from sandbox_ops.workflows.monitor import JobView, MonitorReport, monitor

_LONGEST_S = 120.0
_EVERY_S = 0.4


def follow(screen: Screen, sandbox: Sandbox, project: Project, job_id: str) -> Job:
    """Watch a job until it ends; return it.

    Raises:
        TimedOutError: it did not end in two minutes.
        ProtocolError: the machine could not be reached, or knows no such job.
    """
    losses: dict[int, float] = {}
    deadline = time.monotonic() + _LONGEST_S
    pause = Event()
    with screen.live() as draw:
        while time.monotonic() < deadline:
            report = monitor(sandbox, project)
            view = _view(report, job_id)
            loss = view.progress.metrics.get("loss", math.nan)
            if view.progress.step is not None and math.isfinite(loss):
                losses[view.progress.step] = loss
            draw(_picture(report, view, losses))
            if view.job.state.ended:
                return view.job
            pause.wait(_EVERY_S)
    raise TimedOutError(f"{job_id} did not end in {_LONGEST_S:.0f} s")


def _view(report: MonitorReport, job_id: str) -> JobView:
    for view in report.jobs:
        if view.job.id == job_id:
            return view
    warnings = "; ".join(report.warnings)
    raise ProtocolError(f"the machine said nothing of {job_id}. {warnings}".rstrip())


def _picture(report: MonitorReport, view: JobView, losses: dict[int, float]) -> Group:
    job, progress = view.job, view.progress
    line = Table.grid(padding=(0, 2))
    line.add_row(
        Text(f"{job.id} {job.state}", style="green" if job.state.ended else "cyan"),
        ProgressBar(total=progress.total or 1, completed=progress.step or 0, width=30),
        f"step {progress.step}/{progress.total}" if progress.step else "",
        "" if job.state.ended else _to_go(progress.eta_s),
    )
    facts = Table.grid(padding=(0, 2))
    for name, caption in (
        ("loss", f"{spark(tuple(losses.values()))} {_loss(losses)}"),
        ("machine", f"load {formatting.figure(report.load_1min)}, {_room(report)}"),
        ("log", view.last_lines[-1] if view.last_lines else ""),
        *(("warning", warning) for warning in report.warnings),
    ):
        facts.add_row(Text(name, style="dim"), Text(caption))
    return Group(line, facts)


def _to_go(eta_s: float | None) -> str:
    return "" if eta_s is None else f"{formatting.duration(eta_s)} to go"


def _loss(losses: dict[int, float]) -> str:
    return formatting.figure(list(losses.values())[-1]) if losses else ""


def _room(report: MonitorReport) -> str:
    gpus = ", ".join(map(formatting.gpu_line, report.gpus)) or "no GPU"
    free = formatting.size(report.disk.free_bytes) if report.disk else "?"
    return f"{free} of disk free, {gpus}"
