"""nodes: one training over several machines, a node on each, started on all or on none.

All are looked at, synced and set up first. Then rank 0 starts, and says where the others find
it; then they do. The launcher on the machines (scripts/node_launcher.py) holds the command
until each node reaches each other, and ends it everywhere when it fails on one: neither needs
a client. See docs/decisions/0031. (Over 250 lines: a third are words of options and refusals.)
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import NextStep, RefusedError, SandboxError, UsageError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine.first_lines import first_lines
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import JobState, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.queue import LOST, RetryPolicy
from sandbox_ops.workflows import (
    node_start,
    nodes_list,
    placement,
    preparation,
    torchrun,
    train,
)
from sandbox_ops.workflows.candidates import Candidate
from sandbox_ops.workflows.fleet import on_each
from sandbox_ops.workflows.node_start import NodeRun, StartedNode
from sandbox_ops.workflows.nodes_list import NodesEntry
from sandbox_ops.workflows.own_tree import OtherCode
from sandbox_ops.workflows.preparation import Preparation, RunPlan
from sandbox_ops.workflows.queueing import QueueOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesReport:
    """A run over several machines, as it was started.

    Attributes:
        name: Its one name: of the job on each machine.
        machines: In the order of their ranks.
        nodes: What was started; none of a dry run.
        master: The address and port at which its processes meet.
        commit: Of the code that all run.
        did: What was done on a machine first.
    """

    name: str
    command: str
    machines: tuple[str, ...]
    nodes: tuple[StartedNode, ...] = ()
    master: str = ""
    commit: str = ""
    did: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no node failed at once."""
        return all(node.job.state is not JobState.FAILED for node in self.nodes)

    def as_json(self) -> dict[str, Any]:
        """The report as `train --on --nodes --json` shows it."""
        jobs = {node.sandbox: node.job.as_json() for node in self.nodes}
        lines = {node.sandbox: node.first_lines for node in self.nodes}
        return {
            "name": self.name,
            "command": self.command,
            "commit": self.commit,
            "master": self.master,
            "dry_run": not self.nodes,
            "sandboxes": {
                name: {
                    "rank": rank,
                    "job": jobs.get(name),
                    "did": list(self.did.get(name, ())),
                    "first_lines": list(lines.get(name, ())),
                }
                for rank, name in enumerate(self.machines)
            },
            "warnings": list(self.warnings),
        }


def start(  # noqa: PLR0913, PLR0915  # each is one fact of a training
    machines: Sequence[Sandbox],
    project: Project,
    *,
    command: str = "",
    is_filled: bool = False,
    name: str = "",
    settings: Mapping[str, str] | None = None,
    by_torchrun: bool = False,
    time_s: float | None = None,
    gpus: int | None = None,
    force: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    no_env: bool = False,
    own_tree: bool = False,
    queue: QueueOptions | None = None,
    code: Callable[[Sandbox], OtherCode | None] | None = None,
    port: int = 0,
    dry_run: bool = False,
    memory: ReliabilityFile,
    on_step: Callable[[str], None] = lambda _line: None,
    cancel: CancelToken | None = None,
) -> NodesReport:
    """Start a training over all of the machines, or on none of them.

    Args:
        machines: In the order of their ranks: the first is where the processes meet.
        project: Whose clone it runs in, on each.
        command: As in `train`.
        is_filled: As in `train`.
        name: Of the run, and of its job on each machine; "": one is made up.
        settings: As in `train`.
        by_torchrun: Have torchrun run the command.
        time_s: The deadline of each job.
        gpus: How many free GPUs it takes on each; None: one, where a machine has any.
        force: As in `train`.
        env: As in `train`.
        no_env: As in `train`.
        own_tree: As in `train`.
        queue: Only its retries count, which are the whole run's: all nodes begin again
            where one failed. To wait in a queue is refused.
        code: Returns what a machine runs in place of what its clone has; then none is
            synced or set up first. None: what the clones have.
        port: Where its processes meet; the next one is the launchers' own. 0: free ones.
        dry_run: Only look: nothing is synced, set up or started.
        memory: How reliable the machines were.
        on_step: Called with what is done on a machine, before it is.
        cancel: Ends what it waits for; what was started is stopped.

    Raises:
        RefusedError: A machine cannot take it, their code differs, or two of them do not
            reach each other; says which, and nothing runs anywhere.
        UsageError: No command, or machines that cannot be.
        SandboxError: A machine did not answer: nothing runs anywhere.
    """
    token = cancel or CancelToken()
    machines = tuple(machine.cancelled_by(token) for machine in machines)
    _check(machines, queue)
    train.check(name, gpus, force)
    name = name or f"nodes-{secrets.token_hex(2)}"
    if not is_filled:
        command = train.filled(project, command, settings or {}, name)
    if by_torchrun:
        command = torchrun.command(command)
    candidates = placement.look(
        machines, project, gpus, memory, force=force, any_code=code is not None
    )
    _refuse_any(candidates)
    names = tuple(machine.config.name for machine in machines)
    did = {each.name: each.needs for each in candidates if each.needs}
    report = NodesReport(name=name, command=command, machines=names, did=did)
    if dry_run:
        return report
    run = RunPlan(command, settings or {}, name)
    by_name = {each.name: each for each in candidates}

    def ready(machine: Sandbox) -> Preparation:
        candidate = by_name[machine.config.name]
        placement.make_ready(machine, project, candidate, on_step)
        return preparation.prepare(
            machine,
            project,
            [run],
            gpus=gpus,
            force=force,
            queue=None,
            no_env=no_env,
            own_tree=own_tree,
            code=code(machine) if code else None,
        )

    prepared = all_of(on_each(machines, ready, cancel=token), name)
    token.check()
    _refuse_different_code(prepared)
    node_run = NodeRun(
        name=name,
        machines=names,
        processes=torchrun.processes(gpus),
        port=port,
        retry=queue.retry if queue else None,
    )
    entry = NodesEntry(name=name, run=node_run.id, machines=names)
    nodes_list.note(project, entry)
    on_step("starting on all")
    started, master = node_start.start_all(
        node_run,
        prepared,
        run,
        env=env,
        time_s=time_s,
        force=force,
        token=token,
    )
    nodes_list.note(
        project, replace(entry, jobs={node.sandbox: node.job.id for node in started})
    )
    some = next(iter(prepared.values()))
    return replace(
        report,
        nodes=started,
        master=master,
        commit=some.tree.head or "",
        warnings=(*_warnings(prepared), *_node_warnings(started)),
    )


