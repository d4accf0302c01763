"""train: look before the start, then start the training as a job of the machine."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import NextStep, SandboxError, UsageError
from sandbox_ops.machine import environment
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.objections import FORCE_NAMES
from sandbox_ops.workflows import (
    attempt_holes,
    nodes_list,
    record,
    slurm_nodes,
    template,
    torchrun,
)
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.own_tree import OtherCode
from sandbox_ops.workflows.preparation import RunPlan, prepare
from sandbox_ops.workflows.queueing import QueueOptions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """The training that was started.

    Attributes:
        sandbox: The name of the machine.
        commit: Of the code that it runs.
        first_lines: What it wrote first, where somebody waited for that.
    """

    sandbox: str = ""
    job: Job
    commit: str = ""
    warnings: tuple[str, ...] = ()
    first_lines: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it did not fail at once."""
        return self.job.state is not JobState.FAILED

    def as_json(self) -> dict[str, Any]:
        """The report as `train --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "job": self.job.as_json(),
            "commit": self.commit,
            "warnings": list(self.warnings),
            "first_lines": list(self.first_lines),
        }


@acts_as(lambda options: "train --" if options.get("command") else "train")
def train(  # noqa: PLR0913  # each is one fact of a training
    sandbox: Sandbox,
    project: Project,
    *,
    command: str = "",
    is_filled: bool = False,
    name: str = "",
    settings: Mapping[str, str] | None = None,
    time_s: float | None = None,
    gpus: int | None = None,
    force: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    no_env: bool = False,
    own_tree: bool = False,
    code: OtherCode | None = None,
    queue: QueueOptions | None = None,
    nodes: int = 0,
    by_torchrun: bool = False,
    cancel: CancelToken | None = None,
) -> TrainReport:
    """Start a training in the background and return it at once.

    Args:
        sandbox: The machine.
        project: Whose clone it runs in.
        command: A shell line; "" for the configured one.
        is_filled: It has no holes any more; the settings are only recorded.
        name: Of the job and of its link in logs/.
        settings: Fill the `{holes}` of the command.
        time_s: The job's deadline.
        gpus: How many free GPUs it takes; None: one, where the machine has any.
        force: Objections that only warn, by their names.
        env: Variables for it; their values are in no argument list, record or log.
        no_env: Leave out what `setup` made and the project's variables.
        own_tree: It runs in a tree of its own, which no sync changes.
        code: What it runs there in place of what the clone has.
        queue: It may wait in the machine's queue; None: it starts at once, or is refused.
        nodes: Over how many nodes of a Slurm cluster; 0: one, as everywhere.
        by_torchrun: Have torchrun run the command, a process for each GPU.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: A GPU is busy, the GPU driver does not answer, the code there is not the code here, the disk is
            low, a job of that name runs, or one that writes the same file: names each, and how to go on.
        UsageError: No command, a hole without a setting, a name that cannot be, or several
            nodes of one machine.
        NotFoundError: There is no clone yet.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    slurm_nodes.check(sandbox, nodes)
    if not is_filled:
        fill = filler(project, command, by_torchrun=by_torchrun, nodes=nodes, gpus=gpus)
        command = fill(settings or {}, name)
    check(name, gpus, force)
    run = RunPlan(command, settings or {}, name)
    ready = prepare(
        sandbox,
        project,
        [run],
        gpus=gpus,
        force=force,
        queue=queue,
        no_env=no_env,
        own_tree=own_tree,
        code=code,
    )
    of_nodes = {"nodes": nodes} if nodes > 1 else None
    options = ready.job_options(run, env=env, time_s=time_s, force=force, more=of_nodes)
    if nodes > 1:
        command = slurm_nodes.over(command, nodes, gpus, options)
    nodes_list.forget(project, name)
    with ready.place(run).made(sandbox) as notes:
        job = sandbox.start(command, **options)
    return TrainReport(
        sandbox=sandbox.config.name,
        job=job,
        commit=ready.tree.head or "",
        warnings=(*ready.warnings, *notes, *link_logs(sandbox, ready.tree.path, [job])),
    )


def filled(
    project: Project, command: str, settings: Mapping[str, str], name: str = ""
) -> str:
    """Return the command to run, or the configured one, with its settings filled in.

    Raises:
        UsageError: There is none, or a hole or a setting is left over.
    """
    if command.strip():
        return template.fill_given(attempt_holes.fill(command), settings, name)
    if project.train_command.strip():
        return template.fill(attempt_holes.fill(project.train_command), settings, name)
    raise UsageError(
        "no training command: none is given, and none is configured",
        NextStep("train", {"command": "python train.py"}, "Give one"),
        "Or set `command` under [project.train] in sandbox.toml.",
    )


def filler(
    project: Project,
    command: str,
    *,
    by_torchrun: bool = False,
    nodes: int = 0,
    gpus: int | None = None,
) -> Callable[[Mapping[str, str], str], str]:
    """Return what fills the settings and the name of a job into the command, as `train` does."""

    def fill(settings: Mapping[str, str], name: str) -> str:
        line = filled(project, command, settings, name)
        if not by_torchrun:
            return line
        return torchrun.command(line, "" if nodes > 1 else torchrun.alone(gpus))

    return fill


def check(name: str, gpus: int | None, force: Sequence[str]) -> None:
    """Refuse a name, a number of GPUs or an objection that cannot be.

    Raises:
        UsageError: Names it.
    """
    if name and not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a job",
            "A name has up to 64 letters, digits and ._- and begins with no sign.",
        )
    if gpus is not None and gpus < 0:
        raise UsageError(f"the number of GPUs cannot be {gpus}")
    unknown = [each for each in force if each not in FORCE_NAMES]
    if unknown:
        raise UsageError(
            f"there is nothing to force by the name {unknown[0]!r}",
            f"Names: {', '.join(FORCE_NAMES)}",
        )


def link_logs(sandbox: Sandbox, path: str, jobs: Sequence[Job]) -> tuple[str, ...]:
    """Link logs into the project's logs folder; a job runs without that as well.

    Returns:
        What went wrong, as warnings.
    """
    links = {record.log_name(job): job.log_path for job in jobs}
    try:
        environment.link_logs(sandbox, path, links)
    except SandboxError as error:
        return (f"no link to the log in {path}/logs: {error.message}",)
    return ()
