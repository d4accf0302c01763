"""The workflow tools: call the verb's function, say what it did.

They block, some for an hour: call them in a thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mcp_adapter import catalog
from mcp_adapter import workflow_catalog as workflow
from mcp_adapter.answers import ToolAnswer
from mcp_adapter.calls import Calls
from mcp_adapter.tool_arguments import ToolArguments
from sandbox_ops.errors import NextStep
from sandbox_ops.models import Project
from sandbox_ops.text import formatting, marks
from sandbox_ops.workflows import report_lines
from sandbox_ops.workflows.report_lines import Lines

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.machine.sandboxes import Sandboxes


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowContext:
    """Where a workflow works.

    Attributes:
        machines: The sandboxes; one, unless the tool takes several at once.
        project: The project around the server, as it is now.
        report_progress: Takes a line about how far it is, for the next heartbeat.
        calls: How the next calls are written.
        sandboxes: All that are configured.
    """

    machines: "Sequence[Sandbox]"
    project: Project
    report_progress: Callable[[str], None]
    calls: Calls
    sandboxes: "Sandboxes"

    @property
    def sandbox(self) -> "Sandbox":
        """The one."""
        return self.machines[0]

    def answer(
        self,
        lines: Lines,
        next_step: NextStep | None = None,
        *,
        is_error: bool = False,
        report: object = None,
    ) -> ToolAnswer:
        """Return a report as text for a model, with the call that comes next."""
        texts = (
            self.calls.step(line) if isinstance(line, NextStep) else marks.remote(line)
            for line in lines
        )
        next_line = f"next: {self.calls.of(next_step)}" if next_step else ""
        text = marks.join(*texts, next_line)
        return ToolAnswer(text, is_error=is_error, report=report)


def _setup(context: WorkflowContext, _arguments: ToolArguments) -> ToolAnswer:
    from sandbox_ops.workflows.setup import setup

    report = setup(
        context.sandbox,
        context.project,
        on_step=lambda step: context.report_progress(f"{step.name}: {step.result}"),
    )
    next_step = NextStep("train") if report.ok else None
    return context.answer(report_lines.setup(report), next_step, is_error=not report.ok)


def _sync(context: WorkflowContext, arguments: workflow.RemoteSync) -> ToolAnswer:
    from sandbox_ops.workflows.sync import sync

    report = sync(
        context.sandbox,
        context.project,
        push=arguments.push,
        via="ssh" if arguments.via_ssh else "",
        dirty=arguments.dirty,
    )
    return context.answer(report_lines.sync(report), NextStep("train"))


def _train(context: WorkflowContext, arguments: workflow.RemoteTrain) -> ToolAnswer:
    from sandbox_ops.workflows import train_call

    options = arguments.model_dump(exclude={"timeout", "sandbox", "on"})
    options["time_s"] = catalog.seconds(arguments.timeout)
    options["report_progress"] = context.report_progress
    answer = train_call.start(
        context.machines,
        context.project,
        on=arguments.asked_for("on"),
        memory=context.sandboxes.reliability,
        other_machine=context.sandboxes.find,
        **options,
    )
    where = answer.sandbox or context.calls.sandbox
    there = replace(context, calls=replace(context.calls, sandbox=where))
    return there.answer(answer.lines, answer.next_step, is_error=answer.is_error)


def _monitor(context: WorkflowContext, arguments: workflow.RemoteMonitor) -> ToolAnswer:
    from sandbox_ops.workflows.monitor import monitor

    project = context.project if context.project.name else None
    report = monitor(context.sandbox, project, job=arguments.bash_id)
    lines = report_lines.monitor(report)
    if not report.reachable:
        return context.answer(lines, is_error=True, report=report)
    logs = [NextStep("logs", {"job": view.job.id}) for view in report.jobs[:1]]
    return context.answer(lines, *logs or [NextStep("train")], report=report)


def _reset(context: WorkflowContext, arguments: workflow.RemoteReset) -> ToolAnswer:
    from sandbox_ops.workflows.reset import reset

    report = reset(context.sandbox, context.project, dry_run=not arguments.confirm)
    next_step = NextStep("reset") if report.dry_run else None
    return context.answer(report_lines.reset(report), next_step)


def _fetch(context: WorkflowContext, arguments: catalog.RemoteFetch) -> ToolAnswer:
    from sandbox_ops.workflows.fetch import fetch
    from sandbox_ops.workflows.fetch_into import allowed_folder

    report = fetch(
        context.sandbox,
        context.project,
        paths=arguments.path,
        job=arguments.bash_id,
        into=allowed_folder(arguments.into, context.project, context.sandbox.config),
        dry_run=arguments.dry_run,
        by_machine=bool(arguments.asked_for("on")),
        on_progress=lambda now: context.report_progress(formatting.transfer_line(now)),
    )
    values = ([*arguments.path], arguments.bash_id, arguments.into)
    asked = {k: v for k, v in zip(("path", "job", "into"), values, strict=True) if v}
    next_step = NextStep("fetch", asked) if report.dry_run else None
    return context.answer(report_lines.fetch(report), next_step)


def _put(context: WorkflowContext, arguments: workflow.RemotePut) -> ToolAnswer:
    from sandbox_ops.workflows.put_from import put_from_clone

    report = put_from_clone(
        context.sandbox,
        context.project,
        arguments.path,
        arguments.dest,
        dry_run=arguments.dry_run,
        on_progress=lambda now: context.report_progress(formatting.transfer_line(now)),
    )
    asked = {"path": arguments.path, "dest": arguments.dest}
    next_step = NextStep("put", asked) if report.dry_run else None
    return context.answer(report_lines.put(report), next_step)


def _runs(context: WorkflowContext, arguments: workflow.RemoteRuns) -> ToolAnswer:
    from sandbox_ops.workflows import run_lines

    asked = arguments.model_dump(exclude={"sandbox", "on"})
    return context.answer(run_lines.answer(context.machines, context.project, **asked))


_WORK = (_setup, _sync, _train, _monitor, _reset, _fetch, _put, _runs)
HANDLERS: dict[str, Callable[[WorkflowContext, Any], ToolAnswer]] = {
    f"remote_{work.__name__.strip('_')}": work for work in _WORK
}
