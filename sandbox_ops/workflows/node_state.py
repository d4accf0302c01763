"""How far each node of a run over several machines is, as its launcher wrote it down.

The launcher (`remote/node/job_files.py`) writes `node_state.json` in its job's folder; here it is
waited for, and read.
"""

import json
import posixpath
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox_ops.errors import NotFoundError, RefusedError, SandboxError
from sandbox_ops.machine import files, jobs
from sandbox_ops.machine.pause import until
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job
from sandbox_ops.remote.node.job_files import problem_text
from sandbox_ops.workflows.fleet import named

_ADDRESS_S = 20.0  # until rank 0 says where it is
_CHECK_S = 20.0  # after all have connected
_LAST_LINES = 5
_LOG_BYTES = 4000
_STATE_BYTES = 1 << 18
_PROBLEM = ("from", "to", "address", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the launcher of a node wrote down.

    Attributes:
        phase: "joining", "running", "refused" (it does not start); "" so far.
        port: Where rank 0's launcher listens; 0 so far.
        addresses: Those of rank 0's machine, as it knows them.
        master: The address and port at which the processes meet; "" so far.
        problems: Why it does not start, in words.
    """

    phase: str = ""
    port: int = 0
    addresses: tuple[str, ...] = ()
    master: str = ""
    problems: tuple[str, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether the command starts there, or does not."""
        return self.phase in {"running", "refused"}


def parse(text: bytes) -> NodeState:
    """Return the state that a launcher wrote; an empty one where it cannot be read."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return NodeState()
    if not isinstance(fields, dict):
        return NodeState()
    port, addresses = fields.get("port"), fields.get("addresses")
    problems = fields.get("problems")
    return NodeState(
        phase=str(fields.get("phase", "")),
        port=port if isinstance(port, int) else 0,
        addresses=tuple(map(str, addresses)) if isinstance(addresses, list) else (),
        master=str(fields.get("master", "")),
        problems=tuple(
            problem_text({name: str(each.get(name, "")) for name in _PROBLEM})
            for each in (problems if isinstance(problems, list) else ())
            if isinstance(each, dict)
        ),
    )


def await_address(machine: Sandbox, job: Job) -> tuple[str, ...]:
    """Return where the others find rank 0, as its launcher says.

    Raises:
        RefusedError: It ended instead, or says nothing.
    """

    def ask() -> NodeState | None:
        state = _look(machine, job)
        return state if state.port or state.phase == "refused" else None

    state = until(ask, timeout_s=_ADDRESS_S) or _silent(machine, job)
    raise_problems({machine: state})
    own = machine.config.address
    hosts = dict.fromkeys((own,) if own else state.addresses)
    return tuple(f"{_bracketed(host)}:{state.port}" for host in hosts if host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def await_start(
    machine: Sandbox, job: Job, refused: threading.Event, join_s: float
) -> NodeState:
    """Return the state of a node once it runs, or one of them does not start: `refused`."""

    def ask() -> NodeState | None:
        state = _look(machine, job)
        if state.phase == "refused":
            refused.set()
        return state if state.is_decided or refused.is_set() else None

    return until(ask, timeout_s=join_s + _CHECK_S) or _silent(machine, job)


def raise_problems(states: Mapping[Sandbox, NodeState | SandboxError]) -> None:
    """Refuse where a node does not start.

    Raises:
        RefusedError: Says which machines do not reach each other, and why.
        SandboxError: A machine does not answer.
    """
    lines: list[str] = []
    for machine, state in states.items():
        if isinstance(state, SandboxError):
            raise named(machine.config.name, state)
        lines += state.problems if state.phase == "refused" else ()
    if lines:
        raise RefusedError(
            "\n".join(dict.fromkeys(lines)),
            "Allow TCP connections between the machines. Where the others reach the first"
            " one by another address, set it: `address` of its sandbox.",
        )


def _look(machine: Sandbox, job: Job) -> NodeState:
    """Return how far a node is; `refused`, and why, where its job ended before it started."""
    state = _read(machine, job)
    if state.is_decided:
        return state
    now = jobs.get(machine, job.id)
    if not now.state.ended:
        return state
    state = _read(machine, job)  # written just before the end
    if state.is_decided:
        return state
    tail = jobs.output(machine, job.id, offset=-_LOG_BYTES, max_bytes=_LOG_BYTES)
    lines = tail.data.decode("utf-8", "replace").split("\n")[-_LAST_LINES - 1 :]
    last = " ".join(lines).strip()
    why = f"its node ended before the command started: {now.words}: {last}"
    return _failed(machine, why)


def _read(machine: Sandbox, job: Job) -> NodeState:
    path = posixpath.join(posixpath.dirname(job.log_path), "node_state.json")
    try:
        return parse(files.read_bytes(machine, path, 0, _STATE_BYTES))
    except NotFoundError:
        return NodeState()


def _silent(machine: Sandbox, job: Job) -> NodeState:
    return _failed(
        machine, f"{job.id} on {machine.config.name} does not report its state"
    )


def _failed(machine: Sandbox, why: str) -> NodeState:
    return NodeState(phase="refused", problems=(f"{machine.config.name}: {why}",))
