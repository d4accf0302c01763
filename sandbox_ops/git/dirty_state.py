"""What the work tree holds and no commit does, made into one: nothing here is changed.

The commit is made with an index and a folder of objects of its own, from the same state
always the same one: its hash says that two states are alike. Ignored files are not in it.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.errors import RefusedError
from sandbox_ops.git import clone_config, explanations, porcelain, results, runner

MOST_BYTES = 8 << 20
"""A file that is larger is data, which `put` sends, and no code."""

REFS = "refs/sandbox-ops/dirty"
_GIT_S = 120
_NAME = "sandbox-ops"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyState:
    """Edits and untracked files as a commit.

    Attributes:
        commit: On top of `base`.
        base: The commit that is checked out.
        patch_sha256: Of the patch from one to the other, as git writes it.
        files: What it touches.
        environ: The environment in which git finds its objects.
    """

    commit: str
    base: str
    patch_sha256: str
    files: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def ref(self) -> str:
        """What keeps it on a machine."""
        return f"{REFS}/{self.patch_sha256[:16]}"


def look(root: str, folder: Path, outputs: Sequence[str] = ()) -> DirtyState | None:
    """Return the work tree at `root` as a commit; None where HEAD has it all.

    Args:
        root: The clone.
        folder: An empty one, for what git writes; the state lasts as long as it does.
        outputs: Declared outputs, as relative patterns: what of them is untracked is
            no code.

    Raises:
        RefusedError: A file is too large for git, or git fails.
        DeniedError: The clone's own configuration names programs.
    """
    clone_config.check(root)
    git = _Git(root, folder)
    base = git.line("rev-parse", "--verify", "HEAD^{commit}")
    git.run("add", "-u")
    _add_untracked(git, results.left_out(outputs))
    tree = git.line("write-tree")
    if tree == git.line("rev-parse", f"{base}^{{tree}}"):
        return None
    changed = git.run("diff-tree", "-r", "--no-renames", "-z", base, tree)
    files = _refuse_large(git, changed)
    patch = folder / "patch"
    options = (
        "--binary",
        "--full-index",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
    )
    patch.write_bytes(git.run("diff-tree", "-r", "-p", *options, base, tree))
    with patch.open("rb") as file:
        patch_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    message = (
        f"Edits on top of {base[:10]} that were not committed\n\n"
        f"Base: {base}\nPatch-SHA256: {patch_sha256}\n"
    )
    date = git.line("log", "-1", "--no-show-signature", "--format=%cI", base)
    commit = git.line("commit-tree", tree, "-p", base, "-m", message, date=date)
    return DirtyState(
        commit=commit,
        base=base,
        patch_sha256=patch_sha256,
        files=files,
        environ=git.environ,
    )


def _add_untracked(git: "_Git", pathspecs: Sequence[str]) -> None:
    """Add what is neither tracked nor ignored.

    Not by `git add PATHSPECS`: that fails where one of them excludes what is ignored, as
    results usually are.
    """
    names = git.run(
        "ls-files", "-z", "--others", "--exclude-standard", "--", *pathspecs
    )
    exact = b"".join(b":(literal)%s\0" % name for name in names.split(b"\0") if name)
    if exact:
        git.run("add", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=exact)


class _Git:
    """Git with an index and objects of its own, beside those of the clone."""

    def __init__(self, root: str, folder: Path) -> None:
        self._root = root
        index = self._path("index")
        if index.exists():
            shutil.copy2(index, folder / "index")  # with its time, by which git knows
        objects = folder / "objects"
        objects.mkdir()
        also = os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES", "")
        self.environ: dict[str, str] = {
            **os.environ,
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(
                filter(None, (str(self._path("objects")), also))
            ),
        }
        for who in ("AUTHOR", "COMMITTER"):
            self.environ[f"GIT_{who}_NAME"] = _NAME
            self.environ[f"GIT_{who}_EMAIL"] = f"{_NAME}@localhost"

    def _path(self, name: str) -> Path:
        done = runner.run(self._root, "rev-parse", "--git-path", name, timeout_s=_GIT_S)
        return Path(self._root, done.stdout.decode("utf-8", "surrogateescape").strip())

    def run(self, *arguments: str, date: str = "", stdin: bytes = b"") -> bytes:
        environ = self.environ
        if date:
            environ = {**environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        done = runner.run(
            self._root, *arguments, environ=environ, stdin=stdin, timeout_s=_GIT_S
        )
        if done.returncode:
            error = explanations.explain(done.stderr.decode("utf-8", "replace"))
            raise type(error)(
                f"git {arguments[0]} failed in {self._root}: {error.message}",
                *error.hints,
            )
        return done.stdout

    def line(self, *arguments: str, date: str = "") -> str:
        return self.run(*arguments, date=date).decode().strip()


def _refuse_large(git: _Git, changed: bytes) -> tuple[str, ...]:
    """Return the names that changed.

    Raises:
        RefusedError: Some are too large; names them.
    """
    fields = changed.decode("utf-8", "surrogateescape").split("\0")
    facts, names = fields[:-1:2], fields[1::2]
    blobs = [fact.split()[3] for fact in facts]
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    answer = git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked).decode()
    sizes = dict(zip(names, answer.splitlines(), strict=True))
    large = [
        f"  {name}, {int(size) >> 20} MiB"
        for name, size in sizes.items()
        if size.isdecimal() and int(size) > MOST_BYTES
    ]
    if large:
        raise RefusedError(
            "\n".join(["these files are too large to go as edits of code:", *large]),
            "Have git ignore them, and send them as data: sandbox-ops put PATH",
        )
    return tuple(map(porcelain.unquote, names))
