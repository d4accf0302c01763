"""What trainings have in common before they start: one look at the machine, its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox_ops.errors import NextStep
from sandbox_ops.git import local
from sandbox_ops.machine import environment, jobs, repo
from sandbox_ops.machine.environment import Environment
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Gpu, MachineStatus, Project
from sandbox_ops.models.options import JobOptions
from sandbox_ops.models.queue import QueueRequest
from sandbox_ops.workflows import outputs, queueing, record, train_objections
from sandbox_ops.workflows.queueing import QueueOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """All that was found out for the jobs that are about to start.

    Attributes:
        machine: What the machine is called.
        gpus: What a job takes that starts at once; none where the machine chooses later.
        queue: What each waits for in the machine's queue; None: it starts at once.
        warnings: What is said beside the start.
    """

    project: Project
    machine: str
    tree: Tree
    environment: Environment
    patch: bytes | None
    gpus: tuple[Gpu, ...]
    queue: QueueRequest | None = None
    warnings: tuple[str, ...] = ()

    def job_options(  # each is one fact of a job
        self,
        command: str,
        *,
        name: str,
        settings: Mapping[str, str],
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
            gpus=self.gpus,
            env_names=tuple(env or ()),
        )
        return JobOptions(
            name=name,
            description=f"train {self.project.name}",
            cwd=self.tree.path,
            env=env,
            timeout_s=time_s,
            unique_name=unique_name,
            gpus=[gpu.index for gpu in self.gpus],
            queue=self.queue,
            project_path=self.tree.path,
            files=record.files(run_record | dict(cell or {}), self.patch),
        )


def prepare(
    sandbox: Sandbox,
    project: Project,
    *,
    gpus: int | None,
    force: Sequence[str],
    queue: QueueOptions | None,
) -> Preparation:
    """Look once for all jobs that are about to start.

    Args:
        sandbox: The machine.
        project: Whose clone they run in.
        gpus: How many free GPUs each takes; None: one, where the machine has any.
        force: Objections that only warn, by their names.
        queue: They may wait in the machine's queue; None: one starts at once.

    Raises:
        RefusedError: As `train` has it.
        NotFoundError: There is no clone yet.
    """
    tree = repo.cloned(sandbox, project)
    local_tree = local.look(project.root, project.branch) if project.root else None
    status = jobs.status(sandbox, path=tree.path, tails=0)
    chosen, objections = train_objections.choose(status, gpus)
    at_once = queueing.Plan(gpus=chosen, objections=objections)
    plan = queueing.plan(sandbox, queue, status, gpus, at_once)
    objections = (
        *plan.objections,
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
        gpus=plan.gpus,
        queue=plan.queue,
        warnings=(*warnings, *_warnings(status, installed, gpus)),
    )


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
