"""sync: bring the clone on the sandbox to the local commit, by way of the git remote."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox_ops.errors import RefusedError, UsageError
from sandbox_ops.git import explanations, local
from sandbox_ops.git.local import LocalTree, Upstream
from sandbox_ops.machine import jobs, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import Job, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.sandbox import Sandbox
from sandbox_ops.workflows import preflight


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did.

    Attributes:
        branch: The branch that is checked out there now.
        commit_before: Where the clone stood; "" before its first commit.
        commit_after: Where it stands, verified.
        pushed: Whether local commits were pushed.
        warnings: What is odd but no hindrance.
    """

    branch: str
    commit_before: str
    commit_after: str
    pushed: bool = False
    warnings: tuple[str, ...] = ()
    sandbox: str = ""

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `sync --json` shows it."""
        return asdict(self) | {"warnings": list(self.warnings)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What the clone is to become; `commit` None: what is upstream."""

    branch: str
    commit: str | None = None
    pushed: bool = False
    warnings: tuple[str, ...] = field(default=())


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
        push: Push local commits first, never by force.
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
    refuse_used(preflight.users(status.jobs, tree.path), tree.path)

    tip = repo.fetch(sandbox, tree.path, target.branch, target.commit or "")
    commit = target.commit or tip
    backup = repo.checkout(sandbox, tree, target.branch, commit)
    repo.settle(sandbox, tree.path, commit)
    rewritten = f"upstream was rewritten; the old commit is kept there as {backup}"
    return SyncReport(
        sandbox=sandbox.config.name,
        branch=target.branch,
        commit_before=tree.head or "",
        commit_after=commit,
        pushed=target.pushed,
        warnings=(*target.warnings, *([rewritten] if backup else [])),
    )


def refuse_changed(tree: Tree, project: Project, machine: str) -> None:
    """Refuse a clone that holds what a checkout could lose. Pure.

    Raises:
        RefusedError: It names what that is, and offers the reset.
    """
    where = f"{tree.path} on {machine}"
    rescue = (
        "See it: sandbox-ops reset --dry-run. Rescue and undo it: sandbox-ops reset"
    )
    refuse_other(tree, project, machine)
    if tree.lock:
        raise RefusedError(
            f"git is at work in {where}: {tree.lock} is held",
            f"If no git runs there any more: sandbox-ops run -- rm {tree.lock}",
        )
    if tree.edits or tree.operation:
        what = f"is a {tree.operation} under way" if tree.operation else "are edits"
        raise RefusedError(listed(f"there {what} in {where}:", tree.edits), rescue)
    if tree.unpushed:
        raise RefusedError(
            listed(
                f"there are commits in {where} that are not upstream:", tree.unpushed
            ),
            rescue,
        )


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
            "If that is right: sandbox-ops run -- git remote set-url origin URL",
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
            f"Wait for the end, or end it: sandbox-ops stop {users[0].id}",
        )


def _local_target(project: Project, *, push: bool) -> _Target:
    """Return what is to be synced, once all of it has reached the git remote."""
    tree = local.look(project.root or "", project.branch)
    refuse_edited(tree)
    upstream = local.compare(tree, project)
    refuse_diverged(tree, upstream)
    must_push = bool(upstream.unpushed) or upstream.tip is None
    if must_push and not push:
        refuse_unpushed(tree, upstream)
    if must_push:
        local.push(tree, upstream.remote)
    return _Target(
        branch=tree.branch,
        commit=tree.commit,
        pushed=must_push,
        warnings=tuple(_odd(tree, upstream)),
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
            f"Join them: git pull --rebase {upstream.remote} {tree.branch}   "
            "then: sandbox-ops sync --push",
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
        f"Push them: git push {upstream.remote} {tree.branch}   "
        "or: sandbox-ops sync --push",
    )


def _odd(tree: LocalTree, upstream: Upstream) -> list[str]:
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