def first_second(machines: Sequence[Sandbox], report: NodesReport) -> NodesReport:
    """Return the report with each node as it is after its first second, and what it wrote.

    Raises:
        SandboxError: A machine cannot be asked any more.
    """
    by_name = {node.sandbox: node for node in report.nodes}

    def one(machine: Sandbox) -> StartedNode:
        node = by_name[machine.config.name]
        job, lines = first_lines(machine, node.job.id, 1.0)
        return replace(node, job=job, first_lines=lines)

    looks = on_each(machines, one)
    nodes = []
    for look in looks.values():
        if isinstance(look, SandboxError):
            raise look
        nodes.append(look)
    return replace(report, nodes=tuple(nodes))


def all_of(
    answers: Mapping[Sandbox, Preparation | SandboxError], name: str
) -> dict[Sandbox, Preparation]:
    """Return what each machine answered.

    Raises:
        SandboxError: One failed: of its kind; says of each that did why.
    """
    failed = {m: a for m, a in answers.items() if isinstance(a, SandboxError)}
    if failed:
        first = next(iter(failed.values()))
        reasons = "".join(
            f"\n  {m.config.name}: {e.message}" for m, e in failed.items()
        )
        raise type(first)(f"{name} was started on no machine:{reasons}", *first.hints)
    return {m: a for m, a in answers.items() if isinstance(a, Preparation)}


def _check(machines: Sequence[Sandbox], queue: QueueOptions | None) -> None:
    if queue is not None and queue.waits:
        raise UsageError(
            "a training over several sandboxes starts on all at once: it waits in no queue",
            "Leave out queue, after, slots, priority and their like.",
        )
    _check_retry(queue.retry if queue else None)
    clusters = [each.config.name for each in machines if each.config.by_slurm]
    if clusters:
        raise UsageError(
            f"{clusters[0]} is a Slurm cluster, which gives the nodes itself",
            NextStep("train", {"sandbox": clusters[0], "nodes": len(machines)}),
        )
    if len(machines) < 2:  # noqa: PLR2004 - several
        raise UsageError(
            "a run over several machines needs two of them",
            "Name them: --on a,b, or a group.",
        )


def _check_retry(retry: RetryPolicy | None) -> None:
    if retry and LOST in retry.on and retry.on != RetryPolicy(retries=0).on:
        raise UsageError(
            "no other attempt follows a lost node: the others cannot begin without it",
            NextStep("rerun", {"run": "NAME"}, "Once its machine is back"),
        )


def _refuse_any(candidates: Sequence[Candidate]) -> None:
    """Refuse where one machine cannot take it."""
    against = [each for each in candidates if each.against]
    if not against:
        return
    reasons = "".join(f"\n  {each.name}: {each.against}" for each in against)
    kind = type(against[0].error) if against[0].error else RefusedError
    raise kind(
        f"not all machines can take it, so it was started on none:{reasons}",
        NextStep("sandboxes", purpose="See how they are"),
    )


def _refuse_different_code(prepared: Mapping[Sandbox, Preparation]) -> None:
    heads = {m.config.name: (p.tree.head or "") for m, p in prepared.items()}
    if len(set(heads.values())) > 1:
        places = "".join(f"\n  {name}: {head[:10]}" for name, head in heads.items())
        raise RefusedError(
            f"the machines have different code, so it was started on none:{places}",
            NextStep(
                "sync", {"on": ",".join(heads), "push": True}, "Bring them to one"
            ),
        )


def _warnings(prepared: Mapping[Sandbox, Preparation]) -> tuple[str, ...]:
    named = {m.config.name: p for m, p in prepared.items()}
    lines = [f"{name}: {line}" for name, p in named.items() for line in p.warnings]
    pythons = {name: p.environment.python_version for name, p in named.items()}
    if len(set(pythons.values())) > 1:
        versions = ", ".join(f"{name} {version}" for name, version in pythons.items())
        lines.append(f"the machines have different Pythons: {versions}")
    return tuple(lines)


def _node_warnings(started: Sequence[StartedNode]) -> tuple[str, ...]:
    return tuple(
        f"{node.sandbox}: {line}" for node in started for line in node.warnings
    )
