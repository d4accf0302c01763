"""sync and setup without a git server that both reach: commits travel over the connection.

What is missing there goes as one bundle, resumed and checked as any file. Afterwards the
clone is as if its origin had been fetched, so that all else is as with a git server.
"""

import contextlib
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sandbox_ops.errors import NextStep, RefusedError, UsageError
from sandbox_ops.git import bundles, dirty_state, local
from sandbox_ops.git.dirty_state import DirtyState
from sandbox_ops.git.local import LocalTree
from sandbox_ops.machine import repo
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.upload import upload
from sandbox_ops.models import Project
from sandbox_ops.workflows import outputs

VIAS = ("git", "ssh")
"""How commits get to the machine: by the git server, or over our connection."""


def local_commit(project: Project) -> tuple[LocalTree, str]:
    """Return the local clone and the commit that is to be sent.

    Raises:
        UsageError: There is no local clone, or no commit of that branch in it.
    """
    if project.root is None:
        raise UsageError(
            "there is no local clone here whose commits could be sent",
            "Run it inside of the clone.",
        )
    tree = local.look(project.root, project.branch, outputs.patterns(project))
    if tree.commit is None:
        raise UsageError(
            f"there is no branch {tree.branch} here",
            "Set `branch` under [project] to one that is there.",
        )
    return tree, tree.commit


@contextlib.contextmanager
def dirty(tree: LocalTree) -> Iterator[DirtyState | None]:
    """Return what no commit here holds as a commit, for as long as it lasts.

    Raises:
        RefusedError: Another branch is checked out than the one that is synced, or a
            file is too large for git.
    """
    if tree.checked_out != tree.branch:
        raise RefusedError(
            f"{tree.branch} is to be synced, and the edits here are of "
            f"{tree.checked_out or 'a detached HEAD'}",
            f"Check it out: git switch {tree.branch}",
        )
    with tempfile.TemporaryDirectory(prefix="sandbox-ops-") as folder:
        yield dirty_state.look(tree.root, Path(folder), tree.outputs)


def as_synced(tree: LocalTree | None, head: str | None) -> LocalTree | None:
    """Return the local clone as one whose edits are committed, where they are synced.

    Args:
        tree: The local clone.
        head: What is checked out on the machine.
    """
    if tree is None or not (tree.edits or tree.untracked) or head == tree.commit:
        return tree
    if tree.checked_out != tree.branch:
        return tree
    with dirty(tree) as state:
        if state is None or state.commit != head:
            return tree
    return LocalTree(
        root=tree.root,
        branch=tree.branch,
        commit=head,
        checked_out=tree.checked_out,
    )


def send(
    sandbox: Sandbox, path: str, tree: LocalTree, commit: str, state: DirtyState | None
) -> None:
    """Bring a commit, and what is not committed, to the clone at `path`; move nothing.

    Raises:
        SandboxError: As git or the link fails.
    """
    there = repo.commits(sandbox, path)
    refs = {f"refs/heads/{tree.branch}": commit}
    if state is not None:
        refs[state.ref] = state.commit
    if set(refs.values()) <= set(there):
        refs = {}
    with _sent(sandbox, tree.root, refs, there, state) as bundle:
        repo.receive(sandbox, path, bundle, tree.branch, commit, state)


def clone(sandbox: Sandbox, project: Project) -> str:
    """Make the first clone there, of what is committed here; return its commit.

    Raises:
        SandboxError: As git or the link fails.
    """
    tree, commit = local_commit(project)
    refs = {f"refs/heads/{tree.branch}": commit}
    with _sent(sandbox, tree.root, refs, (), None) as bundle:
        return repo.clone(sandbox, project, branch=tree.branch, bundle=bundle)


@contextlib.contextmanager
def _sent(
    sandbox: Sandbox,
    root: str,
    refs: dict[str, str],
    there: Sequence[str],
    state: DirtyState | None,
) -> Iterator[str]:
    """Send a bundle; return where it is there, "" where nothing is missing."""
    if not refs:
        yield ""
        return
    environ = state.environ if state else None
    have = bundles.known(root, [each for each in there if each not in refs.values()])
    with tempfile.TemporaryDirectory(prefix="sandbox-ops-") as folder:
        file = Path(folder) / "bundle"
        bundles.write(root, file, refs, have, environ)
        remote = f"{sandbox.base}/bundles/{secrets.token_hex(8)}"
        upload(sandbox, file, remote)
    yield remote


def check_via(via: str) -> str:
    """Return how commits are to get there.

    Raises:
        UsageError: There is no such way.
    """
    if via not in {"", *VIAS}:
        raise UsageError(
            f"--via takes {' or '.join(VIAS)}, not `{via}`",
            NextStep("sync", {"via": "ssh"}, "Over the connection"),
        )
    return via
