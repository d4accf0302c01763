"""A group as every face shows it: one row, or one line. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_ops.models import Job, JobState
from sandbox_ops.models.groups import GroupSummary
from sandbox_ops.text import formatting


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A group: how many cells it has, how many are in each state, how long yet, the best.

    Attributes:
        states: `3 running, 6 succeeded, 1 failed`.
        remaining_s: How long yet; None where that is not known, or nothing is left.
        best: `loss 0.123 (remote-7 t1-lr1e-3)`; "" where no cell says the metric.
    """

    name: str
    cells: str
    states: str
    remaining_s: float | None
    best: str


def group_row(summary: GroupSummary) -> GroupRow:
    """Return the facts of a group."""
    best = summary.best
    value = f"{best.metric} {formatting.figure(best.value)}" if best else ""
    return GroupRow(
        name=summary.name,
        cells=str(summary.n_cells),
        states=", ".join(f"{count} {state}" for state, count in summary.counts.items()),
        remaining_s=summary.eta_s or None,
        best=f"{value} ({best.job} {best.name})" if best else "",
    )


def group_line(row: GroupRow) -> str:
    """`group t1, 10 cells: 3 running, 7 succeeded; ETA 2 min; best loss 0.1 (remote-7 a)`."""
    facts = (
        f"group {row.name}, {row.cells} cells: {row.states}",
        f"ETA {formatting.duration(row.remaining_s)}" if row.remaining_s else "",
        row.best and f"best {row.best}",
    )
    return "; ".join(filter(None, facts))


WAITING_SHOWN = 3
"""So many jobs of a group that wait are listed; the others are counted."""


def without_waiting(jobs: Sequence[Job]) -> tuple[tuple[Job, ...], dict[str, int]]:
    """Return a list without most of the jobs of sweeps that wait.

    Returns:
        The others in their order, and how many were left out of each group.
    """
    waiting: Counter[str] = Counter()
    firsts = sorted((job for job in jobs if _waits(job)), key=lambda job: job.cell)
    kept: set[str] = set()
    for job in firsts:
        waiting[job.group] += 1
        if waiting[job.group] <= WAITING_SHOWN:
            kept.add(job.id)
    shown = [job for job in jobs if not _waits(job) or job.id in kept]
    left_out = {
        group: number - WAITING_SHOWN
        for group, number in waiting.items()
        if number > WAITING_SHOWN
    }
    return tuple(shown), left_out


def _waits(job: Job) -> bool:
    return job.state is JobState.QUEUED and bool(job.group) and job.cell > 0
