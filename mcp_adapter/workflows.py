"""The workflow tools: call the verb's function, say what it did.

They block, some for an hour: call them in a thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_adapter import catalog, reports
from mcp_adapter import workflow_catalog as workflow
from mcp_adapter.answers import Answer
from mcp_adapter.calls import Calls
from mcp_adapter.tool_arguments import ToolArguments
from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.models import Project
from sandbox_ops.text import formatting

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


def _setup(context: WorkflowContext, _arguments: ToolArguments) -> Answer:
    from sandbox_ops.workflows.setup import setup

    report = setup(
        context.sandbox,
        context.project,
        on_step=lambda step: context.report_progress(f"{step.name}: {step.result}"),
    )
    return reports.setup(report, context.calls)


def _sync(context: WorkflowContext, arguments: workflow.RemoteSync) -> Answer:
    from sandbox_ops.workflows.sync import sync

    report = sync(context.sandbox, context.project, push=arguments.push)
    return reports.sync(report, context.calls)


def _train(context: WorkflowContext, arguments: workflow.RemoteTrain) -> Answer:
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
    return reports.train(report, context.calls)


def _monitor(context: WorkflowContext, _arguments: ToolArguments) -> Answer:
    from sandbox_ops.workflows.monitor import monitor

    project = context.project if context.project.name else None
    return reports.monitor(monitor(context.sandbox, project), context.calls)


def _reset(context: WorkflowContext, arguments: workflow.RemoteReset) -> Answer:
    from sandbox_ops.workflows.reset import reset

    report = reset(context.sandbox, context.project, dry_run=not arguments.confirm)
    return reports.reset(report, context.calls)


def _fetch(context: WorkflowContext, arguments: workflow.RemoteFetch) -> Answer:
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
    return reports.fetch(report, context.calls)


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


def _stop(context: WorkflowContext, arguments: workflow.RemoteStop) -> Answer:
    from sandbox_ops.machine import jobs

    sandbox, job_id, calls = context.sandbox, arguments.bash_id, context.calls
    if not arguments.confirm:
        return reports.would_stop(jobs.get(sandbox, job_id), calls)
    return reports.stop(jobs.stop(sandbox, job_id), calls)


HANDLERS: dict[str, Callable[[WorkflowContext, Any], Answer]] = {
    workflow.RemoteSetup.tool_name: _setup,
    workflow.RemoteSync.tool_name: _sync,
    workflow.RemoteTrain.tool_name: _train,
    workflow.RemoteMonitor.tool_name: _monitor,
    workflow.RemoteReset.tool_name: _reset,
    workflow.RemoteFetch.tool_name: _fetch,
    workflow.RemoteStop.tool_name: _stop,
}
