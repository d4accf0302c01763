"""What the local clone says of the project: its folder, its branch, its origin."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.config import value_checks
from sandbox_ops.config.files import work_trees
from sandbox_ops.errors import ConfigError, NotFoundError, TimedOutError
from sandbox_ops.git import runner

_TIMEOUT_S = 10
# What git says where there is no work tree, which is fine.
_NO_WORK_TREE = (
    "not a git repository",
    "must be run in a work tree",
    "cannot use bare repository",
)


@dataclass(frozen=True, slots=True)
class LocalClone:
    """What git says of the local clone.

    Attributes:
        root: Its top folder; None where there is none.
        branch: The current branch; "" where HEAD is detached.
        origin: The URL of its origin; "" where it has none.
    """

    root: str | None = None
    branch: str = ""
    origin: str = ""


def look(cwd: Path, environ: Mapping[str, str]) -> LocalClone:
    """Return the clone around a folder.

    Raises:
        ConfigError: git refuses to answer, puts the work tree somewhere else, or the
            origin is a URL that we do not take.
    """
    try:
        return _look(cwd, environ)
    except NotFoundError:  # no git here
        return LocalClone()
    except TimedOutError as error:
        raise ConfigError(error.message, *error.hints) from error


def _look(cwd: Path, environ: Mapping[str, str]) -> LocalClone:
    code, stdout, stderr = _git(
        cwd, environ, "rev-parse", "--show-toplevel", "--symbolic-full-name", "HEAD"
    )
    # Two lines; the first may hold line ends of its own.
    root, _, head = stdout.removesuffix("\n").rpartition("\n")
    if not root:
        _refuse_silence(stderr, cwd)
        return LocalClone()
    _refuse_other_root(root, cwd, environ)
    if code:  # a branch without a commit
        head = _git(cwd, environ, "symbolic-ref", "-q", "HEAD")[1].strip()
    branch = head.removeprefix("refs/heads/") if head != "HEAD" else ""
    origin = _git(cwd, environ, "remote", "get-url", "origin")[1].strip()
    return LocalClone(root, branch, _checked_url(origin, root))


def _refuse_silence(stderr: str, cwd: Path) -> None:
    """Refuse, unless there is no work tree, which is fine."""
    message, _, advice = stderr.strip().partition("\n")
    if message and not any(phrase in message for phrase in _NO_WORK_TREE):
        raise ConfigError(
            f"git does not answer about the clone in {cwd}: {message}",
            advice.strip() or f"See what is wrong: git -C {cwd} status",
        )


def _refuse_other_root(root: str, cwd: Path, environ: Mapping[str, str]) -> None:
    """Refuse a work tree that is not around its `.git`, as core.worktree can make one.

    What is fetched would land there: in the home, say.
    """
    if "GIT_WORK_TREE" in environ or "GIT_DIR" in environ:  # the user's own word
        return
    nearest = next(work_trees(cwd), None)
    if nearest is not None and nearest != Path(root).resolve():
        raise ConfigError(
            f"the clone in {nearest} has its work tree in {root}: expected it in its "
            "own folder",
            f"Remove the setting: git -C {nearest} config --unset core.worktree",
        )


def _checked_url(url: str, root: str) -> str:
    if not url:
        return ""
    try:
        return value_checks.repo(url)
    except ValueError as error:
        raise ConfigError(
            f"the origin of the clone in {root} is {url!r}: it {error}; expected the "
            "URL of a git repository",
            f"Set another: git -C {root} remote set-url origin URL",
        ) from error


def _git(
    cwd: Path, environ: Mapping[str, str], *arguments: str
) -> tuple[int, str, str]:
    done = runner.run(cwd, *arguments, environ=environ, timeout_s=_TIMEOUT_S)
    stdout = done.stdout.decode("utf-8", "surrogateescape")
    return done.returncode, stdout, done.stderr.decode("utf-8", "surrogateescape")
