"""What a sync refuses, here and on the sandbox, and what to do about each. Pure."""

from sandbox_ops.errors import NextStep, RefusedError, UsageError
from sandbox_ops.git import explanations
from sandbox_ops.git.local import LocalTree, Upstream
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import Job, Project
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.workflows import outputs

_RESCUE = (
    NextStep("reset", {"dry_run": True}, "See it"),
    NextStep("reset", {}, "Rescue and undo it"),
)


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
    """Return how a lock that no process holds is removed. Pure."""
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
                "run",
                {"cwd": tree.path, "command": "git remote set-url origin URL"},
                "If that is right",
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
