"""placement: on which of several machines a training goes, and why not on the others.

The first by the user's order that is reachable, set up for this commit and has what the
training takes; else the first that only has to be set up, and then is. No machine is
asked twice, and none holds up the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import NextStep, RefusedError, SandboxError
from sandbox_ops.git import local
from sandbox_ops.git.local import LocalTree
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine import environment, jobs, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import JobState, MachineStatus, Project
from sandbox_ops.workflows import train_objections
from sandbox_ops.workflows.fleet import on_each
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync

SETUP, SYNC = "setup", "sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A machine, as it was looked at.

    Attributes:
        name: Of the sandbox.
        against: Why nothing can be started there; "": it can.
        needs: What has to be done there first: setup, sync.
        is_flaky: Whether it often failed: then it comes after the others.
    """

    name: str
    against: str = ""
    needs: tuple[str, ...] = ()
    is_flaky: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementReport:
    """Which machine was taken.

    Attributes:
        sandbox: Its name.
        did: What was done there first.
        others: Those before it in the order that were not taken, each with the reason.
    """

    sandbox: str
    did: tuple[str, ...] = ()
    others: tuple[Candidate, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The placement as `train --on --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "did": list(self.did),
            "not_taken": {each.name: each.against for each in self.others},
        }


def place(
    machines: Sequence[Sandbox],
    project: Project,
    *,
    gpus: int | None = None,
    may_wait: bool = False,
    memory: ReliabilityFile,
    on_step: Callable[[str], None] = lambda _line: None,
) -> PlacementReport:
    """Choose a machine for a training, and make it ready for that.

    Args:
        machines: In the user's order.
        project: Whose code it runs.
        gpus: How many free GPUs it takes; None: one, where a machine has any.
        may_wait: It may wait in a queue: a busy GPU speaks against no machine.
        memory: How reliable the machines were.
        on_step: Told what is done on a machine, before it is.

    Raises:
        RefusedError: None can be taken; says of each why.
    """
    candidates = list(look(machines, project, gpus, memory, may_wait=may_wait))
    by_name = {machine.config.name: machine for machine in machines}
    passed: list[Candidate] = []
    for candidate in order(candidates):
        if candidate.against:
            continue
        try:
            _make_ready(by_name[candidate.name], project, candidate, on_step)
        except SandboxError as error:
            passed.append(replace(candidate, against=error.message))
            continue
        refused = [each for each in candidates if each.against]
        return PlacementReport(
            sandbox=candidate.name, did=candidate.needs, others=(*refused, *passed)
        )
    raise _none([*(each for each in candidates if each.against), *passed])


def order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those that are ready first, flaky ones last; else as they come. Pure."""
    return sorted(candidates, key=lambda each: (each.is_flaky, bool(each.needs)))


def _make_ready(
    machine: Sandbox,
    project: Project,
    candidate: Candidate,
    on_step: Callable[[str], None],
) -> None:
    if SYNC in candidate.needs:
        on_step(f"{candidate.name}: syncing")
        sync(machine, project)
    if SETUP in candidate.needs:
        on_step(f"{candidate.name}: setting up")
        report = setup(machine, project)
        if not report.ok:
            failed = next(step for step in report.steps if step.result == "failed")
            raise RefusedError(f"setup failed at {failed.name}: {failed.detail}")


def look(
    machines: Sequence[Sandbox],
    project: Project,
    gpus: int | None,
    memory: ReliabilityFile,
    *,
    may_wait: bool = False,
) -> tuple[Candidate, ...]:
    """Look at all machines at once; what each answers is remembered.

    Raises:
        SandboxError: The local clone cannot be read.
    """
    local_tree = local.look(project.root, project.branch) if project.root else None

    def one(machine: Sandbox) -> Candidate:
        status, tree, is_current = _facts(machine, project)
        memory.note(address(machine), answered=True, lost=_lost(status))
        against, needs = verdict(
            status, tree, local_tree, gpus, is_current=is_current, may_wait=may_wait
        )
        return Candidate(name=machine.config.name, against=against, needs=needs)

    candidates = []
    for machine, answer in on_each(machines, one).items():
        if isinstance(answer, SandboxError):
            memory.note(address(machine), answered=False)
            name = machine.config.name
            answer = Candidate(name=name, against=answer.message)  # noqa: PLW2901
        reliability = memory.of(address(machine))
        candidates.append(replace(answer, is_flaky=reliability.is_flaky))
    return tuple(candidates)


def _facts(
    machine: Sandbox, project: Project
) -> tuple[MachineStatus, Tree | None, bool]:
    status = jobs.status(machine, path=machine.config.workspace, tails=0)
    tree = repo.look(machine, project)
    if tree is None:
        return status, None, False
    installed = environment.look(machine, project, tree.path)
    return status, tree, installed.is_current


def _lost(status: MachineStatus) -> list[str]:
    return [job.id for job in status.jobs if job.state is JobState.LOST]


def address(machine: Sandbox) -> str:
    """Return what a machine is remembered by."""
    config = machine.config
    return f"{config.user or ''}@{config.host}:{config.port or ''}"


def verdict(
    status: MachineStatus,
    tree: Tree | None,
    local_tree: LocalTree | None,
    gpus: int | None,
    *,
    is_current: bool,
    may_wait: bool = False,
) -> tuple[str, tuple[str, ...]]:
    """Return what speaks against a machine, and what it needs first. Pure."""
    _, busy = train_objections.choose(status, gpus)
    objections = [
        each for each in busy if not (may_wait and each.force == "busy-gpu")
    ] + list(train_objections.disk_objections(status))
    if tree and tree.edits:
        objections += train_objections.code_objections(tree, None)
    if objections:
        return "; ".join(_first_lines(each.message) for each in objections), ()
    needs = []
    here = local_tree.commit if local_tree else None
    if tree and here and tree.head != here:
        using = [job.id for job in status.jobs if _uses(job.state, job.cwd, tree.path)]
        if using:
            return f"its code is another, and {', '.join(using)} runs in it", ()
        needs.append(SYNC)
    if not is_current:
        needs.append(SETUP)
    return "", tuple(needs)


def _uses(state: JobState, cwd: str, path: str) -> bool:
    return not state.ended and f"{cwd}/".startswith(f"{path}/")


def _first_lines(message: str) -> str:
    return " ".join(line.strip() for line in message.splitlines()[:3])


def _none(candidates: Sequence[Candidate]) -> RefusedError:
    reasons = "".join(f"\n  {each.name}: {each.against}" for each in candidates)
    return RefusedError(
        f"no machine can be taken:{reasons}",
        NextStep("train", {"on": "any", "queue": True}, "Wait in a machine's queue"),
        NextStep("sandboxes", purpose="See how they are"),
    )
