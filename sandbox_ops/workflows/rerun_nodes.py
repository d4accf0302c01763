"""rerun of a run over several machines: all of its nodes again, on the same machines.

An attempt is the whole run's: one node alone could only wait for the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import SandboxError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine import environment, repo
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.runs import Run, number_of_gpus
from sandbox_ops.workflows import nodes, run_again, run_sync
from sandbox_ops.workflows.fleet import on_each
from sandbox_ops.workflows.nodes import NodesReport
from sandbox_ops.workflows.own_tree import OtherCode
from sandbox_ops.workflows.run_again import FoundRun


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesRerunReport:
    """The run that was started.

    Attributes:
        of: The node of the earlier run by which it was asked for.
        differs: What could not be the same, a line each.
    """

    started: NodesReport
    of: Run
    differs: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no node failed at once."""
        return self.started.ok

    def as_json(self) -> dict[str, Any]:
        """The report as `rerun --json` shows it."""
        return {
            **self.started.as_json(),
            "of": f"{self.of.sandbox}:{self.of.job.id}",
            "differs": list(self.differs),
        }


def rerun(  # noqa: PLR0913  # each is one choice
    machines: Sequence[Sandbox],
    project: Project,
    found: FoundRun,
    *,
    name: str = "",
    env: Mapping[str, str] | None = None,
    time_s: float | None = None,
    force: Sequence[str] = (),
    memory: ReliabilityFile,
    on_step: Callable[[str], None] = lambda _line: None,
    cancel: CancelToken | None = None,
) -> NodesRerunReport:
    """Start a run over several machines again as it was, or start it on none.

    Args:
        machines: Those of the run, in the order of the ranks.
        project: Whose clone it runs in, on each.
        found: The run, as `run_again.find` found it.
        name: Of the new run; "": that of the run.
        env: Variables for it: the values of the first time are recorded nowhere.
        time_s: Its deadline.
        force: Objections of `train` that only warn, by their names.
        memory: How reliable the machines were.
        on_step: As in `nodes.start`.
        cancel: As in `nodes.start`.

    Raises:
        NotFoundError: A machine has no clone.
        RefusedError: The commit, or the edits it ran with, cannot be had on a machine; or
            as `nodes.start` has it.
        SandboxError: A machine did not answer: nothing runs anywhere.
    """
    known = run_sync.known_runs(machines, project)
    runs = {m.config.name: _node_of(found.run, m, known) for m in machines}
    variables = environment.variables(project, env)

    def code(machine: Sandbox) -> OtherCode | None:
        clone = repo.cloned(machine, project)
        return run_again.code_of(machine, clone, runs[machine.config.name], known)

    def differences(machine: Sandbox) -> list[str]:
        now = environment.look(machine, project, repo.place(machine, project))
        return run_again.differences(
            runs[machine.config.name].record, now, machine.config.label, variables
        )

    differs = on_each(machines, differences, cancel=cancel)
    one = found.run
    report = nodes.start(
        machines,
        project,
        command=found.command,
        is_filled=True,
        name=name or one.job.name,
        settings=one.settings,
        time_s=time_s,
        gpus=number_of_gpus(one.record),
        force=(*force, "stale-code"),  # the code is the run's, whatever is newest here
        env=env,
        code=code,
        memory=memory,
        on_step=on_step,
        cancel=cancel,
    )
    gpus = {node.sandbox: node.job for node in report.nodes}
    lines = [
        f"{machine.config.name}: {line}"
        for machine, known_now in differs.items()
        if not isinstance(known_now, SandboxError)
        for line in (
            *known_now,
            *run_again.other_gpus(runs[machine.config.name], gpus[machine.config.name]),
        )
    ]
    warnings = tuple(w for w in report.warnings if ": stale-code:" not in w)
    return NodesRerunReport(
        started=replace(report, warnings=warnings), of=one, differs=tuple(lines)
    )


def _node_of(run: Run, machine: Sandbox, known: run_sync.Known) -> Run:
    """Return the node of the same run on that machine; the one that is known where it is gone."""
    for each in known.runs:
        is_there = each.sandbox == machine.config.name
        if is_there and _run_id(each) == _run_id(run):
            return each
    return run


def _run_id(run: Run) -> object:
    """Return what tells a run over several machines from all others; None where it is none."""
    nodes_of_run = run.record.get("nodes")
    return nodes_of_run.get("run") if isinstance(nodes_of_run, dict) else None
