"""runs and show: what was trained, where, from what, with what result."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.machine import attempts
from sandbox_ops.machine.attempts import Attempt
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.runs import Run, reference
from sandbox_ops.workflows import run_find, run_metrics, run_sync
from sandbox_ops.workflows.run_choice import selected
from sandbox_ops.workflows.run_query import RunQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsReport:
    """The runs that were asked for.

    Attributes:
        runs: In the order that was asked for.
        total: How many fit; more than there are in `runs` where the limit cut them.
        unreachable: Why a machine could not be asked, by its name: of its runs what is
            remembered is shown.
    """

    runs: tuple[Run, ...]
    total: int = 0
    unreachable: dict[str, str]

    @property
    def ok(self) -> bool:
        """Always: a machine that is not reached is said so."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `runs --json` shows it."""
        return {
            "runs": [run.as_json() for run in self.runs],
            "total": self.total,
            "unreachable": dict(self.unreachable),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run.

    Attributes:
        attempts: Of one that went through the queue, and whose machine was asked.
    """

    run: Run
    attempts: tuple[Attempt, ...] = ()

    @property
    def ok(self) -> bool:
        """Always."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The run as `show --json` shows it: with its record."""
        return {
            **self.run.as_json(),
            "command": self.run.job.command,
            "log_path": self.run.job.log_path,
            "attempts": [attempt.as_json() for attempt in self.attempts],
            "record": dict(self.run.record),
        }


def runs(
    sandboxes: Sequence[Sandbox], project: Project, query: RunQuery | None = None
) -> RunsReport:
    """Return the runs of a project on some machines, and those that its clone remembers.

    Args:
        sandboxes: The machines to ask; none of them: what the clone remembers.
        project: Whose runs; one without a name has those of all.
        query: Which of them, in which order; None: the newest fifty.

    Raises:
        NotFoundError: The query names a group, a tag or a value that no run has.
        RefusedError: The history in the clone cannot be read or written.
        SandboxError: A machine answered with an error.
    """
    known = run_sync.known_runs(sandboxes, project)
    shown, total = selected(
        query or RunQuery(),
        known.runs,
        lambda each: run_metrics.with_metrics(known, each, sandboxes, project),
    )
    return RunsReport(runs=tuple(shown), total=total, unreachable=known.unreachable)


def show(
    sandboxes: Sequence[Sandbox], project: Project, run: str, *, default: str = ""
) -> RunReport:
    """Return one run with its record.

    Args:
        sandboxes: The machines to ask.
        project: Whose runs.
        run: Its id, number or name, `last`, `t1/3`, or `gpu1:remote-3`.
        default: The machine that an id belongs to where none is named.

    Raises:
        NotFoundError: There is no such run.
    """
    names = tuple(sandbox.config.name for sandbox in sandboxes)
    known = run_sync.known_runs(sandboxes, project)
    names += tuple({each.sandbox for each in known.runs} - set(names))
    one = run_find.find(known.runs, reference(run, names), default)
    measured = run_metrics.with_metrics(known, (one,), sandboxes, project)[0]
    return RunReport(run=measured, attempts=_attempts(known, measured, sandboxes))


def _attempts(
    known: run_sync.Known, run: Run, sandboxes: Sequence[Sandbox]
) -> tuple[Attempt, ...]:
    for sandbox in sandboxes:
        if sandbox.config.name == run.sandbox and run.store in known.stores:
            with contextlib.suppress(*run_sync.UNREACHABLE):
                return attempts.look(sandbox, run.job)
    return ()
