"""What the story happens among: a repository that plays GitHub, and a clone of it."""

import json
import os
import shutil
import string
import subprocess
from importlib import resources
from pathlib import Path

from sandbox_ops.errors import NotFoundError, SandboxError
from sandbox_ops.models import SandboxConfig

NAME = "next-letter"
_BOX = "demo-box"
_FILES = {"train.py": "train.py", "README.md": "README.md", "gitignore": ".gitignore"}
_ALLOWED = ("--config", "protocol.file.allow=always")
"""The repository is a folder here, which a careful user's git refuses: CVE-2022-39253."""
_AUTHOR = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,  # no signing, no hooks, no templates of the user's
    "GIT_CONFIG_NOSYSTEM": "1",
}
_GITCONFIG = """\
[protocol "file"]
	allow = always
"""


def build(root: Path, box: SandboxConfig) -> Path:
    """Make the repository and a clone with one pushed commit; return the clone.

    Raises:
        NotFoundError: git is not installed.
    """
    if shutil.which("git") is None:
        raise NotFoundError("there is no git on this machine", "Install git.")
    github, clone = root / "github" / f"{NAME}.git", root / "laptop" / NAME
    _git(root, "init", "--quiet", "--bare", "--initial-branch=main", str(github))
    _git(root, "clone", "--quiet", *_ALLOWED, str(github), str(clone))
    _git(clone, "checkout", "--quiet", "-B", "main")
    source = resources.files("sandbox_ops.demo") / "project"
    for name, there in _FILES.items():
        (clone / there).write_bytes((source / name).read_bytes())
    template = string.Template((source / "sandbox.toml.in").read_text("utf-8"))
    values = {"workspace": json.dumps(box.workspace)}
    (clone / "sandbox.toml").write_text(template.substitute(values), "utf-8")
    own = configuration(root) / "sandbox-ops" / "config.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        f"[sandboxes.{_BOX}]\nhost = {json.dumps(box.host)}\n"
        f"ssh_config = {json.dumps(box.ssh_config)}\n",
        "utf-8",
    )
    home = Path(box.workspace).parent / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(_GITCONFIG, "utf-8")  # the same, on the machine
    commit(clone, "A model that guesses the next letter")
    _git(clone, "push", "--quiet", "--set-upstream", "origin", "main")
    return clone


def configuration(root: Path) -> Path:
    """Return the folder that is the user's XDG_CONFIG_HOME in the story."""
    return root / "laptop" / "config"


def edit(clone: Path, file: str, old: str, new: str) -> None:
    """Replace the one place in a file where it says `old`."""
    path = clone / file
    text = path.read_text("utf-8")
    if text.count(old) != 1:
        raise SandboxError(f"the demo's {file} does not say `{old}` exactly once")
    path.write_text(text.replace(old, new), "utf-8")


def commit(clone: Path, message: str) -> None:
    """Commit all that changed."""
    _git(clone, "add", "--all")
    _git(clone, "commit", "--quiet", f"--message={message}")


def _git(cwd: Path, *arguments: str) -> None:
    """Run git, deaf to the caller's own settings.

    Raises:
        SandboxError: it failed; says what git said.
    """
    cwd.mkdir(parents=True, exist_ok=True)
    own = {key: value for key, value in os.environ.items() if key[:4] != "GIT_"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=own | _AUTHOR,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.decode("utf-8", "backslashreplace").strip()
        raise SandboxError(f"cannot run `git {' '.join(arguments)}` in {cwd}", reason)
