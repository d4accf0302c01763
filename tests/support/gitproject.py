"""A project as a user has it: a bare repository that plays GitHub, and a clone."""

import dataclasses
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.models import Project

BRANCH = "main"
_DATE = f"@{int(time.time())} +0000"


@dataclass(frozen=True)
class GitProject:
    """One project on this machine.

    Attributes:
        origin: The bare repository.
        clone: The work tree the user edits, on `main`, clean and pushed at first.
    """

    origin: Path
    clone: Path

    @property
    def name(self) -> str:
        return self.origin.name.removesuffix(".git")

    @property
    def url(self) -> str:
        return f"file://{self.origin}"

    @property
    def head(self) -> str:
        """The commit the clone is at."""
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git in the clone (or `at` another path); return what it printed.

        Raises:
            AssertionError: git failed; with what it said.
        """
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.clone,
            env={**os.environ, "GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr or done.stdout}"
        return done.stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Edit files of the clone without committing them."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def commit(
        self, files: Mapping[str, str], message: str = "Change", *, push: bool = False
    ) -> str:
        """Write and commit files; return the commit."""
        self.write(files)
        self.git("add", "--", *files)
        self.git("commit", "-q", "-m", message)
        if push:
            self.push()
        return self.head

    def push(self) -> None:
        """Push the branch."""
        self.git("push", "-q", "-u", "origin", BRANCH)

    def project(self, **changes: object) -> Project:
        """Return it as the library sees it.

        Args:
            changes: Fields of `Project` to set otherwise.
        """
        project = Project(
            root=str(self.clone), repo=self.url, name=self.name, branch=BRANCH
        )
        return dataclasses.replace(project, **changes)  # type: ignore[arg-type]


def make_git_project(
    folder: Path,
    name: str = "bucket-brigade",
    files: Mapping[str, str] | None = None,
) -> GitProject:
    """Make a project with one commit, pushed."""
    text = {"README.md": f"# {name}\n"} if files is None else files
    first = _first(name, tuple(text.items()))
    project = GitProject(origin=folder / f"{name}.git", clone=folder / name)
    shutil.copytree(first.origin, project.origin, symlinks=True)
    copy_clone(first.clone, project.clone, first.url, project.url)
    return project


def copy_clone(old: Path, new: Path, old_url: str, new_url: str) -> None:
    """Copy a clone whose remote is a copy, too."""
    shutil.copytree(old, new, symlinks=True)
    config = new / ".git" / "config"
    config.write_text(config.read_text("utf-8").replace(old_url, new_url), "utf-8")


@functools.cache
def _first(name: str, files: tuple[tuple[str, str], ...]) -> GitProject:
    """Make the project that the others of that name and these files are copies of.

    A dozen git processes, which are paid for once a run.
    """
    folder = Path(tempfile.mkdtemp(dir=patterns_folder()))
    project = GitProject(origin=folder / f"{name}.git", clone=folder / name)
    project.git("init", "-q", "--bare", "-b", BRANCH, str(project.origin), at=folder)
    project.git("clone", "-q", project.url, str(project.clone), at=folder)
    project.git("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    project.git("config", "user.name", "Rosa Tester")
    project.git("config", "user.email", "rosa@example.com")
    project.commit(dict(files), "First commit", push=True)
    return project


@functools.cache
def patterns_folder() -> str:
    """Return the folder of what copies are made of; it goes when this process ends."""
    _kept.append(tempfile.TemporaryDirectory(prefix="patterns-"))
    return _kept[0].name


_kept: list[tempfile.TemporaryDirectory[str]] = []
