"""sync: bring the clone on the sandbox to the local commit, by way of the git remote."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from sandbox_ops.errors import NextStep, SandboxError, UsageError
from sandbox_ops.git import explanations
from sandbox_ops.git.local import LocalTree
from sandbox_ops.machine import jobs, leases, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows import outputs, preflight, ssh_sync, sync_refusals
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.sync_target import Target, local_target, warnings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did.

    Attributes:
        sandbox: The name of the machine.
        branch: The branch that is checked out there now.
        commit_before: Where the clone stood; "" before its first commit.
        commit_after: Where it stands, verified.
        pushed: Whether local commits were pushed.
        base_commit: What the commit stands on, where it holds what was not committed
            here; else "".
        patch_sha256: Of the patch from that one to it; else "".
        warnings: Non-fatal: what the user may want to know.
    """

    sandbox: str = ""
    branch: str
    commit_before: str
    commit_after: str
    pushed: bool = False
    warnings: tuple[str, ...] = ()
    base_commit: str = ""
    patch_sha256: str = ""

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `sync --json` shows it."""
        return asdict(self) | {"warnings": list(self.warnings)}


@acts_as(lambda _options: "sync")
def sync(
    sandbox: Sandbox,
    project: Project,
    *,
    push: bool = False,
    via: str = "",
    dirty: bool = False,
    cancel: CancelToken | None = None,
) -> SyncReport:
    """Bring the clone there to the local commit; verify that it got there.

    Args:
        sandbox: The machine.
        project: With its local root, or without one: then upstream's commit it is.
        push: Push local commits, never by force, once nothing there is in the way.
        via: "ssh": send the commits over the connection; no git server is asked. ""
            and "git": by way of the git remote.
        dirty: Also what is not committed here, with untracked files, as a commit that
            is on no branch; it is sent over the connection, as with `via`.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: Edits or unpushed commits here or there, jobs that use the tree,
            files in the way, or somebody else changes the tree now; names them, and
            what to do. Nothing was changed there.
        NotFoundError: There is no clone yet.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    over_ssh = ssh_sync.check_via(via) == "ssh" or dirty
    if over_ssh and push:
        raise UsageError(
            "--push is for the git remote, and --via ssh and --dirty go without one",
            NextStep("sync", {"push": True}, "By the git remote"),
        )
    path = repo.place(sandbox, project)
    if over_ssh:
        local_tree, base = ssh_sync.local_commit(project)
        if not dirty:
            sync_refusals.refuse_edited(local_tree)
        with leases.held(sandbox, path, "sync") as held:
            return _sync_over_ssh(held, project, local_tree, base, dirty)
    target = local_target(project, push=push) if project.root else None
    with leases.held(sandbox, path, "sync") as held:
        return _sync_by_git(held, project, target)


def _sync_by_git(
    sandbox: Sandbox, project: Project, target: Target | None
) -> SyncReport:
    tree = _free_tree(sandbox, project)
    if target is None:
        branch = explanations.check_branch(project.branch or tree.branch or "")
        why = f"no local clone here: took what {branch} is upstream"
        target = Target(branch=branch, warnings=(why,))
    target.push_first(sandbox)
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


def _sync_over_ssh(
    sandbox: Sandbox, project: Project, local_tree: LocalTree, base: str, dirty: bool
) -> SyncReport:
    tree = _free_tree(sandbox, project)
    state_of = ssh_sync.dirty(local_tree) if dirty else nullcontext()
    with state_of as state:
        ssh_sync.send(sandbox, tree.path, local_tree, base, state)
    commit = state.commit if state else base
    backup = repo.checkout(sandbox, tree, local_tree.branch, commit)
    repo.settle(sandbox, tree.path, commit, outputs.patterns(project))
    shown = replace(local_tree, untracked=()) if dirty else local_tree
    return SyncReport(
        sandbox=sandbox.config.name,
        branch=local_tree.branch,
        commit_before=tree.head or "",
        commit_after=commit,
        base_commit=state.base if state else "",
        patch_sha256=state.patch_sha256 if state else "",
        warnings=(
            *warnings_of(shown, None),
            *_kept_commit(tree, local_tree.branch, backup),
        ),
    )


def _free_tree(sandbox: Sandbox, project: Project) -> Tree:
    """Return the clone there, which nothing stands against changing.

    Raises:
        RefusedError: Something does; says what.
        NotFoundError: There is no clone yet.
    """
    tree = repo.cloned(sandbox, project)
    status = jobs.status(sandbox, path=tree.path, tails=0)
    sync_refusals.refuse_changed(tree, project, sandbox.config.label)
    sync_refusals.refuse_used(preflight.jobs_using(status.jobs, tree.path), tree.path)
    return tree


def _move(
    sandbox: Sandbox, project: Project, tree: Tree, target: Target
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
