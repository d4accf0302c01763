"""What a sync brings to a machine: the local commit, pushed first where that is wanted."""

from dataclasses import dataclass

from sandbox_ops.git import local
from sandbox_ops.git.local import LocalTree, Upstream
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.workflows import outputs, sync_refusals
from sandbox_ops.workflows.acting import acts_as


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the clone is to become.

    Attributes:
        branch: The branch.
        commit: None: what is upstream.
        push: What has to be pushed first, and where to; None: nothing.
    """

    branch: str
    commit: str | None = None
    push: tuple[LocalTree, str] | None = None
    warnings: tuple[str, ...] = ()

    def push_first(self, sandbox: Sandbox) -> None:
        """Push what has to be, noted as done for that machine."""
        if self.push is not None:
            with sandbox.acting("push", f"{self.branch} to {self.push[1]}"):
                local.push(*self.push)


@acts_as(lambda _options: "sync")
def push(sandbox: Sandbox, project: Project) -> bool:
    """Push what upstream lacks of the local branch, as `sync` does with `push`.

    Returns:
        Whether anything had to be pushed.

    Raises:
        RefusedError: Edits that are not committed, or a branch that diverged.
    """
    if not project.root:
        return False
    target = local_target(project, push=True)
    target.push_first(sandbox)
    return target.push is not None


def local_target(project: Project, *, push: bool) -> Target:
    """Return what is to be synced, and whether it has to be pushed first."""
    tree = local.look(project.root or "", project.branch, outputs.patterns(project))
    sync_refusals.refuse_edited(tree)
    upstream = local.compare(tree, project)
    sync_refusals.refuse_diverged(tree, upstream)
    must_push = bool(upstream.unpushed) or upstream.tip is None
    if must_push and not push:
        sync_refusals.refuse_unpushed(tree, upstream)
    return Target(
        branch=tree.branch,
        commit=tree.commit,
        push=(tree, upstream.remote) if must_push else None,
        warnings=tuple(warnings_of(tree, upstream)),
    )


def warnings_of(tree: LocalTree, upstream: Upstream | None) -> list[str]:
    """Return what the user may want to know of the local clone. Pure."""
    warnings = []
    if tree.untracked:
        warnings.append(
            listed("files that git does not know stay here:", tree.untracked, limit=5)
        )
    if upstream and upstream.behind and tree.commit:
        warnings.append(
            f"{upstream.remote} is {upstream.behind} commits ahead of this clone; "
            f"synced to yours. To have them: git pull {upstream.remote} {tree.branch}"
        )
    if tree.checked_out != tree.branch:
        now = tree.checked_out or "a detached HEAD"
        warnings.append(f"synced {tree.branch}, while {now} is checked out here")
    return warnings
