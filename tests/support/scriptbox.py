"""A machine without a network: our scripts by any shell, on a clone of its own."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gitproject import GitProject
from sshd_files import PLAIN_PYTHON

from sandbox_ops.git.runner import GIT_ENV
from sandbox_ops.machine import repo
from sandbox_ops.remote import script_replies, scripts

SHELLS = ("dash", "busybox")
Files = dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class ScriptBox:
    """A workspace, a shell with its tools, and the project whose clone stands there."""

    shell: tuple[str, ...]
    path: str
    workspace: Path
    project: GitProject

    @property
    def clone(self) -> Path:
        return self.workspace / self.project.name

    def run(
        self, name: str, *arguments: str, before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as a machine does; `before` is shell text that comes first."""
        text = f"{before}\n{scripts.script(name, *arguments)}"
        return subprocess.run(
            [*self.shell, "-c", text],
            env={
                **os.environ,
                **GIT_ENV,
                "PATH": self.path,
                "PYTHONPATH": str(PLAIN_PYTHON),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def says(self, name: str, *arguments: str) -> script_replies.Reply:
        """Return what the script answers.

        Raises:
            AssertionError: it refused.
        """
        done = self.run(name, *arguments)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return script_replies.read(done.stdout)

    def refuses(self, name: str, *arguments: str, before: str = "") -> str:
        """Return what the script says as it refuses: its lines, then git's.

        Raises:
            AssertionError: it did not refuse.
        """
        done = self.run(name, *arguments, before=before)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def git(self, *arguments: str) -> str:
        """Run git in the clone, as somebody on the machine."""
        return self.project.git(*arguments, at=self.clone)

    def write(self, name: str, data: bytes | str) -> Path:
        """Write a file of the clone."""
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def clone_it(self) -> str:
        """Clone the project's main, with somebody's identity for commits there."""
        url = self.project.url
        head = self.says("repo_clone", str(self.clone), url, "main").need("head")
        self.git("config", "user.name", "Somebody There")
        self.git("config", "user.email", "there@example.com")
        return head

    def look(self) -> repo.Tree:
        reply = self.says("repo_facts", str(self.clone), "main")
        return repo.tree(str(self.clone), reply)

    def sync(self) -> str:
        """Bring the clone to the project's head, as sync does; return the backup."""
        place, before, head = str(self.clone), self.look().head, self.project.head
        self.says("repo_fetch", place, "main", head)
        reply = self.says("repo_checkout", place, "main", head, before or "")
        self.says("repo_settle", place, head)
        return reply.get("backup")

    def reset(self, *keep: str) -> str:
        """Bring the clone back to upstream, as reset does; return the backup.

        Raises:
            AssertionError: it refused, or the tree is not upstream's main.
        """
        place = str(self.clone)
        tip = self.says("repo_fetch", place, "main", "").need("tip")
        for name in reversed(self.says("repo_submodules", place).all("submodule")):
            self.says("repo_reset", str(self.clone / name), "", "HEAD")
        backup = self.says("repo_reset", place, "main", tip, *keep).get("backup")
        self.says("repo_settle", place, tip, *keep)
        assert self.git("rev-parse", "HEAD") == tip
        assert self.git("symbolic-ref", "HEAD") == "refs/heads/main"
        return backup

    def saved(self, ref: str) -> Files:
        """Return every file of the tree that `ref` is, with its blob's own bytes."""
        values = {}
        for entry in filter(None, self.git("ls-tree", "-rz", ref).split("\0")):
            facts, name = entry.split("\t", 1)
            mode, kind, blob = facts.split()
            if kind == "blob":
                show = ["git", "cat-file", "blob", blob]
                data = subprocess.check_output(show, cwd=self.clone)
                values[name] = (_kind(int(mode, 8)), data)
        return values


def make_script_box(folder: Path, shell: str, project: GitProject) -> ScriptBox:
    """Make one whose tools are the shell's own, where it brings them.

    Raises:
        AssertionError: the shell is not installed here.
    """
    program = shutil.which(shell)
    assert program, f"install {shell}: it is what some machines have"
    path = "/usr/local/bin:/usr/bin:/bin"
    if shell == "busybox":
        applets = folder / "applets"
        applets.mkdir()
        subprocess.run([program, "--install", "-s", applets], check=True)
        path = f"{applets}:{path}"
    return ScriptBox(
        shell=(program, "sh") if shell == "busybox" else (program,),
        path=path,
        workspace=folder / "workspace",
        project=project,
    )


def files(folder: Path) -> Files:
    """Return every file below `folder` but git's own: its kind and its bytes."""
    values = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if ".git" in below.parts or (path.is_dir() and not path.is_symlink()):
            continue
        kind = _kind(path.lstat().st_mode)
        linked = stat.S_ISLNK(kind)
        data = os.fsencode(path.readlink()) if linked else path.read_bytes()
        values[str(below)] = (kind, data)
    return values


def _kind(mode: int) -> int:
    """Return what git keeps of a mode: the type, and whether it can be run."""
    linked = stat.S_ISLNK(mode)
    return stat.S_IFMT(mode) | (0 if linked else mode & stat.S_IXUSR)
