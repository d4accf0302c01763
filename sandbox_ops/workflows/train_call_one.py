"""A training or a sweep on one machine, as an agent asks for it: sync, start, first lines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sandbox_ops.errors import NextStep
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.text import formatting
from sandbox_ops.workflows import first_second, report_lines
from sandbox_ops.workflows.queueing import asked
from sandbox_ops.workflows.report_lines import Lines
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.sweep_report import SweepReport
from sandbox_ops.workflows.sync import sync as bring
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


def start_one(  # noqa: PLR0913  # each is one choice
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
    if is_sweep(settings) or again or failed or dry_run or then:
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


def is_sweep(settings: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a setting has several values."""
    return any(len(values) > 1 for values in settings.values())


def _of_sweep(report: SweepReport, synced: Sequence[str | NextStep]) -> TrainAnswer:
    wait = NextStep("wait", {"job": report.group})
    return TrainAnswer(
        lines=chain(report_lines.sweep(report), synced),
        next_step=wait if report.jobs else None,
        is_error=not report.ok,
    )
