"""sync: bring the clone on the sandbox to the local commit, by way of the git remote."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox_ops.errors import SandboxError
from sandbox_ops.git import explanations, local
from sandbox_ops.git.local import LocalTree, Upstream
from sandbox_ops.machine import jobs, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.workflows import outputs, preflight, sync_refusals
from sandbox_ops.workflows.acting import acts_as


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did.

    Attributes:
        sandbox: The name of the machine.
        branch: The branch that is checked out there now.
        commit_before: Where the clone stood; "" before its first commit.
        commit_after: Where it stands, verified.
        pushed: Whether local commits were pushed.
        warnings: Non-fatal: what the user may want to know.
    """

    sandbox: str = ""
    branch: str
    commit_before: str
    commit_after: str
    pushed: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `sync --json` shows it."""
        return asdict(self) | {"warnings": list(self.warnings)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What the clone is to become.

    Attributes:
        branch: The branch.
        commit: None: what is upstream.
        push: What has to be pushed first, and where to; None: nothing.
    """

    branch: str
    commit: str | None = None
    push: tuple[LocalTree, str] | None = None
    warnings: tuple[str, ...] = field(default=())


@acts_as(lambda _options: "sync")
def sync(
    sandbox: Sandbox,
    project: Project,
    *,
    push: bool = False,
    cancel: CancelToken | None = None,
) -> SyncReport:
    """Bring the clone there to the local commit; verify that it got there.

    Args:
        sandbox: The machine.
        project: With its local root, or without one: then upstream's commit it is.
        push: Push local commits, never by force, once nothing there is in the way.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: Edits or unpushed commits here or there, jobs that use the tree,
            files in the way; names them, and what to do. Nothing was changed there.
        NotFoundError: There is no clone yet.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    target = _local_target(project, push=push) if project.root else None
    tree = repo.cloned(sandbox, project)
    if target is None:
        branch = explanations.check_branch(project.branch or tree.branch or "")
        why = f"no local clone here: took what {branch} is upstream"
        target = _Target(branch=branch, warnings=(why,))
    status = jobs.status(sandbox, path=tree.path, tails=0)
    sync_refusals.refuse_changed(tree, project, sandbox.config.label)
    sync_refusals.refuse_used(preflight.jobs_using(status.jobs, tree.path), tree.path)

    if target.push is not None:
        with sandbox.acting("push", f"{target.branch} to {target.push[1]}"):
            local.push(*target.push)
    try:
        commit, backup = _move(sandbox, project, tree, target)
    except SandboxError as error:
        if target.push is not None:
            error.hints = (*error.hints, f"{target.branch} was pushed before that.")
        raise
    return SyncReport(
        sandbox=sandbox.config.name,
        branch=target.branch,
        commit_before=tree.head or "",
        commit_after=commit,
        pushed=target.push is not None,
        warnings=(*target.warnings, *_kept_commit(tree, target.branch, backup)),
    )


def _move(
    sandbox: Sandbox, project: Project, tree: Tree, target: _Target
) -> tuple[str, str]:
    """Bring the clone to the target; return its commit, and what keeps the old one."""
    tip = repo.fetch(sandbox, tree.path, target.branch, target.commit or "")
    commit = target.commit or tip
    backup = repo.checkout(sandbox, tree, target.branch, commit)
    repo.settle(sandbox, tree.path, commit, outputs.patterns(project))
    return commit, backup


def _kept_commit(tree: Tree, branch: str, backup: str) -> tuple[str, ...]:
    if not backup:
        return ()
    if tree.branch not in (None, branch):
        why = f"{(tree.head or '')[:10]} of {tree.branch} is on no branch upstream"
    else:
        why = "upstream was rewritten"
    return (f"{why}; the old commit is kept there as {backup}",)


def _local_target(project: Project, *, push: bool) -> _Target:
    """Return what is to be synced, and whether it has to be pushed first."""
    tree = local.look(project.root or "", project.branch)
    sync_refusals.refuse_edited(tree)
    upstream = local.compare(tree, project)
    sync_refusals.refuse_diverged(tree, upstream)
    must_push = bool(upstream.unpushed) or upstream.tip is None
    if must_push and not push:
        sync_refusals.refuse_unpushed(tree, upstream)
    return _Target(
        branch=tree.branch,
        commit=tree.commit,
        push=(tree, upstream.remote) if must_push else None,
        warnings=tuple(_warnings(tree, upstream)),
    )


def _warnings(tree: LocalTree, upstream: Upstream) -> list[str]:
    warnings = []
    if tree.untracked:
        warnings.append(
            listed("files that git does not know stay here:", tree.untracked, limit=5)
        )
    if upstream.behind and tree.commit:
        warnings.append(
            f"{upstream.remote} is {upstream.behind} commits ahead of this clone; "
            f"synced to yours. To have them: git pull {upstream.remote} {tree.branch}"
        )
    if tree.checked_out != tree.branch:
        now = tree.checked_out or "a detached HEAD"
        warnings.append(f"synced {tree.branch}, while {now} is checked out here")
    return warnings
