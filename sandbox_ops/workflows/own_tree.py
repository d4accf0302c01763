"""A tree of its own for a run: a git worktree beside the clone, at the run's commit.

A sync brings new code to the clone while such runs go on, and they never see it. The
tree is kept as long as the run's record, and removed with it (lib/own_tree.sh).
"""

import contextlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sandbox_ops.errors import (
    DeniedError,
    NotFoundError,
    RefusedError,
    SandboxError,
    UsageError,
)
from sandbox_ops.machine import own_scripts, repo
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.workflows import run_files

_OWN = "own"
_NETWORK_S = 3600.0
_NOT_STARTED = (RefusedError, NotFoundError, DeniedError, UsageError)
"""After any other error a run may use the tree; where none does, the pruner removes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCode:
    """Code that is not what the clone has: that of a run which is started again.

    Attributes:
        commit: It is in the clone.
        patch_of: The job whose edits were on top of it; "" for none.
        patch: Those edits.
    """

    commit: str
    patch_of: str = ""
    patch: bytes | None = None

    def instead_of(self, clone: Tree) -> Tree:
        """Return the clone as if it had this code."""
        edits = (f"the edits of {self.patch_of}",) if self.patch_of else ()
        return replace(
            clone, head=self.commit, branch=None, edits=edits, untracked=(), unpushed=()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlace:
    """Where a run works: the clone, or a tree of its own, which may not be made yet.

    Attributes:
        root: The tree, absolute.
        clone: The project's clone as it is now.
        links: What a tree of its own shares with the clone.
        patch_of: The job whose edits it has, in place of those of the clone.
    """

    root: str
    clone: Tree
    links: tuple[str, ...] = ()
    patch_of: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it is a tree of the run's own."""
        return self.root != self.clone.path

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a run there.

        An environment that is shared may have the clone's code installed as editable: the
        tree's own comes before it. And uv must not install the tree's in its place.
        """
        if not self.is_own:
            return dict(env)
        inherited_paths = filter(None, (env.get("PYTHONPATH"),))
        path = ":".join((f"{self.root}/src", self.root, *inherited_paths))
        return {"UV_NO_SYNC": "1", **env, "PYTHONPATH": path}

    def files(self, declared: Sequence[str]) -> dict[str, str]:
        """Return the files of the job's folder that say where it works and what it writes."""
        files = {"outputs": run_files.request(self.root, self.clone.path, declared)}
        if self.is_own:
            files["own_tree"] = f"{self.root}\n{self.clone.path}\n"
        return files

    @contextlib.contextmanager
    def made(self, sandbox: Sandbox) -> Iterator[tuple[str, ...]]:
        """Make the tree for the run that is started within; removed if none is.

        It has the clone's commit, its submodules and large files, its edits of tracked
        files where a start with edits was forced, and links to what the clone shares.

        Yields:
            Warnings: what is to be shared and is not in the clone.

        Raises:
            RefusedError: No tree can be made, or it is not what the commit says.
        """
        if not self.is_own:
            yield ()
            return
        clone = self.clone.path
        try:
            missing = self._make(sandbox)
            yield tuple(
                f"the run's tree has no {link}: it is not in {clone}"
                for link in missing
                if link != ".venv"
            )
        except _NOT_STARTED:
            self._remove(sandbox)
            raise

    def _remove(self, sandbox: Sandbox) -> None:
        doing = f"remove {self.root}"
        own_scripts.ask(
            sandbox, "own_tree_remove", self.clone.path, self.root, doing=doing
        )

    def _make(self, sandbox: Sandbox) -> tuple[str, ...]:
        clone, commit = self.clone.path, self.clone.head or ""
        reply = own_scripts.ask(
            sandbox,
            *("own_tree", clone, commit, self.root, *self.links),
            doing=f"make a tree for a run at {self.root}",
            timeout_s=_NETWORK_S,
        )
        repo.settle(sandbox, self.root, commit)
        if self.patch_of:
            doing = f"make the edits of {self.patch_of} in {self.root}"
            own_scripts.ask(
                sandbox, "own_tree_patch", self.root, self.patch_of, doing=doing
            )
        elif self.clone.edits:
            doing = f"make the edits of {clone} in {self.root}"
            own_scripts.ask(sandbox, "own_tree_edits", clone, self.root, doing=doing)
        return reply.all("missing")


def place(
    sandbox: Sandbox,
    project: Project,
    clone: Tree,
    *,
    own: bool = False,
    patch_of: str = "",
) -> RunPlace:
    """Return where a run of the project works: its own tree, if asked for or configured."""
    if not own and project.train_tree != _OWN:
        return RunPlace(root=clone.path, clone=clone)
    root = f"{_trees(sandbox, project)}{secrets.token_hex(6)}"
    return RunPlace(root=root, clone=clone, links=project.links, patch_of=patch_of)


@contextlib.contextmanager
def all_made(
    sandbox: Sandbox, places: Sequence[RunPlace]
) -> Iterator[Callable[[int, SandboxError | None], None]]:
    """Make the trees of several runs that are started within, in that order.

    Yields:
        What is called with how many were started, and why no more: it removes the other trees.

    Raises:
        RefusedError: One cannot be made; then those that were are removed.
    """
    own = [place for place in places if place.is_own]

    def started(number: int, error: SandboxError | None) -> None:
        if error is None or isinstance(error, _NOT_STARTED):
            for place in own[number:]:
                place._remove(sandbox)  # noqa: SLF001  # of this module

    with contextlib.ExitStack() as stack:
        for place in own:
            stack.enter_context(place.made(sandbox))
        yield started


def running(jobs: Iterable[Job], sandbox: Sandbox, project: Project) -> tuple[Job, ...]:
    """Return the project's live jobs that have trees of their own."""
    top = _trees(sandbox, project)
    return tuple(
        job for job in jobs if not job.state.ended and job.project_path.startswith(top)
    )


def is_of(sandbox: Sandbox, project: Project, path: str) -> bool:
    """Return whether a tree is the project's: its clone, or that of a run of it."""
    clone = sandbox.project_path(project)
    return path == clone or path.startswith(_trees(sandbox, project))


def _trees(sandbox: Sandbox, project: Project) -> str:
    workspace = sandbox.config.workspace.rstrip("/")
    return f"{workspace}/.sandbox-ops/trees/{project.name}-"
