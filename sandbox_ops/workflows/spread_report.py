"""What became of a sweep over several machines. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import ConnectError, NextStep, SandboxError
from sandbox_ops.models import Job
from sandbox_ops.text import formatting
from sandbox_ops.workflows import sweep_plan
from sandbox_ops.workflows.hand_out import HandOut
from sandbox_ops.workflows.listed_cells import ListedCell
from sandbox_ops.workflows.serving import MachineShare
from sandbox_ops.workflows.spread_plan import FREE, PENDING, SKIPPED, UNKNOWN, Standing
from sandbox_ops.workflows.sweep_list import SweepList

Placed = tuple[ListedCell, Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadReport:
    """What became of a sweep over several machines.

    Attributes:
        group: What its jobs are asked for by, on each machine.
        on: The machines, as they are named in next steps.
        shares: What each machine got now.
        planned: The cells that would be handed out, where none was.
        skipped: The cells that were left as they are, each with the reason and the place.
        unknown: Those that a machine got which cannot say whether it started them.
        not_started: Those that no machine took.
    """

    group: str
    on: str
    shares: tuple[MachineShare, ...] = ()
    planned: tuple[ListedCell, ...] = ()
    skipped: tuple[Placed, ...] = ()
    unknown: tuple[Placed, ...] = ()
    not_started: tuple[ListedCell, ...] = ()
    dry_run: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def jobs(self) -> tuple[tuple[str, Job], ...]:
        """The jobs that were started now, each with its machine."""
        return tuple((each.sandbox, job) for each in self.shares for job in each.jobs)

    @property
    def error(self) -> SandboxError | None:
        """Why not all cells are with a machine that has started them."""
        if not (self.unknown or self.not_started):
            return None
        errors = [each.error for each in self.shares if each.error]
        return errors[0] if errors else ConnectError("a machine does not answer")

    @property
    def next_steps(self) -> tuple[NextStep, ...]:
        """What can be done about those that are not started, or not known to be."""
        again = {"name": self.group, "on": self.on, "failed": True}
        steps = []
        if self.unknown:
            count = formatting.count(len(self.unknown), "cell")
            steps.append(
                NextStep(
                    "train",
                    again,
                    f"the outcome of {count} is unknown; run them elsewhere",
                )
            )
        ended = [
            each
            for _, each in self.skipped
            if each.why != sweep_plan.DONE and each.has_ended
        ]
        if ended and not self.unknown:
            count = formatting.count(len(ended), "cell")
            steps.append(
                NextStep("train", again, f"{count} did not succeed; run them again")
            )
        return tuple(steps)

    def as_json(self) -> dict[str, Any]:
        """The report as `train --on --json` shows it."""
        return {
            "group": self.group,
            "sandboxes": {each.sandbox: each.as_json() for each in self.shares},
            "planned": [_cell(each) for each in self.planned],
            "skipped": [_cell(*each) for each in self.skipped],
            "unknown": [_cell(*each) for each in self.unknown],
            "not_started": [_cell(each) for each in self.not_started],
            "dry_run": self.dry_run,
            "warnings": list(self.warnings),
            "next_steps": [str(step) for step in self.next_steps],
        }


def _cell(cell: ListedCell, standing: Standing | None = None) -> dict[str, Any]:
    facts = {
        "cell": cell.number,
        "name": cell.name,
        "command": cell.command,
        "settings": dict(cell.settings),
    }
    if standing is None:
        return facts
    where = {"sandbox": standing.machine, "job": standing.job}
    return {**facts, **where, "reason": standing.why}


def before_the_start(
    cells: SweepList,
    names: Sequence[str],
    standings: Mapping[int, Standing],
    *,
    dry_run: bool,
) -> SpreadReport:
    """Return the report as it is before anything is handed out."""

    def placed(what: str) -> tuple[Placed, ...]:
        return tuple(
            (cells.cells[n], each) for n, each in standings.items() if each.what == what
        )

    retaken: dict[str, list[int]] = {}
    for number, each in standings.items():
        if each.what == FREE and each.why == UNKNOWN:
            retaken.setdefault(each.machine, []).append(number)
    warnings = tuple(
        f"{name} does not answer, and may have started {formatting.count(len(n), 'cell')}"
        f" ({', '.join(map(str, n))}): they are started again elsewhere, and may run "
        f"twice; when it is back: sandbox-ops stop {cells.group} --on {name}"
        for name, n in retaken.items()
    )
    return SpreadReport(
        group=cells.group,
        on=",".join(names),
        planned=tuple(
            cells.cells[n]
            for n, each in standings.items()
            if each.what in (FREE, PENDING)
        ),
        skipped=placed(SKIPPED),
        unknown=placed(UNKNOWN),
        dry_run=dry_run,
        warnings=warnings,
    )


def with_outcome(
    report: SpreadReport,
    cells: SweepList,
    hand_out: HandOut,
    shares: tuple[MachineShare, ...],
) -> SpreadReport:
    """Return the report as it is when all that could be was handed out."""
    skipped = [(cells.cells[n], each) for n, each in hand_out.skipped.items()]
    unknown = [
        (cells.cells[n], Standing(what=UNKNOWN, why=UNKNOWN, machine=name))
        for n, name in hand_out.pending.items()
    ]
    return replace(
        report,
        planned=(),
        shares=shares,
        skipped=(*report.skipped, *skipped),
        unknown=(*report.unknown, *unknown),
        not_started=tuple(cells.cells[n] for n in hand_out.free),
    )
