"""One machine of a sweep over several: made ready, then given cells while there are any."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import (
    CancelledError,
    DeniedError,
    NotFoundError,
    RefusedError,
    SandboxError,
    UsageError,
)
from sandbox_ops.guard.reliability import ReliabilityFile, address
from sandbox_ops.machine import groups, jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.models.groups import Group
from sandbox_ops.text import formatting
from sandbox_ops.workflows import placement, spread_plan
from sandbox_ops.workflows.candidates import Candidate
from sandbox_ops.workflows.hand_out import HandOut
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.sweep import sweep

_SHORTEST_S, _LONGEST_S = 0.5, 30.0  # between two looks at a machine that has enough
_RETRY_S, _RETRY_MOST_S = 2.0, 60.0
_NOTHING_STARTED = (RefusedError, NotFoundError, DeniedError, UsageError)
"""Errors by which a machine says that it started nothing; after others that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineShare:
    """What a machine got of a sweep.

    Attributes:
        sandbox: Its name.
        jobs: Those that were started on it now, in their order.
        did: What was done there first: sync, setup.
        warnings: What was said beside the starts.
        error: Why it got no more; None where nothing was left.
    """

    sandbox: str
    jobs: tuple[Job, ...] = ()
    did: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: SandboxError | None = None

    def as_json(self) -> dict[str, Any]:
        """The share as `train --on --json` shows it."""
        return {
            "jobs": [job.as_json() for job in self.jobs],
            "did": list(self.did),
            "warnings": list(self.warnings),
            "error": self.error.message if self.error else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """How cells are started, the same on every machine.

    Attributes:
        project: Whose clone they run in.
        group: Their sweep.
        gpus: How many each takes; None: one, where there are any.
        queue: How they wait.
        options: The others of `sweep`.
        memory: How reliable the machines were.
        on_step: Called with each thing that is done.
    """

    project: Project
    group: str
    gpus: int | None
    queue: QueueOptions | None
    options: Mapping[str, Any]
    memory: ReliabilityFile
    on_step: Callable[[str], None]


def serve(
    machine: Sandbox, candidate: Candidate, hand_out: HandOut, batches: Batches
) -> MachineShare:
    """Give a machine cells until none is left for it; a machine that comes back goes on.

    Args:
        machine: The machine.
        candidate: As it was looked at.
        hand_out: The cells.
        batches: How they are started.

    Raises:
        CancelledError: It was cancelled.
    """
    serving = _Serving(machine, candidate, hand_out, batches)
    pauses = _Pauses()
    while not hand_out.is_over(serving.name):
        try:
            pause_s = pauses.after_look(serving.step())
        except _NOTHING_STARTED as error:
            hand_out.settle_start(serving.name, 0, refused=error.message)
            batches.on_step(f"{serving.name} gets no more: {error.message}")
            return replace(serving.share, error=error)
        except SandboxError as error:
            hand_out.settle_start(serving.name, 0, unclear=True)
            if isinstance(error, CancelledError):
                raise
            serving.note_failure(error)
            if hand_out.is_over_for_others(serving.name):
                break
            pause_s = pauses.after_failure()
        hand_out.wait(pause_s)
    return serving.share


class _Pauses:
    """How long to wait before a machine is asked again: longer each time nothing comes of it."""

    def __init__(self) -> None:
        self._look_s, self._retry_s = _SHORTEST_S, _RETRY_S

    def after_look(self, has_started: bool) -> float:
        self._retry_s = _RETRY_S
        pause_s = 0.0 if has_started else self._look_s
        self._look_s = _SHORTEST_S if has_started else min(2 * pause_s, _LONGEST_S)
        return pause_s

    def after_failure(self) -> float:
        pause_s = self._retry_s
        self._retry_s = min(2 * pause_s, _RETRY_MOST_S)
        return pause_s


class _Serving:
    """What is known of one machine meanwhile."""

    def __init__(
        self,
        machine: Sandbox,
        candidate: Candidate,
        hand_out: HandOut,
        batches: Batches,
    ) -> None:
        self.name = machine.config.name
        self.share = MachineShare(sandbox=self.name)
        self._machine, self._hand_out, self._batches = machine, hand_out, batches
        self._candidate = candidate
        self._is_ready = self._has_cells = False

    def step(self) -> bool:
        """Make the machine ready, or look at it and start what it has room for.

        Raises:
            SandboxError: It cannot be used, or does not answer.
        """
        batches = self._batches
        if not self._is_ready:
            self._make_ready()
        config = self._machine.config
        status = jobs.status(self._machine, path=config.workspace, tails=0)
        group = groups.look(self._machine, batches.group) or Group(name=batches.group)
        room = spread_plan.room(status, config, batches.gpus, batches.queue)
        self.share = replace(self.share, error=None)
        cells = self._hand_out.take(self.name, room, group)
        if not cells:
            return False
        report = sweep(
            self._machine,
            self._project,
            {},
            name=batches.group,
            queue=batches.queue,
            cells_to_start=cells,
            **batches.options,
        )
        self.share = replace(
            self.share,
            jobs=(*self.share.jobs, *report.jobs),
            warnings=tuple(dict.fromkeys((*self.share.warnings, *report.warnings))),
        )
        error = report.error
        is_certain = error is None or isinstance(error, _NOTHING_STARTED)
        self._hand_out.settle_start(
            self.name,
            len(report.jobs),
            refused=error.message if error else "",
            unclear=not is_certain,
        )
        if error is not None:
            raise error
        self._has_cells = True
        hand_out = self._hand_out
        count = formatting.count(len(report.jobs), "cell")
        batches.on_step(
            f"{self.name}: {count} more; {hand_out.n_handed} of {hand_out.total}"
        )
        return True

    def note_failure(self, error: SandboxError) -> None:
        """Remember that the machine did not answer."""
        self._batches.memory.note_failure(address(self._machine.config), error)
        self._batches.on_step(f"{self.name}: {error.message}")
        self.share = replace(self.share, error=error)

    @property
    def _project(self) -> Project:
        """The project; once cells run there, edits here do not hold up the others."""
        project = self._batches.project
        return replace(project, root="") if self._has_cells else project

    def _make_ready(self) -> None:
        batches, candidate = self._batches, self._candidate
        if candidate.error:  # it did not answer when it was looked at
            candidate = placement.look(
                [self._machine],
                batches.project,
                batches.gpus,
                batches.memory,
                may_wait=True,
                force=batches.options.get("force", ()),
            )[0]
            if candidate.error:
                raise candidate.error
            self._candidate = candidate
        if candidate.against:
            raise RefusedError(candidate.against)
        placement.make_ready(self._machine, batches.project, candidate, batches.on_step)
        self.share = replace(self.share, did=candidate.needs)
        self._is_ready = True
