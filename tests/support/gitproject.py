"""A project as a user has it: a bare repository that plays GitHub, and a clone."""

import dataclasses
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.models import Project

BRANCH = "main"


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
    project = GitProject(origin=folder / f"{name}.git", clone=folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    project.git("init", "-q", "--bare", "-b", BRANCH, str(project.origin), at=folder)
    project.git("clone", "-q", project.url, str(project.clone), at=folder)
    project.git("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    project.git("config", "user.name", "Rosa Tester")
    project.git("config", "user.email", "rosa@example.com")
    text = {"README.md": f"# {name}\n"} if files is None else files
    project.commit(text, "First commit", push=True)
    return project
