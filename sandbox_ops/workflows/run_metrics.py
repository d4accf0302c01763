"""The metrics of runs, read on their machines: those of ended ones once, then kept."""

import dataclasses
from collections.abc import Sequence

from sandbox_ops.machine import run_curves
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.runs import Run
from sandbox_ops.text import curves
from sandbox_ops.workflows import history_lines
from sandbox_ops.workflows.run_sync import UNREACHABLE, Known


def with_metrics(
    known: Known, runs: Sequence[Run], sandboxes: Sequence[Sandbox], project: Project
) -> tuple[Run, ...]:
    """Return the runs with their metrics: those of ended ones are read once and kept."""
    measured: dict[str, Run] = {}
    for sandbox in sandboxes:
        name = sandbox.config.name
        wanted = [
            run
            for run in runs
            if run.sandbox == name and run.store in known.stores
            and (run.metrics is None or not run.job.state.ended)
        ]  # fmt: skip
        measured |= _measure(sandbox, wanted, project)
    ended = [run for run in measured.values() if run.job.state.ended]
    known.history.add(map(history_lines.metrics_line, ended))
    return tuple(measured.get(run.key, run) for run in runs)


def courses(
    known: Known,
    runs: Sequence[Run],
    sandboxes: Sequence[Sandbox],
    project: Project,
    *,
    lines: int = run_curves.SOME_LINES,
) -> dict[str, curves.Curves]:
    """Return the metrics of runs over time, by key, of those whose machine has them yet.

    Args:
        known: As `known_runs` returned it.
        runs: Which.
        sandboxes: The machines to ask.
        project: Whose patterns for metrics count.
        lines: At most about so many lines of each are read.
    """
    patterns = project.train_metrics
    read: dict[str, curves.Curves] = {}
    for sandbox in sandboxes:
        there = [
            run
            for run in runs
            if run.sandbox == sandbox.config.name and run.store in known.stores
        ]
        ids = [run.job.id for run in there]
        texts = run_curves.read(sandbox, ids, lines=lines, has_patterns=bool(patterns))
        read |= {
            run.key: curves.read(texts[run.job.id].text, patterns)
            for run in there
            if run.job.id in texts
        }
    return read


def _measure(sandbox: Sandbox, runs: Sequence[Run], project: Project) -> dict[str, Run]:
    patterns = project.train_metrics
    try:
        lines = run_curves.read(
            sandbox, [run.job.id for run in runs], has_patterns=bool(patterns)
        )
    except UNREACHABLE:
        return {}
    measured = {}
    for run in runs:
        if (of_run := lines.get(run.job.id)) is not None:
            course = curves.read(of_run.text, patterns)
            measured[run.key] = dataclasses.replace(
                run,
                metrics=course.final,
                best=course.best,
                is_sampled=of_run.sampled > 0,
            )
    return measured
