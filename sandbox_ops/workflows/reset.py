"""reset: stop our jobs, rescue what was done there, go back to the upstream commit."""

from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.git import explanations
from sandbox_ops.machine import jobs, leases, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, MachineStatus, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows import outputs, own_tree, preflight
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.sync_refusals import refuse_other, remove_lock

NOT_MADE_YET = "refs/sandbox-ops/backup/..."


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetReport:
    """What a reset did, or would do.

    Attributes:
        sandbox: The name of the machine.
        stopped: Ids of the jobs, also of ended ones that had left processes.
        jobs: The same as they were before.
        backup_ref: What was there before; None where nothing could be lost.
        commit_before: Where the clone stood; "" before its first commit.
        commit_after: The upstream commit.
        dirty: Edits of tracked files that were rescued and undone.
        untracked: What git did not know, rescued and removed.
        unpushed: Commits that were never upstream, rescued.
        foreign: Who else uses the GPUs; nobody touched them.
        warnings: What could not be done.
        restore: What brings the rescued files back; None without any.
    """

    sandbox: str = ""
    stopped: tuple[str, ...] = ()
    jobs: tuple[Job, ...] = ()
    backup_ref: str | None = None
    commit_before: str
    commit_after: str
    dry_run: bool = False
    dirty: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    unpushed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    restore: NextStep | None = None

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    @property
    def moved(self) -> bool:
        """Whether the clone stands at another commit now."""
        return self.commit_before != self.commit_after

    def as_json(self) -> dict[str, Any]:
        """The report as `reset --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "stopped": list(self.stopped),
            "backup_ref": self.backup_ref,
            "commit_before": self.commit_before,
            "commit_after": self.commit_after,
            "dry_run": self.dry_run,
            "dirty": list(self.dirty),
            "untracked": list(self.untracked),
            "unpushed": list(self.unpushed),
            "foreign": list(self.foreign),
            "warnings": list(self.warnings),
            "restore": self.restore.command if self.restore else "",
        }


@acts_as(lambda options: "reset --dry-run" if options.get("dry_run") else "reset")
def reset(
    sandbox: Sandbox,
    project: Project,
    *,
    dry_run: bool = False,
    cancel: CancelToken | None = None,
) -> ResetReport:
    """Make the clone there what upstream is, and lose nothing by it.

    Ignored files and declared outputs stay where they are.

    Args:
        sandbox: The machine.
        project: Whose clone.
        dry_run: Change nothing, and say what would be done.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: Nothing can be rescued (git at work, a full disk), a job cannot be
            stopped, upstream cannot be reached, or somebody else changes the tree now.
            The tree was not touched then.
        NotFoundError: There is no clone yet, or no such branch upstream.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    if dry_run:
        return _reset(sandbox, project, dry_run=True)
    with leases.held(sandbox, repo.place(sandbox, project), "reset") as held:
        return _reset(held, project, dry_run=False)


def _reset(sandbox: Sandbox, project: Project, *, dry_run: bool) -> ResetReport:
    tree = repo.cloned(sandbox, project)
    keep = outputs.patterns(project)
    branch = explanations.check_branch(project.branch or tree.branch or "")
    refuse_other(tree, project, sandbox.config.label)
    _refuse_locked(tree, sandbox.config.label)
    status = jobs.status(sandbox, path=tree.path, tails=0)
    edits = outputs.edits_without(tree.edits, keep)
    to_stop = preflight.jobs_using(status.jobs, tree.path)
    to_stop += preflight.leftovers(status.jobs, tree.path)
    untracked = outputs.without(tree.untracked, keep)
    warnings: tuple[str, ...] = ()
    if dry_run:
        tip = repo.access(sandbox, "origin", branch, tree.path)
        would_lose = tree.edits or tree.unpushed or untracked or tree.operation
        backup = NOT_MADE_YET if would_lose else None
    else:
        tip = repo.fetch(sandbox, tree.path, branch, kept=True)
        warnings = _stop(sandbox, to_stop)
        backup = _go_back(sandbox, tree.path, branch, tip, keep) or None
    return ResetReport(
        sandbox=sandbox.config.name,
        stopped=tuple(job.id for job in to_stop),
        jobs=to_stop,
        backup_ref=backup,
        commit_before=tree.head or "",
        commit_after=tip,
        dry_run=dry_run,
        dirty=edits,
        untracked=untracked,
        unpushed=tree.unpushed,
        foreign=foreign(status),
        warnings=(*warnings, *_left_running(sandbox, project, status)),
        restore=_restore(backup, tree.path) if backup else None,
    )


def _left_running(
    sandbox: Sandbox, project: Project, status: MachineStatus
) -> tuple[str, ...]:
    """Return that runs in trees of their own go on: the reset takes nothing from them."""
    ids = [job.id for job in own_tree.running(status.jobs, sandbox, project)]
    return (f"in trees of their own, left running: {', '.join(ids)}",) if ids else ()


def _restore(backup: str, path: str) -> NextStep:
    command = f"git checkout {backup} -- ."
    return NextStep("run", {"cwd": path, "command": command}, "To have them back")


def foreign(status: MachineStatus) -> tuple[str, ...]:
    """Return who is at work there that is not ours, a line each. Pure."""
    claimed = {index for job in preflight.live(status.jobs) for index in job.gpus}
    gpus = (gpu for gpu in status.gpus or () if gpu.index not in claimed)
    busy = (preflight.gpu_busy(gpu, ()) for gpu in gpus)
    return (
        *(
            f"pid {p.pid} of {p.user}: {p.command}{f' in {p.cwd}' if p.cwd else ''}"
            for p in status.foreign
        ),
        *(use for use in busy if use),
    )


def _go_back(
    sandbox: Sandbox, path: str, branch: str, tip: str, keep: tuple[str, ...]
) -> str:
    """Rescue and reset, submodules first: their content is not in the outer tree."""
    for name in reversed(repo.submodules(sandbox, path)):
        repo.reset(sandbox, f"{path}/{name}", "", "HEAD")
    backup = repo.reset(sandbox, path, branch, tip, keep)
    repo.settle(sandbox, path, tip, keep)
    return backup


def _refuse_locked(tree: Tree, machine: str) -> None:
    if tree.lock:
        raise RefusedError(
            f"git is at work in {tree.path} on {machine}: {tree.lock} is held, "
            "so nothing can be rescued",
            remove_lock(tree),
        )


def _stop(sandbox: Sandbox, to_stop: tuple[Job, ...]) -> tuple[str, ...]:
    """Stop the jobs; return what could not be ended.

    Raises:
        RefusedError: A job still runs: it would write into the tree meanwhile.
    """
    warnings: list[str] = []
    for job in to_stop:
        report = jobs.stop(sandbox, job.id)
        if not report.job.state.ended:
            raise RefusedError(
                f"{job.id} is {report.job.words} and could not be stopped",
                NextStep("logs", {"job": job.id}, "See what holds it"),
            )
        warnings += [f"{job.id}: {line}" for line in report.left]
    return tuple(warnings)
