"""sync: bring the clone on the sandbox to the local commit, by way of the git remote."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox_ops.errors import NextStep, RefusedError, SandboxError, UsageError
from sandbox_ops.git import explanations, local
from sandbox_ops.git.local import LocalTree, Upstream
from sandbox_ops.machine import jobs, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import Job, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.sandbox import Sandbox
from sandbox_ops.workflows import outputs, preflight
from sandbox_ops.workflows.acting import acts_as

_RESCUE = (
    NextStep("reset", {"dry_run": True}, "See it"),
    NextStep("reset", {}, "Rescue and undo it"),
)


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
    refuse_changed(tree, project, sandbox.config.label)
    refuse_used(preflight.jobs_using(status.jobs, tree.path), tree.path)

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


def refuse_changed(tree: Tree, project: Project, machine: str) -> None:
    """Refuse a clone that holds what a checkout could lose. Pure.

    Declared outputs may be edited: trainings write them, and they stay.

    Raises:
        RefusedError: It names what that is, and offers the reset.
    """
    where = f"{tree.path} on {machine}"
    refuse_other(tree, project, machine)
    if tree.lock:
        raise RefusedError(
            f"git is at work in {where}: {tree.lock} is held", remove_lock(tree)
        )
    edits = outputs.edits_without(tree.edits, outputs.patterns(project))
    if edits or tree.operation:
        what = f"is a {tree.operation} under way" if tree.operation else "are edits"
        raise RefusedError(listed(f"there {what} in {where}:", edits), *_RESCUE)
    if tree.unpushed:
        raise RefusedError(
            listed(
                f"there are commits in {where} that are not upstream:", tree.unpushed
            ),
            *_RESCUE,
        )


def remove_lock(tree: Tree) -> NextStep:
    """Return how a lock goes that nobody holds. Pure."""
    command = f"rm {tree.lock}"
    return NextStep("run", {"command": command}, "If no git runs there any more")


def refuse_other(tree: Tree, project: Project, machine: str) -> None:
    """Refuse a clone of another repository. Pure.

    Raises:
        RefusedError: It names both.
    """
    if project.repo and not explanations.same_repository(tree.url, project.repo):
        raise RefusedError(
            f"{tree.path} on {machine} is a clone of "
            f"{explanations.without_password(tree.url) or 'nothing'}, not of "
            f"{explanations.without_password(project.repo)}",
            NextStep(
                "run", {"command": "git remote set-url origin URL"}, "If that is right"
            ),
        )


def refuse_used(users: tuple[Job, ...], path: str) -> None:
    """Refuse to change a tree under the jobs that use it. Pure.

    Raises:
        RefusedError: It names them.
    """
    if users:
        raise RefusedError(
            listed(
                f"jobs use {path}, and would see their code change:",
                tuple(f"{job.id} {job.name or job.command[:60]}" for job in users),
            ),
            NextStep("stop", {"job": users[0].id}, "Wait for the end, or end it"),
        )


def _local_target(project: Project, *, push: bool) -> _Target:
    """Return what is to be synced, and whether it has to be pushed first."""
    tree = local.look(project.root or "", project.branch)
    refuse_edited(tree)
    upstream = local.compare(tree, project)
    refuse_diverged(tree, upstream)
    must_push = bool(upstream.unpushed) or upstream.tip is None
    if must_push and not push:
        refuse_unpushed(tree, upstream)
    return _Target(
        branch=tree.branch,
        commit=tree.commit,
        push=(tree, upstream.remote) if must_push else None,
        warnings=tuple(_warnings(tree, upstream)),
    )


def refuse_edited(tree: LocalTree) -> None:
    """Refuse edits that no commit holds. Pure.

    Raises:
        RefusedError: It lists them.
    """
    if tree.edits:
        raise RefusedError(
            listed(f"edits in {tree.root} are not committed:", tree.edits),
            'Commit them: git commit -a -m "..."   or put them aside: git stash',
        )


def refuse_diverged(tree: LocalTree, upstream: Upstream) -> None:
    """Refuse two lines of work, which only their author can join. Pure.

    Raises:
        RefusedError: It says how far they went apart.
    """
    if upstream.unpushed and upstream.behind:
        raise RefusedError(
            f"{tree.branch} has diverged: {len(upstream.unpushed)} commits here, "
            f"{upstream.behind} others on {upstream.remote}",
            f"Join them: git pull --rebase {upstream.remote} {tree.branch}",
            NextStep("sync", {"push": True}, "Then"),
        )


def refuse_unpushed(tree: LocalTree, upstream: Upstream) -> None:
    """Refuse commits that the sandbox cannot fetch. Pure.

    Raises:
        RefusedError: It lists them.
        UsageError: There is no such branch anywhere.
    """
    if tree.commit is None:
        raise UsageError(
            f"there is no branch {tree.branch}, neither here nor on {upstream.remote}",
            "Set `branch` under [project] to one that is there.",
        )
    raise RefusedError(
        listed(
            f"commits of {tree.branch} are not on {upstream.remote}:", upstream.unpushed
        ),
        f"Push them: git push {upstream.remote} {tree.branch}",
        NextStep("sync", {"push": True}, "Or"),
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
