"""What the launcher of a node says: in its job's folder, and in the job's log."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

NOT_STARTED = 75
TERMINATED = 143
_ENDS = {
    "stopped": "was stopped",
    "timed-out": "reached its deadline",
    "lost": "was lost",
}


class Failure(NamedTuple):
    """The node that failed first: on the wire a list of these three.

    Attributes:
        rank: Its rank.
        machine: The name of its machine.
        how: Its exit code, or one of `_ENDS`.
    """

    rank: int
    machine: str
    how: str

    def __str__(self) -> str:
        end = _ENDS.get(self.how, f"failed first, with exit code {self.how}")
        return f"rank {self.rank} on {self.machine} {end}"

    def fields(self, separator: str) -> str:
        """Return rank, machine and how, as a job's record has them."""
        signs = (
            each if each.isalnum() or each in "._-" else "_" for each in self.machine
        )
        return separator.join((str(self.rank), "".join(signs), self.how))


class Retry(NamedTuple):
    """What follows an attempt that failed.

    Attributes:
        retries: So many attempts more, at most.
        on: Which ends are followed by one: `exit`, `signal`, `oom`, `exit=3`.
        backoff_s: The pause after the first; twice as long after each.
        resume_from: The pattern of checkpoints; "": none.
    """

    retries: int = 0
    on: Sequence[str] = ()
    backoff_s: float = 0.0
    resume_from: str = ""


class Plan(NamedTuple):
    """What a node is told of its run: `node.json` in the job's folder.

    Attributes:
        run: What tells the run from all others.
        rank: Of this node.
        machines: The names of all, by rank.
        processes: How many torchrun starts on each.
        port: Where the processes meet; 0: at a free one.
        hub: The addresses of rank 0's launcher; none for rank 0 itself.
        join_s: So long a node waits for the others.
        lost_s: So long a node may be silent before it is lost.
        retry: What follows an attempt that failed.
    """

    run: str
    rank: int
    machines: Sequence[str]
    processes: int
    port: int
    hub: Sequence[str]
    join_s: float
    lost_s: float
    retry: Retry = Retry()

    @property
    def own_name(self) -> str:
        """The name of this node's machine."""
        return self.machines[self.rank]


def read_plan(folder: str) -> Plan:
    """Return the plan in a job's folder."""
    fields = json.loads(Path(folder, "node.json").read_text("utf-8"))
    retry = Retry(**(fields.pop("retry", None) or {}))
    return Plan(**fields, retry=retry)


def say(line: str) -> None:
    """Add a line of ours to the job's log."""
    print(f"[sandbox-ops] {line}", flush=True)  # noqa: T201


def refuse(folder: str, problems: Sequence[Mapping[str, str]]) -> int:
    """Say why the run does not start; return the exit code."""
    write_state(folder, phase="refused", problems=list(problems))
    for each in problems:
        say(f"not started: {problem_text(each)}")
    return NOT_STARTED


def problem_text(problem: Mapping[str, str]) -> str:
    """Return in words who cannot reach whom, or what else is wrong with a node."""
    if not problem["address"]:
        return f"{problem['from']}: {problem['why']}"
    what = f"cannot open a connection to {problem['to']} ({problem['address']})"
    return f"{problem['from']} {what}: {problem['why']}"


def write_state(folder: str, **state: Any) -> None:  # noqa: ANN401 - as JSON has it
    """Write down how far this node is."""
    write(f"{folder}/node_state.json", json.dumps(state) + "\n")


def write_first_failure(folder: str, failure: Failure) -> None:
    """Write down which node failed first, for the job's own record."""
    write(f"{folder}/first_failure", failure.fields(" ") + "\n")


def write(path: str, text: str) -> None:
    """Write a file whole."""
    new = Path(f"{path}.new")
    new.write_text(text, "utf-8")
    new.replace(path)


def stop_reason(folder: str) -> str:
    """Return why the supervisor ends this job."""
    with contextlib.suppress(OSError):
        if Path(folder, "stopping").read_text("utf-8").startswith("timed-out"):
            return "timed-out"
    return "stopped"
