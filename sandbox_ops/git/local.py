"""The project's clone on this machine: what of it has not reached the git remote.

Git is called by `runner` alone, and works in a clone only after `clone_config` has seen
that nothing of the clone would run here.
"""

import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.errors import UsageError
from sandbox_ops.git import clone_config, explanations, porcelain, results, runner
from sandbox_ops.models import Project

_NETWORK_S = 600
_SHOWN = 100
_HASH = re.compile(r"[0-9a-f]{7,64}")
# For a remote that is a path: its hooks would run on this computer.
_RECEIVE_HERE = "git -c core.hooksPath=/dev/null receive-pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTree:
    """The local work tree, without asking the remote.

    Attributes:
        root: Its top folder.
        branch: The branch that is synced, perhaps not the one that is checked out.
        commit: Where that branch stands; None if it does not exist here.
        checked_out: The current branch; None where HEAD is detached.
        edits: Changes of tracked files that are not committed.
        untracked: Names that git does not know; without the results of runs.
        outputs: The declared outputs, as relative patterns: they are such results.
    """

    root: str
    branch: str
    commit: str | None
    checked_out: str | None
    edits: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


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


def look(root: str, branch: str = "", outputs: tuple[str, ...] = ()) -> LocalTree:
    """Return what the clone at `root` is like; `branch` is the current one if empty.

    Args:
        root: The clone.
        branch: Which branch is meant.
        outputs: The declared outputs, as relative patterns.

    Raises:
        UsageError: If no branch is given and none is checked out.
        NotFoundError: If git is not installed here.
        DeniedError: If the clone's own configuration names programs.
    """
    clone_config.check(root)
    options = ("--porcelain=v2", "--branch", "--untracked-files=normal")
    ask = ("status", *options, f"--ignore-submodules={_ignored(root)}")
    status = porcelain.status(_git(root, *ask))
    untracked = status.untracked
    if untracked:
        text = _git(root, *ask, "--", *results.left_out(outputs))
        untracked = porcelain.status(text).untracked
    wanted = branch or status.branch
    if wanted is None:
        raise UsageError(
            f"no branch is checked out in {root} (HEAD is detached)",
            "Check one out (git switch main), or set `branch` under [project].",
        )
    explanations.check_branch(wanted)
    return LocalTree(
        root=root,
        branch=wanted,
        commit=_commit(root, f"refs/heads/{wanted}"),
        checked_out=status.branch,
        edits=status.edits,
        untracked=untracked,
        outputs=outputs,
    )


def _ignored(root: str) -> str:
    """Return how much of submodules `git status` leaves out.

    It starts a git in each, so only in those whose configuration was checked.
    """
    return "untracked" if (Path(root) / ".gitmodules").exists() else "dirty"


def identity(root: str) -> tuple[str, str]:
    """Return the name and the address that commits made here carry; "" where none is set."""
    clone_config.check(root)
    keys = ("user.name", "user.email")
    answers = (runner.run(root, "config", "--get", key).stdout for key in keys)
    name, email = (answer.decode("utf-8", "replace").strip() for answer in answers)
    return name, email


def tracked(root: str) -> frozenset[str]:
    """Return the paths that git tracks in the clone at `root`.

    Raises:
        DeniedError: If the clone's own configuration names programs.
    """
    clone_config.check(root)
    names = _git(root, "ls-files", "-z").split("\0")
    return frozenset(name for name in names if name)


def common_folder(root: str) -> Path:
    """Return the git folder that all work trees of a clone share.

    Raises:
        SandboxError: It is no clone, or git refuses.
    """
    path = _git(root, "rev-parse", "--git-common-dir").rstrip("\n")
    return (Path(root) / path).resolve()


def commits_between(root: str, old: str, new: str) -> tuple[str, ...] | None:
    """Return the commits that `new` has and `old` has not, as `abc1234 subject`.

    Returns:
        Newest first, at most a hundred; None where one of the two is not in the clone.
    """
    if not all(_HASH.fullmatch(each) and _commit(root, each) for each in (old, new)):
        return None
    return _log(root, new, "--not", old)


