"""train: look before the start, then start the training as a job of the machine."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import NextStep, SandboxError, UsageError
from sandbox_ops.git import local
from sandbox_ops.machine import environment, jobs, repo
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState, MachineStatus, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.objections import FORCE_NAMES
from sandbox_ops.workflows import outputs, record, template, train_objections
from sandbox_ops.workflows.acting import acts_as

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
    name: str = "",
    settings: Mapping[str, str] | None = None,
    time_s: float | None = None,
    gpus: int | None = None,
    force: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cancel: CancelToken | None = None,
) -> TrainReport:
    """Start a training in the background and return it at once.

    Args:
        sandbox: The machine.
        project: Whose clone it runs in.
        command: A shell line; "" for the configured one.
        name: Of the job and of its link in logs/.
        settings: Fill the `{holes}` of the command.
        time_s: The job's deadline.
        gpus: How many free GPUs it takes; None: one, where the machine has any.
        force: Objections that only warn, by their names.
        env: Variables for it; their values are in no argument list, record or log.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: A GPU is busy, the GPU driver does not answer, the code there is not the code here, the disk is
            low, or a job of that name runs: names each, and how to go on.
        UsageError: No command, a hole without a setting, or a name that cannot be.
        NotFoundError: There is no clone yet.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    command = _command(project, command, settings or {})
    _check(name, gpus, force)
    tree = repo.cloned(sandbox, project)
    local_tree = local.look(project.root, project.branch) if project.root else None
    status = jobs.status(sandbox, path=tree.path, tails=0)
    chosen, objections = train_objections.choose(status, gpus)
    objections = (
        *objections,
        *train_objections.code_objections(tree, local_tree, outputs.patterns(project)),
        *train_objections.disk_objections(status),
    )
    warnings = train_objections.overridden(objections, force)

    installed = environment.look(sandbox, project, tree.path)
    run_record = record.run_record(
        tree=tree,
        environment=installed,
        command=command,
        settings=settings or {},
        machine=sandbox.config.label,
        gpus=chosen,
        env_names=tuple(env or ()),
    )
    patch = repo.patch(sandbox, tree.path) if tree.edits else None
    job = sandbox.start(
        command,
        name=name,
        description=f"train {project.name}",
        cwd=tree.path,
        env=env,
        timeout_s=time_s,
        unique_name="same-name" not in force,
        gpus=[gpu.index for gpu in chosen],
        project_path=tree.path,
        files=record.files(run_record, patch),
    )
    warnings += (*_warnings(status, installed, gpus), *_link(sandbox, tree.path, job))
    return TrainReport(
        sandbox=sandbox.config.name, job=job, commit=tree.head or "", warnings=warnings
    )


def _command(project: Project, command: str, settings: Mapping[str, str]) -> str:
    if command.strip():
        return template.fill_given(command, settings)
    if project.train_command.strip():
        return template.fill(project.train_command, settings)
    raise UsageError(
        "no training command: none is given, and none is configured",
        NextStep("train", {"command": "python train.py"}, "Give one"),
        "Or set `command` under [project.train] in sandbox.toml.",
    )


def _check(name: str, gpus: int | None, force: Sequence[str]) -> None:
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
            f"nothing is forced by the name {unknown[0]!r}",
            f"Names: {', '.join(FORCE_NAMES)}",
        )


def _warnings(
    status: MachineStatus, installed: environment.Environment, gpus: int | None
) -> tuple[str, ...]:
    warnings = []
    if status.gpus is None and gpus != 0:
        warnings.append(
            f"the GPUs were not checked: {status.gpu_error or 'none found'}"
        )
    if not installed.is_current:
        warnings.append(
            str(
                NextStep(
                    "setup", purpose="the environment was not set up for this code"
                )
            )
        )
    return tuple(warnings)


def _link(sandbox: Sandbox, path: str, job: Job) -> tuple[str, ...]:
    """Link the log into the project's logs folder; the job runs without it as well."""
    try:
        environment.link_log(sandbox, path, record.log_name(job), job.log_path)
    except SandboxError as error:
        return (f"no link to the log in {path}/logs: {error.message}",)
    return ()
