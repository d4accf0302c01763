"""rerun: the same commit, command, settings and environment again, and what is not the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.machine import environment, repo
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.models.runs import Run, number_of_gpus
from sandbox_ops.workflows import run_again
from sandbox_ops.workflows.run_again import FoundRun
from sandbox_ops.workflows.train import train


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunReport:
    """The job that was started.

    Attributes:
        of: The run that it repeats.
        differs: What could not be the same, a line each.
    """

    sandbox: str
    job: Job
    of: Run
    differs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `rerun --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "job": self.job.as_json(),
            "of": self.of.job.id,
            "differs": list(self.differs),
            "warnings": list(self.warnings),
        }


def rerun(
    sandbox: Sandbox,
    project: Project,
    run: str | FoundRun,
    *,
    name: str = "",
    env: Mapping[str, str] | None = None,
    time_s: float | None = None,
    force: Sequence[str] = (),
) -> RerunReport:
    """Start a run again as it was, with the commit, command and settings of its record.

    Args:
        sandbox: The machine to run it on; the run may have been another's.
        project: Whose runs.
        run: Its id, number or name, `last`, `t1/3`, or `gpu1:remote-3`; or as it was found.
        name: Of the new job; "": that of the run.
        env: Variables for it: the values of the first time are recorded nowhere.
        time_s: The new job's deadline.
        force: Objections of `train` that only warn, by their names.

    Raises:
        NotFoundError: There is no such run, or no clone.
        RefusedError: The commit, or the edits it ran with, cannot be had there; `train`
            refuses; or it was one node of a run over several: see `rerun_nodes`.
    """
    found = run_again.find(sandbox, project, run) if isinstance(run, str) else run
    one = found.run
    if found.machines:
        raise RefusedError(
            f"{one.job.id} was one node of a run over {', '.join(found.machines)}",
            NextStep("rerun", {"run": one.job.id}, "Start it on all of them again"),
        )
    code = run_again.code_of(sandbox, repo.cloned(sandbox, project), one, found.known)
    path = repo.place(sandbox, project)
    installed = environment.look(sandbox, project, path)
    report = train(
        sandbox,
        project,
        command=found.command,
        is_filled=True,
        code=code,
        settings=one.settings,
        name=name or one.job.name,
        env=env,
        time_s=time_s,
        gpus=number_of_gpus(one.record),
        nodes=found.nodes,
        force=(*force, "stale-code"),  # the code is the run's, whatever is newest here
    )
    return RerunReport(
        sandbox=sandbox.config.name,
        job=report.job,
        of=one,
        differs=tuple(
            run_again.differences(
                one.record,
                installed,
                sandbox.config.label,
                environment.variables(project, env),
            )
        )
        + run_again.other_gpus(one, report.job),
        warnings=tuple(w for w in report.warnings if not w.startswith("stale-code:")),
    )
