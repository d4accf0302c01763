"""The project's clone on a sandbox: one function a script, and what it says as values.

What may be done with a clone is decided by its callers, from a `Tree`. (Over 250 lines:
eight scripts of ten to thirty lines each, on one value.)
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_ops.errors import (
    ConfigError,
    NextStep,
    NotFoundError,
    RefusedError,
    SandboxError,
)
from sandbox_ops.git import explanations, porcelain
from sandbox_ops.git.dirty_state import DirtyState
from sandbox_ops.git.runner import GIT_ENV
from sandbox_ops.machine import own_scripts
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.remote import script_replies

_LOOK_S = 120
_NETWORK_S = 3600
_MAX_PATCH_BYTES = 8 << 20


def _without_server(verb: str) -> functools.partial[SandboxError]:
    """Return what explains a failure of git, with the verb that asks no git server."""
    purpose = "Or have the commits sent over the connection"
    step = NextStep(verb, {"via": "ssh"}, purpose)
    return functools.partial(explanations.explain, serverless=step)


_ask = functools.partial(
    own_scripts.ask, timeout_s=_LOOK_S, explain=explanations.explain
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A clone as it stands on the sandbox.

    Attributes:
        path: Where, absolute.
        head: The commit that is checked out; None before the first one.
        branch: None where HEAD is detached.
        url: Of its origin.
        edits: Changes of tracked files, as `git status --short` shows them.
        untracked: Names that git does not know.
        unpushed: Commits that were never upstream, as `abc1234 subject`.
        operation: "merge", "rebase", ...: what was begun and not ended; or "".
        lock: The index.lock that is held, or "".
    """

    path: str
    head: str | None = None
    branch: str | None = None
    url: str = ""
    edits: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    unpushed: tuple[str, ...] = ()
    operation: str = ""
    lock: str = ""


def look(sandbox: Sandbox, project: Project) -> Tree | None:
    """Return the project's clone, or None where there is none yet.

    Raises:
        ConfigError: If it is not known which project is meant.
        RefusedError: If something else stands in its place.
    """
    path = place(sandbox, project)
    reply = _ask(sandbox, "repo_facts", path, project.branch, doing=f"look at {path}")
    if reply.get("clone") == "no":
        return None
    if reply.get("clone") != "yes":
        raise RefusedError(
            f"{path} on {sandbox.config.label} is not a git clone, and not empty",
            NextStep("run", {"command": f"mv {path} {path}.old"}, "Move it away"),
        )
    return tree(path, reply)


def tree(path: str, reply: script_replies.Reply) -> Tree:
    """Return what repo_facts.sh said of the clone at `path`. Pure."""
    status = porcelain.status("\n".join(reply.all("status")))
    return Tree(
        path=path,
        head=status.head,
        branch=status.branch,
        url=reply.get("url"),
        edits=status.edits,
        untracked=status.untracked,
        unpushed=reply.all("unpushed"),
        operation=reply.get("operation"),
        lock=reply.get("lock"),
    )


def cloned(sandbox: Sandbox, project: Project) -> Tree:
    """Return the project's clone.

    Raises:
        NotFoundError: If there is none; names `sandbox-ops setup`.
    """
    tree_there = look(sandbox, project)
    if tree_there is None:
        raise NotFoundError(
            f"{project.name} is not on {sandbox.config.label}: "
            f"there is no clone at {place(sandbox, project)}",
            NextStep("setup", purpose="Put it there"),
        )
    return tree_there


def place(sandbox: Sandbox, project: Project) -> str:
    """Return where the project lies on the sandbox.

    Raises:
        ConfigError: If it is not known which project is meant.
    """
    if not project.name and project.root:
        raise ConfigError(
            f"no project: the clone {project.root} has no remote called origin",
            "Name it: git remote add origin URL   or set `repo` under [project] in "
            "sandbox.toml. With --via ssh the URL need not be reachable.",
        )
    if not project.name:
        raise ConfigError(
            "no project: this is no git clone with a remote called origin",
            "Run it inside of the clone, or set `repo` under [project] in sandbox.toml.",
        )
    return sandbox.project_path(project)


def clone(
    sandbox: Sandbox, project: Project, *, branch: str = "", bundle: str = ""
) -> str:
    """Clone the project's branch and return its commit.

    Args:
        sandbox: The machine.
        project: What to clone.
        branch: Another branch than the project's.
        bundle: A file there that has its commits; "": they come from the git server.

    Raises:
        RefusedError: No room, no network, or the URL carries a password.
        DeniedError: No access to the repository, or none to the workspace.
        NotFoundError: No git there, or no such branch.
    """
    path = place(sandbox, project)
    if explanations.has_password(project.repo):
        raise RefusedError(
            f"the repository's URL {explanations.without_password(project.repo)} carries "
            f"a secret, which every account on {sandbox.config.label} could read",
            "Use the ssh URL, or one without a password and a git credential helper "
            f"on {sandbox.config.label}; set it as `repo` under [project].",
        )
    if project.branch:
        explanations.check_branch(project.branch)
    reply = _ask(
        sandbox,
        *("repo_clone", path, project.repo, branch or project.branch, bundle),
        doing=f"clone {project.repo} to {path}",
        timeout_s=_NETWORK_S,
        explain=_without_server("setup"),
    )
    return reply.need("head")


