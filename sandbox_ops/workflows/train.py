"""train: look before the start, then start the training as a job of the machine."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import RefusedError, SandboxError, UsageError
from sandbox_ops.git import local
from sandbox_ops.git.local import LocalTree
from sandbox_ops.machine import environment, jobs, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import Gpu, Job, MachineStatus, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.objections import FORCE_NAMES
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.sandbox import Sandbox
from sandbox_ops.workflows import preflight, record, template

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """The training that was started."""

    job: Job
    warnings: tuple[str, ...] = ()
    sandbox: str = ""

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `train --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "job": self.job.as_json(),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A reason not to start, and the name by which it can be overridden."""

    force: str
    message: str
    hint: str


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
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: A GPU is busy, the code there is not the code here, the disk is
            low, or a job of that name runs: names each, and how to go on.
        UsageError: No command, a hole without a setting, or a name that cannot be.
        NotFoundError: There is no clone yet.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    command = _command(project, command, settings or {})
    _check(name, gpus, force)
    tree = repo.cloned(sandbox, project)
    here = local.look(project.root, project.branch) if project.root else None
    status = jobs.status(sandbox, path=tree.path, tails=0)
    chosen, objections = choose(status, gpus)
    objections = (*objections, *stale(tree, here), *low(status))
    warnings = _overridden(objections, force)

    found = environment.look(sandbox, project, tree.path)
    made = record.run_record(
        tree=tree,
        environment=found,
        command=command,
        settings=settings or {},
        machine=sandbox.config.label,
        gpus=chosen,
    )
    patch = repo.patch(sandbox, tree.path) if tree.edits else None
    job = sandbox.start(
        command,
        name=name,
        description=f"train {project.name}",
        cwd=tree.path,
        timeout_s=time_s,
        unique_name="same-name" not in force,
        gpus=[gpu.index for gpu in chosen],
        project_path=tree.path,
        files=record.files(made, patch),
    )
    warnings += (*_odd(status, found, gpus), *_link(sandbox, tree.path, job))
    return TrainReport(job=job, warnings=warnings, sandbox=sandbox.config.name)


def choose(
    status: MachineStatus, wanted: int | None
) -> tuple[tuple[Gpu, ...], tuple[Objection, ...]]:
    """Return the GPUs to take, and what speaks against it. Pure.

    Busy ones come after the free ones, for who forces it; claimed ones are never taken.
    """
    found = status.gpus or ()
    number = min(1, len(found)) if wanted is None else wanted
    busy = {gpu.index: preflight.gpu_busy(gpu, status.jobs) for gpu in found}
    free = [gpu for gpu in found if not busy[gpu.index]]
    if len(free) >= number:
        return tuple(free[:number]), ()
    claimed = {index for job in preflight.live(status.jobs) for index in job.gpus}
    shared = [gpu for gpu in found if busy[gpu.index] and gpu.index not in claimed]
    shared.sort(key=lambda gpu: gpu.memory_used_mib or 0)
    chosen = (free + shared)[:number]
    why = tuple(words for words in busy.values() if words) or (
        status.gpu_error or "the machine has none",
    )
    objection = Objection(
        force="busy-gpu",
        message=listed(f"{number} GPUs are wanted, {len(free)} are free:", why),
        hint="Wait, or see who it is: sandbox-ops monitor",
    )
    return (tuple(chosen) if len(chosen) == number else ()), (objection,)


def stale(tree: Tree, here: LocalTree | None) -> tuple[Objection, ...]:
    """Return how the code there is not the code here, or not upstream's. Pure."""
    reasons = []
    if tree.edits:
        reasons.append(listed(f"there are edits in {tree.path}:", tree.edits))
    if here and here.commit and here.commit != tree.head:
        reasons.append(
            f"{tree.path} is at {(tree.head or 'no commit')[:10]}, "
            f"{here.branch} here at {here.commit[:10]}"
        )
    if here and here.edits:
        reasons.append(listed("edits here are not committed:", here.edits))
    found = []
    if reasons:
        fix = "sandbox-ops reset" if tree.edits else "sandbox-ops sync --push"
        found.append(
            Objection(
                force="stale-code", message="\n".join(reasons), hint=f"Try: {fix}"
            )
        )
    if tree.unpushed:
        found.append(
            Objection(
                force="unpushed",
                message=listed("commits there are not upstream:", tree.unpushed),
                hint="Rescue and undo them: sandbox-ops reset",
            )
        )
    return tuple(found)


def low(status: MachineStatus) -> tuple[Objection, ...]:
    """Return the lack of room, if there is one. Pure."""
    short = preflight.disk_low(status.disk)
    if not short:
        return ()
    hint = "Make room there: sandbox-ops run -- du -xh --max-depth=2 ."
    return (Objection(force="disk-low", message=short, hint=hint),)


def _command(project: Project, command: str, settings: Mapping[str, str]) -> str:
    if command.strip():
        return template.fill_given(command, settings)
    if project.train_command.strip():
        return template.fill(project.train_command, settings)
    raise UsageError(
        "no training command: none is given, and none is configured",
        "sandbox-ops train -- python train.py   or set `command` under [project.train]",
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


def _overridden(
    objections: Iterable[Objection], force: Sequence[str]
) -> tuple[str, ...]:
    """Return the forced objections as warnings.

    Raises:
        RefusedError: Some are not forced; says all of them, and how each is.
    """
    objections = tuple(objections)
    left = [each for each in objections if each.force not in force]
    if left:
        hints = dict.fromkeys(each.hint for each in left)
        forcing = " ".join(f"--force {each.force}" for each in left)
        raise RefusedError(
            "\n".join(each.message for each in left),
            "\n".join([*hints, f"Start all the same: sandbox-ops train {forcing} ..."]),
        )
    return tuple(f"{each.force}: {each.message}" for each in objections)


def _odd(
    status: MachineStatus, found: environment.Environment, gpus: int | None
) -> tuple[str, ...]:
    warnings = []
    if status.gpus is None and gpus != 0:
        warnings.append(
            f"the GPUs were not checked: {status.gpu_error or 'none found'}"
        )
    if not found.is_current:
        warnings.append(
            "the environment was not set up for this code: sandbox-ops setup"
        )
    return tuple(warnings)


def _link(sandbox: Sandbox, path: str, job: Job) -> tuple[str, ...]:
    """Link the log into the project's logs folder; the job runs without it as well."""
    try:
        environment.link_log(sandbox, path, record.log_name(job), job.log_path)
    except SandboxError as error:
        return (f"no link to the log in {path}/logs: {error.message}",)
    return ()
