"""A clone on the machine that somebody edits there, and whether any of it got lost.

Whatever is put into it has a text of its own. Afterwards that text has to be where it
was put, or in a commit that some ref leads to: a backup's, or upstream.
"""

import contextlib
import hashlib
import random
from pathlib import Path

from gitproject import GitProject, make_git_project

from sandbox_ops import Sandbox
from sandbox_ops.errors import SandboxError
from sandbox_ops.models import Project, SandboxConfig
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.sync import sync

TRACKED = ("README.md", "src/train.py", "notes/deep er/é.txt")


class TreeWork:
    """The clone of one project on one machine.

    Attributes:
        device: The disk that it has for itself.
        put: What somebody put there last, by place (tree, index, a commit) and path.
    """

    def __init__(self, folder: Path, workspace: Path) -> None:
        texts = {name: f"{name}\n" for name in TRACKED}
        self.git: GitProject = make_git_project(folder, "tower", texts)
        self.clone = workspace / self.git.name
        self.git.git("clone", "-q", self.git.url, str(self.clone))
        for name in ("user.name", "user.email"):
            self._there("config", name, "somebody@example.com")
        self.device = self.clone.stat().st_dev
        self.put: dict[tuple[str, str], bytes] = {}

    def edit(self, chance: random.Random, token: str) -> None:
        """Do what people do in a clone on a machine: edit, stage, commit, add files."""
        new = (f"{token}.txt", f"new-{token}/{token}.bin")
        for n, path in enumerate(chance.sample((*TRACKED, *new), chance.randint(1, 4))):
            text = self._write(path, f"{token} {n}\n" * chance.choice((1, 1, 2000)))
            fate = chance.choice(("", "", "index", token))
            if fate:
                self._there("add", "--", path)
                self.put["index", path] = text
            if fate == token:
                self._there("commit", "-q", "-m", token, "--", path)
                self.put[token, path] = text
            if fate and chance.random() < 0.5:  # a coin
                self._write(path, f"{token} {n} again\n")

    def advance(self, chance: random.Random, token: str) -> None:
        """Let upstream have a new commit, perhaps with a file that is in the way."""
        paths = chance.sample((*TRACKED, f"{token}.txt"), 2)
        texts = {path: f"upstream for {token}: {path}\n" for path in paths}
        self.git.commit(texts, f"For {token}", push=True)

    def lost(self) -> list[str]:
        """Return places and paths of what was put there and cannot be found again."""
        refs = ("--exclude=refs/stash", "--all", "HEAD")
        listed = self._there("rev-list", "--objects", *refs).split("\n")
        listed += self._there("ls-files", "-s").split("\n")  # staged is not lost
        kept = {arguments.split(" ")[0] for arguments in listed}
        kept |= {
            arguments.split(" ")[1]
            for arguments in listed
            if arguments.startswith("100")
        }
        return [
            f"{path} ({place})"
            for (place, path), data in self.put.items()
            if not _holds(self.clone / path, data) and _blob_id(data) not in kept
        ]

    def tidy(self) -> None:
        """Do what a refusal asks for: remove the locks that the dead have left."""
        for lock in (self.clone / ".git").rglob("*.lock"):
            lock.unlink()

    def forget(self) -> None:
        """Ask for nothing of before; keep the backups from piling up."""
        self.put.clear()
        for ref in self._there(
            "for-each-ref", "--format=%(refname)", "refs/sandbox-ops/backup"
        ).split():
            self._there("update-ref", "-d", ref)

    def _write(self, path: str, text: str) -> bytes:
        file = self.clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        self.put["tree", path] = text.encode()
        return text.encode()

    def _there(self, *arguments: str) -> str:
        return self.git.git("-c", "core.quotePath=false", *arguments, at=self.clone)


def change(config: SandboxConfig, project: Project, verb: str) -> None:
    """Reset or sync a clone, from a thread or from a process that may be killed."""
    with contextlib.suppress(SandboxError), Sandbox(config) as sandbox:
        if verb == "reset":
            reset(sandbox, project)
        else:
            sync(sandbox, project)


def _holds(file: Path, data: bytes) -> bool:
    with contextlib.suppress(OSError):
        return file.read_bytes() == data
    return False


def _blob_id(data: bytes) -> str:
    """Return the name that git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest()  # noqa: S324
