"""The start of a run over several machines: rank 0, then the others, then all or none.

A node that started waits at its machine for the others, half a minute at most. So whatever becomes
of this client, no half of a run goes on: what it stops here only ends sooner.
"""

import hashlib
import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import NextStep, RefusedError, SandboxError, TimedOutError
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.queue import RetryPolicy
from sandbox_ops.remote import node, scripts
from sandbox_ops.workflows import node_state, train
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.fleet import named, on_each
from sandbox_ops.workflows.preparation import Preparation, RunPlan

JOIN_S = 30
"""So long a node waits for the others."""

LOST_S = 30
"""So long a node that runs may be silent before it is lost."""

_CONNECT_S = 12  # of another node to rank 0, which is there by then
_STOP_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """What all nodes of a run have in common.

    Attributes:
        machines: Their names, in the order of the ranks.
        processes: How many torchrun starts on each.
        port: Where the processes meet; 0: at a free one.
        retry: What follows an attempt that failed; None: nothing.
        id: What tells the run from all others.
        secret: By which its nodes know each other.
    """

    name: str
    machines: tuple[str, ...]
    processes: int
    port: int
    retry: RetryPolicy | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    secret: str = field(default_factory=lambda: secrets.token_hex(16))

    def token(self, rank: int) -> str:
        """Return the token of a node's start: sent again, it is the same job."""
        return hashlib.sha256(f"{self.id} {rank}".encode()).hexdigest()[:32]

    def plan(self, rank: int, hub: Sequence[str]) -> dict[str, Any]:
        """Return what the launcher of a node is told."""
        return {
            "run": self.id,
            "rank": rank,
            "machines": list(self.machines),
            "processes": self.processes,
            "port": self.port,
            "hub": list(hub),
            "join_s": _CONNECT_S if rank else JOIN_S,
            "lost_s": LOST_S,
            "retry": self._retry,
        }

    @property
    def _retry(self) -> dict[str, Any] | None:
        if self.retry is None or not self.retry.retries:
            return None
        names = ("retries", "on", "backoff_s", "resume_from")
        return {name: getattr(self.retry, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedNode:
    """A node of a run, as it was started.

    Attributes:
        first_lines: What it wrote first, where somebody waited for that.
    """

    rank: int
    sandbox: str
    job: Job
    warnings: tuple[str, ...] = ()
    first_lines: tuple[str, ...] = ()


def start_all(
    run: NodeRun,
    prepared: Mapping[Sandbox, Preparation],
    plan: RunPlan,
    *,
    env: Mapping[str, str] | None,
    time_s: float | None,
    force: Sequence[str],
    token: CancelToken,
) -> tuple[tuple[StartedNode, ...], str]:
    """Start a node on each machine; return them, and where the processes meet.

    Raises:
        RefusedError: They do not reach each other, or one cannot start: all are stopped.
        SandboxError: A machine does not answer: what was started is stopped.
    """
    machines = tuple(prepared)
    started: dict[Sandbox, StartedNode] = {}

    def one(machine: Sandbox, hub: Sequence[str] = ()) -> StartedNode:
        rank = machines.index(machine)
        started[machine] = _start_node(
            machine,
            prepared[machine].project,
            prepared[machine],
            plan=plan,
            run=run,
            rank=rank,
            hub=hub,
            options={"env": env, "time_s": time_s, "force": force},
        )
        return started[machine]

    try:
        one(machines[0])
        hub = node_state.await_address(machines[0], started[machines[0]].job)
        token.check()
        outcomes = on_each(machines[1:], lambda m: one(m, hub), cancel=token)
        _raise_first(outcomes)
        refused = threading.Event()
        states = on_each(
            machines,
            lambda m: node_state.await_start(m, started[m].job, refused, JOIN_S),
            cancel=token,
        )
        token.check()
        node_state.raise_problems(states)
    except BaseException as error:
        silent = _stop(started)
        if isinstance(error, SandboxError):
            raise _with_outcome(
                error, run, [*silent, *_unknown(machines, started)]
            ) from error
        raise
    first = states[machines[0]]
    master = "" if isinstance(first, SandboxError) else first.master
    return tuple(started[machine] for machine in machines), master


@acts_as(lambda _options: "train --")
def _start_node(  # each is one fact
    sandbox: Sandbox,
    project: Project,  # noqa: ARG001 - noted with the action
    ready: Preparation,
    *,
    plan: RunPlan,
    run: NodeRun,
    rank: int,
    hub: Sequence[str],
    options: Mapping[str, Any],
) -> StartedNode:
    """Start one node as a job of its machine."""
    of_run = {"nodes": {"run": run.id, "rank": rank, "machines": list(run.machines)}}
    job_options = ready.job_options(plan, more=of_run, **options)
    env = {**(job_options["env"] or {}), "SANDBOX_NODE_SECRET": run.secret}
    job_options["env"] = env
    job_options["token"] = run.token(rank)
    job_options["shown"] = plan.command
    job_options["files"] = {
        **(job_options["files"] or {}),
        "node.json": json.dumps(run.plan(rank, hub)),
        "node_command": f"{plan.command}\n",
        "node_launcher.py": node.program(),
    }
    with ready.place(plan).made(sandbox) as notes:
        job = sandbox.start(scripts.script("node"), **job_options)
    warnings = (*notes, *train.link_logs(sandbox, ready.tree.path, [job]))
    return StartedNode(
        rank=rank, sandbox=sandbox.config.name, job=job, warnings=warnings
    )


def _raise_first(outcomes: Mapping[Sandbox, StartedNode | SandboxError]) -> None:
    for machine, outcome in outcomes.items():
        if isinstance(outcome, SandboxError):
            raise named(machine.config.name, outcome)


def _stop(started: Mapping[Sandbox, StartedNode]) -> list[str]:
    """Stop what was started; return the machines that did not answer."""
    token = CancelToken()  # what cancelled the start does not cancel this

    def one(machine: Sandbox) -> None:
        jobs.stop(
            machine.cancelled_by(token), started[machine].job.id, grace_s=_STOP_GRACE_S
        )

    outcomes = on_each(tuple(started), one)
    return [
        m.config.name for m, each in outcomes.items() if isinstance(each, SandboxError)
    ]


def _unknown(
    machines: Sequence[Sandbox], started: Mapping[Sandbox, StartedNode]
) -> list[str]:
    """Return the machines whose start may have been heard without an answer."""
    return [m.config.name for m in machines if m not in started]


def _with_outcome(
    error: SandboxError, run: NodeRun, unclear: Sequence[str]
) -> SandboxError:
    """Return the error with what is left of the run."""
    left = ""
    if unclear and not isinstance(error, RefusedError):
        left = (
            f"\nwhat {' and '.join(dict.fromkeys(unclear))} may have started ends by itself"
            f" within {JOIN_S} s: it finds no others"
        )
    again = NextStep("jobs", {"on": ",".join(run.machines)}, "See what is left there")
    message = f"{run.name} was started on no machine:\n{error.message}{left}"
    raised = type(error)(message, *error.hints, again)
    return (
        raised if not isinstance(error, TimedOutError) else RefusedError(message, again)
    )
