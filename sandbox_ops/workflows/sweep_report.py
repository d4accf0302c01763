"""What became of a sweep: its cells, and what can be done next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox_ops.errors import NextStep, SandboxError
from sandbox_ops.models import Job
from sandbox_ops.text import formatting
from sandbox_ops.workflows.sweep_plan import DONE, Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What became of a sweep.

    Attributes:
        sandbox: The name of the machine.
        group: What its jobs are asked for by.
        commit: Of the code that they run.
        jobs: Those that were started now, in their order.
        then: What was started now to run when all have ended.
        then_command: In a dry run: what would be.
        planned: In a dry run: the cells that would be started, in their order.
        skipped: The cells that were left as they are, each with its reason.
        not_started: The cells that should have been started.
        next_steps: What can be done about those that were skipped.
        error: Why the first of those was not.
    """

    sandbox: str = ""
    group: str
    commit: str = ""
    jobs: tuple[Job, ...] = ()
    then: Job | None = None
    then_command: str = ""
    planned: tuple[Cell, ...] = ()
    skipped: tuple[Cell, ...] = ()
    not_started: tuple[Cell, ...] = ()
    dry_run: bool = False
    warnings: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    error: SandboxError | None = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether all that should start was started."""
        return self.error is None

    def as_json(self) -> dict[str, Any]:
        """The report as `train --json` shows it."""
        started = [job.as_json() for job in self.jobs]
        return {
            "sandbox": self.sandbox,
            "group": self.group,
            "commit": self.commit,
            "jobs": [_planned(cell) for cell in self.planned] or started,
            "skipped": [
                {
                    **_planned(cell),
                    "job": cell.job.as_json() if cell.job else None,
                    "reason": cell.skipped,
                    "commit": cell.old_commit,
                }
                for cell in self.skipped
            ],
            "then": self._then(),
            "not_started": [_planned(cell) for cell in self.not_started],
            "error": self.error.message if self.error else None,
            "dry_run": self.dry_run,
            "warnings": list(self.warnings),
            "next_steps": [str(step) for step in self.next_steps],
        }

    def _then(self) -> dict[str, Any] | None:
        if self.then:
            return self.then.as_json()
        return {"command": self.then_command} if self.then_command else None


def _planned(cell: Cell) -> dict[str, Any]:
    return {
        "cell": cell.key.number,
        "name": cell.name,
        "command": cell.command,
        "settings": dict(cell.settings),
    }


def with_outcomes(report: SweepReport, cells: Sequence[Cell]) -> SweepReport:
    """Return the report with what is done with the cells, and what can be done next."""
    skipped = tuple(cell for cell in cells if cell.skipped)
    done = [cell for cell in skipped if cell.skipped == DONE]
    failed = [cell for cell in skipped if cell not in done and _ended(cell)]
    commits = {cell.old_commit for cell in done} - {report.commit, ""}
    warnings, steps = list(report.warnings), []
    if commits and report.commit:
        codes = ", ".join(sorted(formatting.short(commit) for commit in commits))
        warnings.append(
            f"cells that are done ran other code ({codes}): their results stay"
        )
        again = {"name": report.group, "again": True}
        steps.append(NextStep("train", again, "Run them again with this code"))
    if failed:
        once_more = {"name": report.group, "failed": True}
        count = formatting.count(len(failed), "cell")
        steps.append(
            NextStep("train", once_more, f"{count} did not succeed; run them again")
        )
    return replace(
        report,
        planned=tuple(cell for cell in cells if not cell.skipped),
        skipped=skipped,
        warnings=tuple(warnings),
        next_steps=tuple(steps),
    )


def _ended(cell: Cell) -> bool:
    return cell.job is not None and cell.job.state.ended
