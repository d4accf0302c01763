"""The workflow tools: call the verb's function, say what it did.

They block, some for an hour: call them in a thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_adapter import catalog
from mcp_adapter import workflow_catalog as workflow
from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from mcp_adapter.tool_arguments import ToolArguments
from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.models import Job, Project
from sandbox_ops.text import formatting, marks
from sandbox_ops.workflows import report_lines
from sandbox_ops.workflows.report_lines import Lines

if TYPE_CHECKING:
    from sandbox_ops.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowContext:
    """Where a workflow works.

    Attributes:
        project: The project around the server, as it is now.
        report_progress: Takes a line about how far it is, for the next heartbeat.
        calls: How the next calls are written.
    """

    sandbox: "Sandbox"
    project: Project
    report_progress: Callable[[str], None]
    calls: Calls

    def answer(
        self, lines: Lines, next_step: NextStep | None = None, *, is_error: bool = False
    ) -> ToolAnswer:
        """Return a report as text for a model, with the call that comes next."""
        texts = (
            self.calls.step(line) if isinstance(line, NextStep) else marks.remote(line)
            for line in lines
        )
        next_line = f"next: {self.calls.of(next_step)}" if next_step else ""
        return ToolAnswer(marks.join(*texts, next_line), is_error=is_error)


def _setup(context: WorkflowContext, _arguments: ToolArguments) -> ToolAnswer:
    from sandbox_ops.workflows.setup import setup

    report = setup(
        context.sandbox,
        context.project,
        on_step=lambda step: context.report_progress(f"{step.name}: {step.result}"),
    )
    next_step = NextStep("train") if report.ok else None
    lines = report_lines.setup(report)
    return context.answer(lines, next_step, is_error=not report.ok)


def _sync(context: WorkflowContext, arguments: workflow.RemoteSync) -> ToolAnswer:
    from sandbox_ops.workflows.sync import sync

    report = sync(context.sandbox, context.project, push=arguments.push)
    return context.answer(report_lines.sync(report), NextStep("train"))


def _train(context: WorkflowContext, arguments: workflow.RemoteTrain) -> ToolAnswer:
    from sandbox_ops.workflows.train import train

    report = train(
        context.sandbox,
        context.project,
        command=arguments.command,
        name=arguments.name,
        settings=arguments.settings or {},
        time_s=catalog.seconds(arguments.timeout),
        gpus=arguments.gpus,
        force=arguments.force or (),
    )
    return context.answer(report_lines.train(report), _read(report.job))


def _monitor(context: WorkflowContext, _arguments: ToolArguments) -> ToolAnswer:
    from sandbox_ops.workflows.monitor import monitor

    project = context.project if context.project.name else None
    report = monitor(context.sandbox, project)
    lines = report_lines.monitor(report)
    if not report.reachable:
        return context.answer(lines, is_error=True)
    newest = next((view.job for view in report.jobs), None)
    return context.answer(lines, _read(newest) if newest else NextStep("train"))


def _reset(context: WorkflowContext, arguments: workflow.RemoteReset) -> ToolAnswer:
    from sandbox_ops.workflows.reset import reset

    report = reset(context.sandbox, context.project, dry_run=not arguments.confirm)
    next_step = NextStep("reset") if report.dry_run else None
    return context.answer(report_lines.reset(report), next_step)


def _fetch(context: WorkflowContext, arguments: workflow.RemoteFetch) -> ToolAnswer:
    from sandbox_ops.workflows.fetch import fetch

    def progress(path: str, done_bytes: int, size_bytes: int) -> None:
        of = f"{formatting.size(done_bytes)} of {formatting.size(size_bytes)}"
        context.report_progress(f"{path}: {of}")

    report = fetch(
        context.sandbox,
        context.project,
        job=arguments.bash_id,
        into=inside(arguments.into, context.project.root),
        dry_run=arguments.dry_run,
        on_progress=progress,
    )
    asked = {"job": arguments.bash_id or None, "into": arguments.into or None}
    next_step = NextStep("fetch", asked) if report.dry_run else None
    return context.answer(report_lines.fetch(report), next_step)


def _stop(context: WorkflowContext, arguments: workflow.RemoteStop) -> ToolAnswer:
    from sandbox_ops.machine import jobs

    if arguments.confirm:
        report = jobs.stop(context.sandbox, arguments.bash_id)
        lines, is_error = report_lines.stop(report), not report.job.state.ended
        is_error = is_error or bool(report.left)
        return context.answer(lines, _read(report.job), is_error=is_error)
    job = jobs.get(context.sandbox, arguments.bash_id)
    is_alive = not job.state.ended or job.survivors
    next_step = NextStep("stop", {"job": job.id}) if is_alive else _read(job)
    return context.answer(report_lines.would_stop(job), next_step)


def _read(job: Job) -> NextStep:
    return NextStep("logs", {"job": job.id})


def inside(folder: str, root: str | None) -> str:
    """Return a folder of the local clone; what a model says may not lead out of it.

    Raises:
        UsageError: It would, or into git's own files, or there is no clone.
    """
    if not root:
        raise UsageError(
            "there is no local clone here to fetch into",
            NextStep("fetch", {"into": "/ABSOLUTE/FOLDER"}, "Fetch in a local shell"),
        )
    if not folder:
        return ""
    top = Path(root).resolve()
    place = (top / folder).resolve()
    is_below = place.is_relative_to(top)
    if not is_below or any(p.startswith(".") for p in place.relative_to(top).parts):
        raise UsageError(
            f"`into` must be a folder below {root}, and no hidden one: {folder[:80]}",
            "Such as results/ or fetched/remote-1.",
        )
    return str(place)


HANDLERS: dict[str, Callable[[WorkflowContext, Any], ToolAnswer]] = {
    workflow.RemoteSetup.tool_name: _setup,
    workflow.RemoteSync.tool_name: _sync,
    workflow.RemoteTrain.tool_name: _train,
    workflow.RemoteMonitor.tool_name: _monitor,
    workflow.RemoteReset.tool_name: _reset,
    workflow.RemoteFetch.tool_name: _fetch,
    workflow.RemoteStop.tool_name: _stop,
}
