"""The facts of a run as a face lays them out: chosen, ordered and worded once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox_ops.models.runs import Run
from sandbox_ops.text import formatting
from sandbox_ops.workflows import rows

_METRICS = 3
_BEST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run.

    Attributes:
        id: With the name of the machine in front where there are several.
        metrics: Each with its last value: `loss 0.123`.
        best: The best of the first: `loss 0.101`.
        settings: `lr=0.1, seed=2`.
        begun_at: When it was started, or began to wait: seconds since 1970.
    """

    id: str
    name: str
    state: str
    metrics: tuple[str, ...]
    best: tuple[str, ...]
    settings: str
    elapsed_s: float | None
    has_begun: bool
    cost: float | None
    begun_at: float | None
    commit: str
    tags: str
    note: str


def run_row(run: Run, *, several: bool = False) -> RunRow:
    """Return the facts of a run.

    Args:
        run: The run.
        several: Whether runs of several machines are listed.
    """
    known = run.is_current or run.job.state.ended
    mark = "~" if run.is_sampled else ""
    return RunRow(
        id=f"{run.sandbox}:{run.job.id}" if several else run.job.id,
        name=run.job.name or (f"{run.group}/{run.cell}" if run.group else ""),
        state=rows.short_state(run.job) if known else "unknown",
        metrics=_figures(run.metrics or {}, _METRICS),
        best=tuple(f"{mark}{each}" for each in _figures(run.best, _BEST)),
        settings=", ".join(f"{k}={v}" for k, v in run.settings.items()),
        elapsed_s=run.job.elapsed_s,
        has_begun=run.job.started_at is not None,
        cost=run.cost,
        begun_at=run.job.started_at or run.job.queued_at,
        commit=run.commit[:7],
        tags=", ".join(run.tags),
        note=run.note,
    )


def _figures(metrics: Mapping[str, float], most: int) -> tuple[str, ...]:
    pairs = list(metrics.items())[:most]
    return tuple(f"{name} {formatting.figure(value)}" for name, value in pairs)