def access(sandbox: Sandbox, url: str, branch: str, path: str = "") -> str:
    """Return where a branch stands upstream, asked from the sandbox; fetches nothing.

    Args:
        sandbox: The machine.
        url: A repository's, or the name of a remote of the clone at `path`.
        branch: "" for what the server checks out.
        path: A clone, whose settings then hold.

    Raises:
        NotFoundError: There is no such branch.
        SandboxError: As git there complains.
    """
    shown = explanations.without_password(url)
    clone = (path,) if path else ()
    doing = f"reach {shown}"
    tip = _ask(sandbox, "repo_access", url, branch, *clone, doing=doing).get("tip")
    if not tip:
        raise NotFoundError(
            f"there is no branch {branch or 'at all'} in {shown}",
            "Push it first: git push -u origin HEAD",
        )
    return tip


def commits(sandbox: Sandbox, path: str) -> tuple[str, ...]:
    """Return commits that the clone at `path` has: what its newest refs lead to."""
    doing = f"ask what {path} has"
    return _ask(sandbox, "repo_have", path, doing=doing).all("have")


def receive(
    sandbox: Sandbox,
    path: str,
    bundle: str,
    branch: str,
    commit: str,
    state: DirtyState | None,
) -> None:
    """Take commits into the clone at `path`, as if its origin had been fetched.

    Args:
        sandbox: The machine.
        path: The clone.
        bundle: A file there that has them; "": they are there already.
        branch: The branch that stands at `commit` then.
        commit: Its commit.
        state: What is not committed here, as a commit; it is kept by a ref of its own.

    Raises:
        SandboxError: As git there complains.
    """
    more = (state.ref, state.commit) if state else ()
    _ask(
        sandbox,
        *("repo_receive", path, bundle, branch, commit, *more),
        doing=f"bring {branch} into {path}",
        timeout_s=_NETWORK_S,
    )


def fetch(
    sandbox: Sandbox, path: str, branch: str, commit: str = "", *, kept: bool = False
) -> str:
    """Fetch a branch into the clone at `path` and return its tip.

    Args:
        sandbox: The machine.
        path: The clone.
        branch: The branch.
        commit: Has to be on it; "": any.
        kept: Take what came last where commits come without a git server.

    Raises:
        RefusedError: If `commit` is given and not on that branch.
        SandboxError: As git there complains.
    """
    return _ask(
        sandbox,
        *("repo_fetch", path, branch, commit, *(("kept",) if kept else ())),
        doing=f"fetch {branch} into {path}",
        timeout_s=_NETWORK_S,
        explain=_without_server("sync"),
    ).need("tip")


def need_commit(sandbox: Sandbox, path: str, commit: str) -> None:
    """Make sure that the clone at `path` has a commit; fetch it if it has not.

    Raises:
        RefusedError: It cannot be had.
    """
    own_scripts.ask(
        sandbox,
        *("repo_commit", path, commit),
        doing=f"look for {commit[:10]} in {path}",
        timeout_s=_NETWORK_S,
    )


def checkout(sandbox: Sandbox, at: Tree, branch: str, commit: str) -> str:
    """Move a clean clone to a fetched commit, and HEAD to its branch.

    Returns:
        The ref that keeps the old commit, where no branch upstream has it; else "".

    Raises:
        RefusedError: If files there are in the way; names them.
    """
    reply = _ask(
        sandbox,
        *("repo_checkout", at.path, branch, commit, at.head or ""),
        doing=f"check out {commit[:10]} in {at.path}",
    )
    return reply.get("backup")


def settle(sandbox: Sandbox, path: str, commit: str, keep: Sequence[str] = ()) -> None:
    """Bring submodules and large files, and make sure the tree is `commit`.

    Args:
        sandbox: The machine.
        path: A clone.
        commit: What is checked out.
        keep: Files under these paths may be otherwise: outputs.

    Raises:
        RefusedError: If it is not; names the files.
    """
    doing = f"complete {path} at {commit[:10]}"
    _ask(
        sandbox,
        *("repo_settle", path, commit, *keep),
        doing=doing,
        timeout_s=_NETWORK_S,
    )


def submodules(sandbox: Sandbox, path: str) -> tuple[str, ...]:
    """Return the submodules that are checked out, outer ones first."""
    doing = f"list the submodules of {path}"
    return _ask(sandbox, "repo_submodules", path, doing=doing).all("submodule")


def reset(
    sandbox: Sandbox, path: str, branch: str, commit: str, keep: Sequence[str] = ()
) -> str:
    """Rescue what the tree at `path` holds, then make it what `commit` says.

    Args:
        sandbox: The machine.
        path: A clone, or a submodule's folder.
        branch: The fetched branch that HEAD is put on; "" leaves HEAD where it is.
        commit: What the tree becomes.
        keep: Files under these paths stay as they are.

    Returns:
        The ref with the rescue; "" where there was nothing to rescue.

    Raises:
        RefusedError: If no rescue is possible; nothing was changed then.
    """
    return _ask(
        sandbox,
        *("repo_reset", path, branch, commit, *keep),
        doing=f"reset {path}",
        timeout_s=_NETWORK_S,
    ).get("backup")


def patch(sandbox: Sandbox, path: str) -> bytes | None:
    """Return the edits of tracked files as a patch; None where it is too large."""
    result = sandbox.script(
        "repo_patch",
        path,
        env=GIT_ENV,
        timeout_s=_LOOK_S,
        keep_bytes=_MAX_PATCH_BYTES,
    )
    if not result.ok or result.stdout.omitted_bytes:
        return None
    return result.stdout.head + result.stdout.tail
