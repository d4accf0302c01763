"""The project's clone on this machine: what of it has not reached the git remote.

Git is called with a list of arguments, without a terminal, so it cannot ask anything.
"""

import os
import subprocess
from dataclasses import dataclass

from sandbox_ops.errors import NotFoundError, TimedOutError, UsageError
from sandbox_ops.git import porcelain, words
from sandbox_ops.models import Project

GIT_ENV = {
    "GIT_ASKPASS": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "LC_ALL": "C",
    "SSH_ASKPASS_REQUIRE": "never",
}
"""Under these git fails where it would ask, and says so in words that do not vary."""

_OPTIONS = ("--no-optional-locks", "-c", "core.quotePath=true")
_NETWORK = frozenset({"ls-remote", "fetch", "push"})
_LOOK_S = 60
_NETWORK_S = 600
_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTree:
    """The local work tree, without asking the remote.

    Attributes:
        root: Its top folder.
        branch: The branch that is synced, perhaps not the one that is checked out.
        commit: Where that branch stands; None if it does not exist here.
        checked_out: The current branch; None where HEAD is detached.
        edits: Changes of tracked files that are not committed.
        untracked: Names that git does not know.
    """

    root: str
    branch: str
    commit: str | None
    checked_out: str | None
    edits: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How the local branch stands to that of the git remote.

    Attributes:
        remote: `origin`, or a URL where there is no remote of that name.
        tip: Where the branch stands there; None if it does not exist there.
        unpushed: Local commits that are not there, newest first, as `abc1234 subject`.
        behind: How many commits there are not here.
    """

    remote: str
    tip: str | None
    unpushed: tuple[str, ...] = ()
    behind: int = 0


def look(root: str, branch: str = "") -> LocalTree:
    """Return what the clone at `root` is like; `branch` is the current one if empty.

    Raises:
        UsageError: If no branch is given and none is checked out.
        NotFoundError: If git is not installed here.
    """
    told = ("--porcelain=v2", "--branch", "--untracked-files=normal")
    text = _git(root, "status", *told, "--ignore-submodules=untracked")
    status = porcelain.status(text)
    wanted = branch or status.branch
    if wanted is None:
        raise UsageError(
            f"no branch is checked out in {root} (HEAD is detached)",
            "Check one out (git switch main), or set `branch` under [project].",
        )
    words.check_branch(wanted)
    return LocalTree(
        root=root,
        branch=wanted,
        commit=_commit(root, f"refs/heads/{wanted}"),
        checked_out=status.branch,
        edits=status.edits,
        untracked=status.untracked,
    )


def compare(tree: LocalTree, project: Project) -> Upstream:
    """Ask the git remote where the branch stands there.

    Raises:
        DeniedError: If it does not let us in.
        RefusedError: If it cannot be reached.
        TimedOutError: If it does not answer.
    """
    remotes = _git(tree.root, "remote").split()
    remote = "origin" if "origin" in remotes else project.repo
    ref = f"refs/heads/{tree.branch}"
    answer = _git(tree.root, "ls-remote", "--", remote, ref, timeout_s=_NETWORK_S)
    tip = answer.partition("\t")[0] or None
    if tip is None or tip == tree.commit:
        new = () if tip else _log(tree.root, tree.commit, "--not", "--remotes")
        return Upstream(remote=remote, tip=tip, unpushed=new)
    if _commit(tree.root, tip) is None:
        _git(tree.root, "fetch", "-q", "--no-tags", remote, ref, timeout_s=_NETWORK_S)
    behind = _git(tree.root, "rev-list", "--count", f"{tree.commit or tip}..{tip}")
    return Upstream(
        remote=remote,
        tip=tip,
        unpushed=_log(tree.root, tree.commit, "--not", tip),
        behind=int(behind),
    )


def push(tree: LocalTree, remote: str) -> None:
    """Push the branch; never by force, and not without its submodules' commits.

    Raises:
        SandboxError: As git complains.
    """
    ref = f"refs/heads/{tree.branch}"
    options = ("push", "-q", "--recurse-submodules=check", "--")
    _git(tree.root, *options, remote, f"{ref}:{ref}", timeout_s=_NETWORK_S)


def _commit(root: str, name: str) -> str | None:
    """Return the commit that `name` is, if it is here."""
    found = _run(root, "rev-parse", "-q", "--verify", f"{name}^{{commit}}")
    return found.stdout.decode().strip() or None


def _log(root: str, commit: str | None, *without: str) -> tuple[str, ...]:
    if commit is None:
        return ()
    form = ("--no-color", "--no-show-signature", "--format=%h %s", "-n", str(_SHOWN))
    return tuple(_git(root, "log", *form, commit, *without, "--").splitlines())


def _git(root: str, verb: str, *arguments: str, timeout_s: float = _LOOK_S) -> str:
    """Return what git prints.

    Raises:
        SandboxError: As it complains.
    """
    done = _run(root, verb, *arguments, timeout_s=timeout_s)
    if done.returncode:
        error = words.explain(done.stderr.decode("utf-8", "replace"))
        raise type(error)(f"git {verb} failed in {root}: {error.message}", *error.hints)
    return done.stdout.decode("utf-8", "surrogateescape")


def _run(
    root: str, verb: str, *arguments: str, timeout_s: float = _LOOK_S
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root` without a terminal, a prompt or a translation."""
    env = {**os.environ, **GIT_ENV}
    if verb in _NETWORK:
        ssh = env.get("GIT_SSH_COMMAND") or _configured_ssh(root) or "ssh"
        env["GIT_SSH_COMMAND"] = f"{ssh} -o BatchMode=yes"
    try:
        return subprocess.run(
            ["git", *_OPTIONS, verb, *arguments],
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise NotFoundError(
            f"git cannot be run in {root}: it is not installed here, or the folder "
            "is gone",
            "Install git on this machine.",
        ) from None
    except subprocess.TimeoutExpired:
        raise TimedOutError(
            f"git {verb} in {root} took longer than {timeout_s:.0f} s"
        ) from None


def _configured_ssh(root: str) -> str:
    return _run(root, "config", "core.sshCommand").stdout.decode().strip()
