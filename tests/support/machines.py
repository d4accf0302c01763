"""A project on a machine, as the tests of the verbs need it."""

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gitproject import GitProject, copy_clone, patterns_folder

from sandbox_ops import Sandbox
from sandbox_ops.machine import environment
from sandbox_ops.models import Project
from sandbox_ops.workflows.setup import setup


@dataclass(frozen=True)
class Place:
    """A project, and its clone on a machine that is this one."""

    sandbox: Sandbox
    git: GitProject

    @property
    def project(self) -> Project:
        return self.git.project()

    @property
    def clone(self) -> Path:
        return Path(self.sandbox.project_path(self.project))

    @property
    def head(self) -> str:
        return self.run("rev-parse", "HEAD")

    def run(self, *arguments: str) -> str:
        """Run git in the clone, as somebody on the machine."""
        return self.git.git(*arguments, at=self.clone)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the clone."""
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path


def set_up(sandbox: Sandbox, git: GitProject, *, copied: bool = True) -> Place:
    """Set the project up, with somebody's identity for commits there.

    Args:
        sandbox: The machine, which is this one.
        git: The project.
        copied: Whether the clone may be a copy of what the setup of an equal project
            made before on another machine of the tests.
    """
    place = Place(sandbox, git)
    refs = git.git("for-each-ref", at=git.origin)
    pattern = _patterns.get((git.name, refs)) if copied else None
    if pattern is None:
        _really_set_up(place)
        if copied:
            kept = Path(tempfile.mkdtemp(dir=patterns_folder())) / git.name
            shutil.copytree(place.clone, kept, symlinks=True)
            _patterns[git.name, refs] = _Pattern(kept, git.url)
    else:
        place.clone.parent.mkdir(parents=True, exist_ok=True)
        copy_clone(pattern.clone, place.clone, pattern.url, git.url)
        place.run("update-index", "-q", "--refresh")
    return place


def _really_set_up(place: Place) -> None:
    # what a torch of this computer can do is no matter here: the record says it was seen
    unverified = dataclasses.replace(place.project, verify=())
    report = setup(place.sandbox, unverified)
    assert report.ok, report.steps[-1].detail
    environment.look(place.sandbox, place.project, str(place.clone), record=True)
    place.run("config", "user.name", "Somebody There")
    place.run("config", "user.email", "there@example.com")


@dataclass(frozen=True)
class _Pattern:
    """A clone as a setup left it, and where its commits came from."""

    clone: Path
    url: str


_patterns: dict[tuple[str, str], _Pattern] = {}
"""By the project's name and the refs of its origin."""


def fake_gpus(home: Path, *devices: str, processes: str = "") -> None:
    """Give a machine an nvidia-smi that answers with these CSV lines.

    Args:
        home: Of the account whose login finds it.
        devices: index, name, uuid, utilization, memory used, total, heat, driver.
        processes: The lines of --query-compute-apps.
    """
    folder = home / "fake-gpus"
    folder.mkdir()
    (folder / "devices").write_text("".join(f"{line}\n" for line in devices))
    (folder / "processes").write_text(processes)
    program = folder / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *compute-apps*) cat {folder}/processes ;;\n'
        f"*) cat {folder}/devices ;; esac\n"
    )
    program.chmod(0o755)
    with (home / ".profile").open("a") as profile:
        profile.write(f'PATH="{folder}:$PATH"\n')
