"""A project on a machine, as the tests of the verbs need it."""

from dataclasses import dataclass
from pathlib import Path

from gitproject import GitProject

from sandbox_ops import Sandbox
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


def set_up(sandbox: Sandbox, git: GitProject) -> Place:
    """Set the project up, with somebody's identity for commits there."""
    place = Place(sandbox, git)
    report = setup(sandbox, place.project)
    assert report.ok, report.steps[-1].detail
    place.run("config", "user.name", "Somebody There")
    place.run("config", "user.email", "there@example.com")
    return place


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
