"""What trainings have in common before they start: one look at the machine, its verdict."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sandbox_ops.errors import NextStep
from sandbox_ops.git import local
from sandbox_ops.machine import environment, jobs, repo
from sandbox_ops.machine.environment import Environment
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Gpu, MachineStatus, Project
from sandbox_ops.models.options import JobOptions
from sandbox_ops.models.queue import QueueRequest
from sandbox_ops.workflows import (
    outputs,
    queueing,
    record,
    run_files,
    ssh_sync,
    train_objections,
)
from sandbox_ops.workflows import own_tree as own_trees
from sandbox_ops.workflows.own_tree import OtherCode, RunPlace
from sandbox_ops.workflows.queueing import QueueOptions


class RunPlan(NamedTuple):
    """One training that is about to start: its command with all settings, and its name."""

    command: str
    settings: Mapping[str, str]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """All that was found out for the jobs that are about to start.

    Attributes:
        machine: What the machine is called.
        gpus: What a job takes that starts at once; none where the machine chooses later.
        queue: What each waits for in the machine's queue; None: it starts at once.
        warnings: What is said beside the start.
        no_env: They leave out what `setup` made and the project's variables.
        cost_per_hour: What an hour of the machine costs now, for the run record.
        places: Where those work that have trees of their own, by the names of the runs.
    """

    project: Project
    machine: str
    tree: Tree
    environment: Environment
    patch: bytes | None
    gpus: tuple[Gpu, ...]
    queue: QueueRequest | None = None
    warnings: tuple[str, ...] = ()
    no_env: bool = False
    cost_per_hour: float | None = None
    places: Mapping[str, RunPlace] = field(default_factory=dict)

    def place(self, run: RunPlan) -> RunPlace:
        """Return where one of the jobs works."""
        in_clone = RunPlace(root=self.tree.path, clone=self.tree)
        return self.places.get(run.name, in_clone)

    def job_options(
        self,
        run: RunPlan,
        *,
        env: Mapping[str, str] | None,
        time_s: float | None,
        force: Sequence[str],
        more: Mapping[str, object] | None = None,
    ) -> JobOptions:
        """Return how one of the jobs is started, with its run record.

        Args:
            run: What it is.
            env: Variables for it.
            time_s: Its deadline.
            force: What only warns, by its name.
            more: For its record: the group and the cell.
        """
        declared = _declared(self.project, run)
        where = self.place(run)
        if self.no_env:
            variables, use = dict(env or {}), ""
        else:
            variables = environment.variables(self.project, env)
            use = environment.use(self.project, self.tree.path, where.root)
        variables = where.variables(variables)
        price = {"cost_per_hour": self.cost_per_hour} if self.cost_per_hour else {}
        run_record = price | record.run_record(
            tree=replace(self.tree, path=where.root),
            environment=self.environment,
            command=run.command,
            settings=run.settings,
            machine=self.machine,
            gpus=self.gpus,
            gpus_wanted=self.queue.gpus if self.queue else None,
            env_names=tuple(variables),
            outputs=declared,
        )
        writes = run_files.written(run.command, where.root, declared)
        return JobOptions(
            name=run.name,
            description=f"train {self.project.name}",
            cwd=where.root,
            env=variables,
            environment=use,
            timeout_s=time_s,
            unique_name="same-name" not in force,
            gpus=[gpu.index for gpu in self.gpus],
            queue=self.queue,
            project_path=where.root,
            files=record.files(run_record | dict(more or {}), self.patch)
            | where.files(declared),
            commit=self.tree.head or "",
            writes=() if "same-output" in force else writes,
        )


def _declared(project: Project, run: RunPlan) -> tuple[str, ...]:
    return run_files.declared(project, run.command, run.settings, run.name)


def prepare(  # noqa: PLR0913  # each is one choice
    sandbox: Sandbox,
    project: Project,
    runs: Sequence[RunPlan],
    *,
    gpus: int | None,
    force: Sequence[str],
    queue: QueueOptions | None,
    no_env: bool = False,
    own_tree: bool = False,
    code: OtherCode | None = None,
) -> Preparation:
    """Look once for all jobs that are about to start.

    Args:
        sandbox: The machine.
        project: Whose clone they run in.
        runs: What they are.
        gpus: How many free GPUs each takes; None: one, where the machine has any.
        force: Objections that only warn, by their names.
        queue: They may wait in the machine's queue; None: one starts at once.
        no_env: They leave out what `setup` made and the project's variables.
        own_tree: Each works in a tree of its own; so it is, too, where that is configured.
        code: What they run in place of what the clone has: in trees of their own.

    Raises:
        RefusedError: As `train` has it; or two of them would write the same file.
        NotFoundError: There is no clone yet.
    """
    tree = repo.cloned(sandbox, project)
    tree = code.instead_of(tree) if code else tree
    local_tree = (
        local.look(project.root, project.branch, outputs.patterns(project))
        if project.root
        else None
    )
    local_tree = ssh_sync.as_synced(local_tree, tree.head)
    status = jobs.status(sandbox, path=tree.path, tails=0, project_path=tree.path)
    chosen, objections = train_objections.choose(status, gpus)
    at_once = queueing.Plan(gpus=chosen, objections=objections)
    plan = queueing.plan(sandbox, queue, status, gpus, at_once)
    places = {
        run.name: own_trees.place(
            sandbox,
            project,
            tree,
            own=own_tree or code is not None,
            patch_of=code.patch_of if code else "",
        )
        for run in runs
    }
    writes = {
        run.name: run_files.written(
            run.command, places[run.name].root, _declared(project, run)
        )
        for run in runs
    }
    every = frozenset(itertools.chain(*writes.values()))
    objections = (
        *plan.objections,
        *run_files.shared(every, status.jobs, tree.path),
        *run_files.shared_within(writes, tree.path),
        *train_objections.code_objections(tree, local_tree, outputs.patterns(project)),
        *train_objections.disk_objections(
            status, project.train_output_size_gb, len(runs)
        ),
    )
    warnings = train_objections.overridden(objections, force)
    installed = environment.look(sandbox, project, tree.path)
    return Preparation(
        project=project,
        machine=sandbox.config.label,
        tree=tree,
        environment=installed,
        patch=_patch(sandbox, tree, code),
        gpus=plan.gpus,
        queue=plan.queue,
        no_env=no_env,
        cost_per_hour=sandbox.config.cost_per_hour,
        places=places,
        warnings=(
            *warnings,
            *_warnings(status, installed, 0 if sandbox.config.by_slurm else gpus),
        ),
    )


def _patch(sandbox: Sandbox, tree: Tree, code: OtherCode | None) -> bytes | None:
    """Return the edits that are recorded with the runs."""
    if code:
        return code.patch
    return repo.patch(sandbox, tree.path) if tree.edits else None


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