def compare(tree: LocalTree, project: Project) -> Upstream:
    """Ask the git remote where the branch stands there.

    Raises:
        DeniedError: If it refuses access, or the clone's configuration names programs.
        RefusedError: If it cannot be reached.
        TimedOutError: If it does not answer.
    """
    remotes = _git(tree.root, "remote").split()
    remote = "origin" if "origin" in remotes else project.repo
    ref = f"refs/heads/{tree.branch}"
    answer = _network(tree.root, "ls-remote", "--", remote, ref)
    tip = answer.partition("\t")[0] or None
    if tip is None or tip == tree.commit:
        new = () if tip else _log(tree.root, tree.commit, "--not", "--remotes")
        return Upstream(remote=remote, tip=tip, unpushed=new)
    if _commit(tree.root, tip) is None:
        options = ("-q", "--no-tags", "--no-recurse-submodules")
        _network(tree.root, "fetch", *options, remote, ref)
    behind = _git(tree.root, "rev-list", "--count", f"{tree.commit or tip}..{tip}")
    return Upstream(
        remote=remote,
        tip=tip,
        unpushed=_log(tree.root, tree.commit, "--not", tip),
        behind=int(behind),
    )


_PUSHING = threading.Lock()
"""Of machines that are synced at once each pushes: one by one all but the first find it
done, at the same moment git refuses all but one."""


def push(tree: LocalTree, remote: str) -> None:
    """Push the branch; never by force, and not without its submodules' commits.

    Raises:
        SandboxError: As git complains.
    """
    ref = f"refs/heads/{tree.branch}"
    options = ["-q", "--recurse-submodules=check", "--no-signed"]
    url = _git(tree.root, "ls-remote", "--get-url", remote).strip()
    if Path(url.removeprefix("file://")).is_absolute():
        options.append(f"--receive-pack={_RECEIVE_HERE}")
    with _PUSHING:
        _network(tree.root, "push", *options, "--", remote, f"{ref}:{ref}")


def _commit(root: str, name: str) -> str | None:
    """Return the commit that `name` is, if it is here."""
    commit = runner.run(root, "rev-parse", "-q", "--verify", f"{name}^{{commit}}")
    return commit.stdout.decode().strip() or None


def _log(root: str, commit: str | None, *without: str) -> tuple[str, ...]:
    if commit is None:
        return ()
    form = ("--no-color", "--no-show-signature", "--format=%h %s", "-n", str(_SHOWN))
    return tuple(_git(root, "log", *form, commit, *without, "--").splitlines())


def _git(
    root: str, verb: str, *arguments: str, timeout_s: float = runner.LOOK_S
) -> str:
    """Return what git prints; its complaint is a `SandboxError`."""
    done = runner.run(root, verb, *arguments, timeout_s=timeout_s)
    return _output(root, verb, done)


def _network(root: str, verb: str, *arguments: str) -> str:
    """Return what git prints, asked over the network.

    The programs at the other end are named here: a clone's configuration could name
    others, which a remote that is a path would run on this computer.

    Raises:
        SandboxError: As git complains.
    """
    config = clone_config.check(root)
    done = runner.run(root, verb, *arguments, ssh=config.ssh, timeout_s=_NETWORK_S)
    hint = ""
    if config.ignored_ssh:
        ignored = "core.sshCommand of the clone's own configuration is not used"
        command = f"git config --global core.sshCommand {config.ignored_ssh!r}"
        hint = f"{ignored}. If it is yours: {command}"
    return _output(root, verb, done, hint)


def _output(
    root: str, verb: str, done: subprocess.CompletedProcess[bytes], hint: str = ""
) -> str:
    if done.returncode:
        stderr = done.stderr.decode("utf-8", "replace")
        error = explanations.explain(stderr, where="this computer")
        message = f"git {verb} failed in {root}: {error.message}"
        raise type(error)(message, *error.hints, *filter(None, (hint,)))
    return done.stdout.decode("utf-8", "surrogateescape")
