"""A training or a sweep as an agent asks for it in one call: sync, start, first lines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.text import formatting
from sandbox_ops.workflows import first_second, placement, report_lines, spread_lines
from sandbox_ops.workflows.queueing import asked
from sandbox_ops.workflows.report_lines import Lines
from sandbox_ops.workflows.spread import spread
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.sweep_report import SweepReport
from sandbox_ops.workflows.sync import sync as bring
from sandbox_ops.workflows.sync_target import push
from sandbox_ops.workflows.train import train

_FIRST_LINES_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainAnswer:
    """What the call came to, in lines.

    Attributes:
        sandbox: The machine that they speak of; "": the one that was asked for, or several.
    """

    sandbox: str = ""
    lines: Lines
    next_step: NextStep | None
    is_error: bool


def start(  # noqa: PLR0913  # each is one choice
    sandbox: Sandbox,
    project: Project,
    *,
    report_progress: Callable[[str], None],
    settings: Mapping[str, Sequence[str]] | None = None,
    sync: bool = False,
    again: bool = False,
    failed: bool = False,
    dry_run: bool = False,
    then: str = "",
    queue: bool = False,
    after: Sequence[str] = (),
    retries: int | None = None,
    force: Sequence[str] | None = None,
    **options: Any,  # noqa: ANN401  # the others of `train`
) -> TrainAnswer:
    """Start a training, or a sweep where a setting has several values.

    Args:
        sandbox: The machine.
        project: Whose clone it runs in.
        report_progress: Takes a line about how far it is.
        settings: The values of each hole of the command.
        sync: First push, and bring the machine to the local commit.
        again: As in `sweep`.
        failed: As in `sweep`.
        dry_run: As in `sweep`.
        then: As in `sweep`.
        queue: Whether it may wait for a GPU; a sweep always may.
        after: Jobs that must have succeeded first.
        retries: How many attempts may follow the first.
        force: As in `train`.
        **options: As `train` has them.

    Raises:
        SandboxError: As `sync`, `train` and `sweep` have it.
    """
    settings = settings or {}
    options |= {"force": force or (), "queue": asked(queue, after, retries)}
    synced: tuple[str | NextStep, ...] = ()
    if sync and not dry_run:
        report_progress("sync")
        synced = tuple(report_lines.sync(bring(sandbox, project, push=True)))
    if _is_sweep(settings) or again or failed or dry_run or then:
        swept = sweep(
            sandbox,
            project,
            settings,
            again=again,
            failed=failed,
            dry_run=dry_run,
            then=then,
            **options,
        )
        return _of_sweep(swept, synced)
    single = {name: values[0] for name, values in settings.items()}
    report = train(sandbox, project, settings=single, **options)
    report_progress(f"{report.job.id}: first lines")
    seen = first_second.look(sandbox, report, _FIRST_LINES_S)
    return TrainAnswer(
        lines=chain(
            report_lines.train(report),
            synced,
            (formatting.job_line(seen.job), *seen.first_lines),
            first_second.advice(seen.job),
        ),
        next_step=NextStep("wait", {"job": seen.job.id}),
        is_error=not seen.ok,
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
    **options: Any,  # noqa: ANN401  # those of `start`
) -> TrainAnswer:
    """Start a training on the first machine that can take it, or a sweep over all of them.

    Args:
        machines: In the user's order.
        project: As in `start`.
        on: How they were named, for next steps.
        memory: How reliable the machines were.
        other_machine: As in `spread`.
        report_progress: As in `start`.
        settings: As in `start`.
        sync: First push; a machine that needs it is synced in any case.
        again: As in `spread`.
        failed: As in `spread`.
        then: As in `spread`.
        **options: The others of `start`.

    Raises:
        UsageError: `after`: that is a job of one machine.
        SandboxError: As `place`, `spread` and `start` have it.
    """
    if options.get("after") and len(machines) > 1:
        raise UsageError(
            "`after` names a job of one machine, `on` several machines",
            "Name its machine: `sandbox` instead of `on`.",
        )
    settings = settings or {}
    dry_run = bool(options.get("dry_run"))
    if sync and not dry_run:
        report_progress("push")
        push(machines[0], project)
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
    if _is_sweep(settings) or again or failed or then:
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
    answer = start(
        machine, project, report_progress=report_progress, settings=settings, **options
    )
    return replace(
        answer, sandbox=placed.sandbox, lines=chain(placed.lines, answer.lines)
    )


def _is_sweep(settings: Mapping[str, Sequence[str]]) -> bool:
    return any(len(values) > 1 for values in settings.values())


def _of_sweep(report: SweepReport, synced: Sequence[str | NextStep]) -> TrainAnswer:
    wait = NextStep("wait", {"job": report.group})
    return TrainAnswer(
        lines=chain(report_lines.sweep(report), synced),
        next_step=wait if report.jobs else None,
        is_error=not report.ok,
    )
