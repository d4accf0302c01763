"""placement: on which of several machines a training goes, and why not on the others.

The first by the user's order that is reachable and has what the training takes, those that
are set up for this commit before those that have to be; where none has it and the training
may wait, the one whose queue is shortest. A cluster's queue is Slurm's: it is never refused for that. No machine is asked twice, none holds up the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import NextStep, RefusedError, SandboxError
from sandbox_ops.git import local
from sandbox_ops.guard.reliability import ReliabilityFile, address
from sandbox_ops.machine import environment, jobs, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import MachineStatus, Project
from sandbox_ops.workflows import outputs, slurm_room
from sandbox_ops.workflows.candidates import (
    BUSY_GPU,
    SETUP,
    SYNC,
    Candidate,
    order,
    verdict,
)
from sandbox_ops.workflows.fleet import on_each
from sandbox_ops.workflows.sandboxes import lost_jobs
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementReport:
    """Which machine was taken.

    Attributes:
        sandbox: Its name.
        did: What was done there first.
        others: Those that were not taken though there is a reason for it.
    """

    sandbox: str
    did: tuple[str, ...] = ()
    others: tuple[Candidate, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The placement in words, a line each."""
        did = f" ({', '.join(self.did)} first)" if self.did else ""
        not_taken = (f"not {each.name}: {each.why_not}" for each in self.others)
        return (f"on {self.sandbox}{did}", *not_taken)

    def as_json(self) -> dict[str, Any]:
        """The placement as `train --on --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "did": list(self.did),
            "not_taken": {each.name: each.why_not for each in self.others},
        }


def place(  # each is one choice
    machines: Sequence[Sandbox],
    project: Project,
    *,
    gpus: int | None = None,
    may_wait: bool = False,
    force: Sequence[str] = (),
    dry_run: bool = False,
    memory: ReliabilityFile,
    on_step: Callable[[str], None] = lambda _line: None,
) -> PlacementReport:
    """Choose a machine for a training, and make it ready for that.

    Args:
        machines: In the user's order.
        project: Whose code it runs.
        gpus: How many free GPUs it takes; None: one, where a machine has any.
        may_wait: It may wait in a queue: a busy GPU speaks against no machine.
        force: Objections that speak against no machine, by their names.
        dry_run: Only choose: nothing is synced or set up.
        memory: How reliable the machines were.
        on_step: Called with what is done on a machine, before it is.

    Raises:
        RefusedError: None can be taken; says of each why.
    """
    candidates = list(
        look(machines, project, gpus, memory, may_wait=may_wait, force=force)
    )
    by_name = {machine.config.name: machine for machine in machines}
    for candidate in order(candidates):
        try:
            if not dry_run:
                make_ready(by_name[candidate.name], project, candidate, on_step)
        except SandboxError as error:
            at = candidates.index(candidate)
            candidates[at] = replace(candidate, against=error.message)
            continue
        at = candidates.index(candidate)
        others = [
            each
            for index, each in enumerate(candidates)
            if index < at or (index > at and each.hindrance)
        ]
        return PlacementReport(
            sandbox=candidate.name, did=candidate.needs, others=tuple(others)
        )
    raise none_can_be_taken(candidates)


def make_ready(
    machine: Sandbox,
    project: Project,
    candidate: Candidate,
    on_step: Callable[[str], None],
) -> None:
    """Do on a machine what it needs first.

    Raises:
        SandboxError: As `sync` has it; or setup failed.
    """
    if SYNC in candidate.needs:
        on_step(f"{candidate.name}: syncing")
        sync(machine, project)
    if SETUP in candidate.needs:
        on_step(f"{candidate.name}: setting up")
        report = setup(machine, project)
        if not report.ok:
            failed = next(step for step in report.steps if step.result == "failed")
            why, *_ = failed.detail.splitlines() or ("",)
            see = NextStep("setup", {"sandbox": machine.config.name}, "See all of it")
            raise RefusedError(f"setup failed at {failed.name}: {why}", see)


def look(  # each is one choice
    machines: Sequence[Sandbox],
    project: Project,
    gpus: int | None,
    memory: ReliabilityFile,
    *,
    may_wait: bool = False,
    force: Sequence[str] = (),
    any_code: bool = False,
) -> tuple[Candidate, ...]:
    """Look at all machines at once; what each answers is remembered.

    Args:
        machines: In the user's order.
        project: As in `place`.
        gpus: As in `place`.
        memory: As in `place`.
        may_wait: As in `place`.
        force: As in `place`.
        any_code: What code a machine has does not matter: it runs another.

    Raises:
        SandboxError: The local clone cannot be read.
    """
    local_tree = (
        local.look(project.root, project.branch, outputs.patterns(project))
        if project.root and not any_code
        else None
    )
    ignored = {*force, BUSY_GPU} if may_wait else set(force)

    def one(machine: Sandbox) -> Candidate:
        status, tree, is_current = _facts(machine, project, any_code=any_code)
        slurm = slurm_room.look(machine, gpus) if machine.config.by_slurm else None
        memory.note(address(machine.config), answered=True, lost=lost_jobs(status))
        judged = verdict(
            status,
            tree,
            local_tree,
            gpus,
            is_current=is_current,
            ignored=ignored,
            slurm=slurm,
        )
        return replace(judged, name=machine.config.name)

    candidates = []
    for machine, answer in on_each(machines, one).items():
        candidate = answer
        if isinstance(candidate, SandboxError):
            memory.note_failure(address(machine.config), candidate)
            candidate = Candidate(
                name=machine.config.name, against=candidate.message, error=candidate
            )
        candidates.append(candidate)
    known = memory.of_each(address(machine.config) for machine in machines)
    return tuple(
        replace(candidate, reliability=known[address(machine.config)])
        for machine, candidate in zip(machines, candidates, strict=True)
    )


def _facts(
    machine: Sandbox, project: Project, *, any_code: bool
) -> tuple[MachineStatus, Tree | None, bool]:
    status = jobs.status(machine, path=machine.config.workspace, tails=0)
    if any_code:
        return status, None, True
    tree = repo.look(machine, project)
    if tree is None:
        return status, None, False
    installed = environment.look(machine, project, tree.path)
    return status, tree, installed.is_current


def none_can_be_taken(candidates: Sequence[Candidate]) -> RefusedError:
    """Return the refusal that says of each machine why not."""
    reasons = "".join(f"\n  {each.name}: {each.against}" for each in candidates)
    return RefusedError(
        f"none of the machines can take it:{reasons}",
        NextStep("train", {"on": "any", "queue": True}, "Wait in a machine's queue"),
        NextStep("sandboxes", purpose="See how they are"),
    )
