"""What trainings have in common before they start: one look at the machine, its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.git import local
from sandbox_ops.machine import environment, jobs, repo
from sandbox_ops.machine.environment import Environment
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Gpu, MachineStatus, Project
from sandbox_ops.models.options import JobOptions
from sandbox_ops.workflows import outputs, record, train_objections


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """All that was found out for the jobs that are about to start.

    Attributes:
        machine: What the machine is called.
        gpus: For each job that can start now: those it takes.
        shortage: Why no more of them can; None where all can.
        warnings: What is said beside the start.
    """

    project: Project
    machine: str
    tree: Tree
    environment: Environment
    patch: bytes | None
    gpus: tuple[tuple[Gpu, ...], ...]
    warnings: tuple[str, ...] = ()
    shortage: RefusedError | None = field(default=None, compare=False)

    def job_options(  # each is one fact of a job
        self,
        command: str,
        *,
        name: str,
        settings: Mapping[str, str],
        gpus: Sequence[Gpu],
        env: Mapping[str, str] | None,
        time_s: float | None,
        unique_name: bool,
        cell: Mapping[str, object] | None = None,
    ) -> JobOptions:
        """Return how one of the jobs is started, with its run record.

        Args:
            command: With its settings filled in.
            name: Of the job and of its link in logs/.
            settings: That fill the holes of the command.
            gpus: That it takes.
            env: Variables for it.
            time_s: Its deadline.
            unique_name: Whether no other job of that name may live.
            cell: More for its record: the group and the cell.
        """
        run_record = record.run_record(
            tree=self.tree,
            environment=self.environment,
            command=command,
            settings=settings,
            machine=self.machine,
            gpus=gpus,
            env_names=tuple(env or ()),
        )
        return JobOptions(
            name=name,
            description=f"train {self.project.name}",
            cwd=self.tree.path,
            env=env,
            timeout_s=time_s,
            unique_name=unique_name,
            gpus=[gpu.index for gpu in gpus],
            project_path=self.tree.path,
            files=record.files(run_record | dict(cell or {}), self.patch),
        )


def prepare(
    sandbox: Sandbox,
    project: Project,
    *,
    gpus: int | None,
    force: Sequence[str],
    n_jobs: int = 1,
) -> Preparation:
    """Look once for all jobs that are about to start.

    Args:
        sandbox: The machine.
        project: Whose clone they run in.
        gpus: How many free GPUs each takes; None: one, where the machine has any.
        force: Objections that only warn, by their names.
        n_jobs: How many there are.

    Raises:
        RefusedError: As `train` has it, for the first of them.
        NotFoundError: There is no clone yet.
    """
    tree = repo.cloned(sandbox, project)
    local_tree = local.look(project.root, project.branch) if project.root else None
    status = jobs.status(sandbox, path=tree.path, tails=0)
    chosen, gpu_objections, shortage = _choose(status, gpus, force, n_jobs)
    objections = (
        *gpu_objections,
        *train_objections.code_objections(tree, local_tree, outputs.patterns(project)),
        *train_objections.disk_objections(status),
    )
    warnings = train_objections.overridden(objections, force)
    installed = environment.look(sandbox, project, tree.path)
    return Preparation(
        project=project,
        machine=sandbox.config.label,
        tree=tree,
        environment=installed,
        patch=repo.patch(sandbox, tree.path) if tree.edits else None,
        gpus=chosen,
        warnings=(*warnings, *_warnings(status, installed, gpus)),
        shortage=shortage,
    )


def _choose(
    status: MachineStatus, gpus: int | None, force: Sequence[str], n_jobs: int
) -> tuple[
    tuple[tuple[Gpu, ...], ...],
    tuple[train_objections.Objection, ...],
    RefusedError | None,
]:
    """Return the GPUs of each job, what speaks against the first, and against the next."""
    chosen, objections = train_objections.choose(status, gpus)
    each = [chosen]
    taken = {gpu.index for gpu in chosen}
    while len(each) < n_jobs:
        more, against = train_objections.choose(status, gpus, taken)
        try:
            train_objections.overridden(against, force)
        except RefusedError as error:
            return tuple(each), objections, error
        each.append(more)
        taken |= {gpu.index for gpu in more}
    return tuple(each), objections, None


def _warnings(
    status: MachineStatus, installed: Environment, gpus: int | None
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
