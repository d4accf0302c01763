"""A training or a sweep as an agent asks for it in one call, on one machine or several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.nodes import NodeOptions
from sandbox_ops.workflows import nodes as nodes_run
from sandbox_ops.workflows import nodes_lines, placement, spread_lines
from sandbox_ops.workflows.queueing import asked
from sandbox_ops.workflows.spread import spread
from sandbox_ops.workflows.sync_target import push
from sandbox_ops.workflows.train_call_one import TrainAnswer, is_sweep, start_one

_OF_A_SWEEP = ("again", "failed", "then")


def start(
    machines: Sequence[Sandbox],
    project: Project,
    *,
    on: str,
    memory: ReliabilityFile,
    other_machine: Callable[[str], Sandbox | None],
    nodes: int | None = None,
    torchrun: bool = False,
    **options: Any,  # noqa: ANN401  # those of `start_one`
) -> TrainAnswer:
    """Start a training, or a sweep where a setting has several values.

    Args:
        machines: The one, or those that `on` names, in the user's order.
        project: As in `start_one`.
        on: How several were named; "": it is one.
        memory: How reliable the machines were.
        other_machine: As in `spread`.
        nodes: Over how many nodes: of a Slurm cluster, or a machine each.
        torchrun: Have torchrun run the command.
        **options: The others of `start_one`.

    Raises:
        UsageError: As many nodes as there are machines cannot be.
        SandboxError: As `start_one`, `start_on` and `nodes.start` have it.
    """
    over = NodeOptions(count=nodes or 0, torchrun=torchrun)
    options |= {"nodes": over.count, "by_torchrun": torchrun}
    if not on:
        return start_one(machines[0], project, **options)
    names = [machine.config.name for machine in machines]
    are_clusters = all(machine.config.by_slurm for machine in machines)
    swept = is_sweep(options.get("settings") or {}) or any(
        map(options.get, _OF_A_SWEEP)
    )
    if not swept and over.are_machines(on, names, are_clusters=are_clusters):
        return _over_machines(machines, project, memory, **options)
    return start_on(
        machines, project, on=on, memory=memory, other_machine=other_machine, **options
    )


def start_on(  # noqa: PLR0913  # each is one choice
    machines: Sequence[Sandbox],
    project: Project,
    *,
    on: str,
    memory: ReliabilityFile,
    other_machine: Callable[[str], Sandbox | None],
    report_progress: Callable[[str], None],
    settings: Mapping[str, Sequence[str]] | None = None,
    sync: bool = False,
    again: bool = False,
    failed: bool = False,
    then: str = "",
    **options: Any,  # noqa: ANN401  # those of `start_one`
) -> TrainAnswer:
    """Start a training on the first machine that can take it, or a sweep over all of them.

    Args:
        machines: In the user's order.
        project: As in `start_one`.
        on: How they were named, for next steps.
        memory: How reliable the machines were.
        other_machine: As in `spread`.
        report_progress: As in `start_one`.
        settings: As in `start_one`.
        sync: First push; a machine that needs it is synced in any case.
        again: As in `spread`.
        failed: As in `spread`.
        then: As in `spread`.
        **options: The others of `start_one`.

    Raises:
        UsageError: `after`: that is a job of one machine.
        SandboxError: As `place`, `spread` and `start_one` have it.
    """
    if options.get("after") and len(machines) > 1:
        raise UsageError(
            "`after` names a job of one machine, `on` several machines",
            "Name its machine: `sandbox` instead of `on`.",
        )
    settings = settings or {}
    dry_run = bool(options.get("dry_run"))
    if sync and not dry_run:
        _push(machines, project, report_progress)
    queue = asked(
        bool(options.get("queue")), options.get("after", ()), options.get("retries")
    )
    chosen: dict[str, Any] = {
        "gpus": options.get("gpus"),
        "force": options.get("force") or (),
        "dry_run": dry_run,
        "memory": memory,
        "on_step": report_progress,
    }
    if is_sweep(settings) or again or failed or then:
        known = {*chosen, "queue", "after", "retries"}
        more = {name: each for name, each in options.items() if name not in known}
        spread_over = spread(
            machines,
            project,
            settings,
            again=again,
            failed=failed,
            then=then,
            queue=queue,
            other_machine=other_machine,
            **chosen,
            **more,
        )
        spread_over = replace(spread_over, on="all" if on == "any" else on)
        wait = NextStep("wait", {"job": spread_over.group, "on": spread_over.on})
        return TrainAnswer(
            lines=spread_lines.lines(spread_over),
            next_step=wait if spread_over.jobs else None,
            is_error=spread_over.error is not None,
        )
    placed = placement.place(
        machines, project, may_wait=queue is not None and queue.waits, **chosen
    )
    machine = next(each for each in machines if each.config.name == placed.sandbox)
    answer = start_one(
        machine, project, report_progress=report_progress, settings=settings, **options
    )
    return replace(
        answer, sandbox=placed.sandbox, lines=chain(placed.lines, answer.lines)
    )


def _push(
    machines: Sequence[Sandbox],
    project: Project,
    report_progress: Callable[[str], None],
) -> None:
    report_progress("push")
    push(machines[0], project)


def _over_machines(  # noqa: PLR0913  # each is one choice
    machines: Sequence[Sandbox],
    project: Project,
    memory: ReliabilityFile,
    *,
    report_progress: Callable[[str], None],
    settings: Mapping[str, Sequence[str]] | None = None,
    sync: bool = False,
    queue: bool = False,
    after: Sequence[str] = (),
    retries: int | None = None,
    force: Sequence[str] | None = None,
    **options: Any,  # noqa: ANN401  # those of `nodes.start`
) -> TrainAnswer:
    """Start one training over all of the machines, or on none."""
    for name in ("nodes", *_OF_A_SWEEP):
        options.pop(name, None)
    if sync and not options.get("dry_run"):
        _push(machines, project, report_progress)
    report = nodes_run.start(
        machines,
        project,
        settings={name: values[0] for name, values in (settings or {}).items()},
        force=force or (),
        queue=asked(queue, after, retries),
        memory=memory,
        on_step=report_progress,
        **options,
    )
    if report.nodes:
        report_progress("first lines")
        report = nodes_run.first_second(machines, report)
    wait = NextStep("wait", {"job": report.name, "on": ",".join(report.machines)})
    return TrainAnswer(
        lines=chain(nodes_lines.lines(report), report.warnings),
        next_step=wait if report.nodes else None,
        is_error=not report.ok,
    )
