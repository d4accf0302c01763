"""The only reader of this machine's configuration files and of its git's facts.

What the texts mean is decided in config/, which is pure. A sandbox is looked up without
git; the project asks git, twice, when it is first needed.
"""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sandbox_ops.config import (
    Config,
    Given,
    Layer,
    combine,
    from_environment,
    from_registration,
    from_toml,
    project_name,
)
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import Project, SandboxConfig

_FILE = "sandbox.toml"
_FILE_VARIABLE = "SANDBOX_OPS_CONFIG"
_REGISTRATIONS = (".mcp.json", ".claude/mcp_settings.json")
_GIT_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is configured for a working directory.

    Attributes:
        config: All sources together.
        file: The sandbox.toml that was read; None where there is none.
        cwd: The working directory, absolute.
        environ: The environment that was read.
    """

    config: Config
    file: Path | None
    cwd: Path
    environ: Mapping[str, str]

    @property
    def sandbox_names(self) -> tuple[str, ...]:
        """The names of all sandboxes, in the order of the file."""
        return tuple(self.config.sandboxes)

    def sandbox(self, name: str = "") -> SandboxConfig:
        """Return a sandbox by its name, or the default one; its paths are absolute.

        Raises:
            ConfigError: There is no such sandbox, or no default; or a file of the
                project gives a path inside the project.
        """
        name, given = self.config.given(name)
        written = self.config.sandbox(name)
        return replace(
            written,
            identity_file=self._path(given.get("identity_file")),
            known_hosts=self._path(given.get("known_hosts")),
            ssh_config=self._path(given.get("ssh_config")),
        )

    @cached_property
    def project(self) -> Project:
        """What is configured of the project, and else what the local clone says.

        Raises:
            ConfigError: Git refuses to answer, or the URL gives the project no name.
        """
        configured = self.config.project
        clone = _clone(self.cwd, self.environ)
        repo = configured.repo or clone.origin
        return replace(
            configured,
            root=clone.root,
            repo=repo,
            name=project_name(repo) if repo else "",
            branch=configured.branch or clone.branch,
        )

    def _path(self, given: Given | None) -> str | None:
        if given is None:
            return None
        text = str(given.value)
        path = Path(given.repository or self.cwd) / _expand_home(text, self.environ)
        if given.repository:
            self._refuse_inside(path, given)
        return str(path)

    def _refuse_inside(self, path: Path, given: Given) -> None:
        """Refuse a path that a repository gives and could have filled itself."""
        real, home = path.resolve(), _home(self.environ).resolve()
        for tree in (*_work_trees(Path(given.repository)), *_work_trees(self.cwd)):
            # Whoever keeps the whole home in a repository owns that repository.
            owned = home.is_relative_to(tree.resolve())
            if real.is_relative_to(tree.resolve()) and not owned:
                raise ConfigError(
                    f'{given.where} is "{given.value}", which lies inside the work '
                    f"tree {tree}: expected a path outside of it, for what a "
                    "repository holds is not trusted with keys and hosts",
                    "Move the file out, to ~/.ssh for one, or name it in the "
                    "environment: SANDBOX_OPS_IDENTITY_FILE, SANDBOX_OPS_KNOWN_HOSTS, "
                    "SANDBOX_OPS_SSH_CONFIG.",
                )


def settings(cwd: Path, environ: Mapping[str, str]) -> Settings:
    """Read what is configured for a working directory.

    `$SANDBOX_OPS_CONFIG`, else the nearest sandbox.toml from `cwd` upward; where it
    describes no sandbox, also the MCP registration in the project's root, and SSH_HOST.

    Raises:
        ConfigError: A file cannot be read, or says what is not known; or a variable
            does.
    """
    cwd = cwd.absolute()
    file = _config_file(cwd, environ)
    layer = Layer()
    if file:
        layer = from_toml(_read(file), str(file), str(file.parent))
    alone = not layer.sandboxes
    registered = _registered(cwd, environ) if alone else ()
    variables = from_environment(environ, ssh_names=alone)
    place = f"{file} describes none" if file else f"no {_FILE} in {cwd} or above it"
    return Settings(
        config=combine(
            layer,
            (*registered, *variables),
            source="the environment" if alone else str(file),
            searched=f"{place}, and SSH_HOST is not set",
        ),
        file=file,
        cwd=cwd,
        environ=environ,
    )


def _config_file(cwd: Path, environ: Mapping[str, str]) -> Path | None:
    if named := environ.get(_FILE_VARIABLE, ""):
        file = cwd / _expand_home(named, environ)
        if not _is_file(file):
            raise ConfigError(
                f"environment variable {_FILE_VARIABLE} is {named!r}: there is no such "
                "file",
                f"Set it to the path of a {_FILE}, or unset it.",
            )
        return file
    places = (folder / _FILE for folder in (cwd, *cwd.parents))
    return next((file for file in places if _is_file(file)), None)


def _registered(cwd: Path, environ: Mapping[str, str]) -> tuple[Layer, ...]:
    """Read the first registration of our MCP server in the project's root."""
    root = next(_work_trees(cwd), cwd)
    for name in _REGISTRATIONS:
        file = root / name
        if _is_file(file):
            layers = from_registration(_read(file), str(file), str(root), environ)
            if layers:
                return layers
    return ()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder on the way up that we may not look into
        return False


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 text (at byte {error.start})", "Save it as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", f"Look at it: ls -l {file}"
        ) from error


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def _expand_home(text: str, environ: Mapping[str, str]) -> str:
    is_below_home = text == "~" or text.startswith("~/")
    return f"{_home(environ)}{text[1:]}" if is_below_home else text


def _work_trees(folder: Path) -> Iterator[Path]:
    """Yield the work trees around a folder, the nearest first, without asking git.

    For a linked worktree also the main one: it holds what other branches say.
    """
    folder = folder.resolve()
    for place in (folder, *folder.parents):
        marker = place / ".git"
        if marker.exists():
            yield place
        if _is_file(marker):
            pointed = place / _read(marker).removeprefix("gitdir:").strip()
            yield from (p.parent for p in pointed.parents if p.name == ".git")


@dataclass(frozen=True, slots=True)
class _Clone:
    """What git says of the local clone."""

    root: str | None = None
    branch: str = ""
    origin: str = ""


def _clone(cwd: Path, environ: Mapping[str, str]) -> _Clone:
    asked = _git(
        cwd, environ, "rev-parse", "--show-toplevel", "--symbolic-full-name", "HEAD"
    )
    # Two lines; the first may hold line ends of its own.
    root, _, head = asked.stdout.removesuffix("\n").rpartition("\n")
    if not root:
        _refuse_silence(asked.stderr, cwd)
        return _Clone()
    if asked.returncode:  # a branch without a commit
        head = _git(cwd, environ, "symbolic-ref", "-q", "HEAD").stdout.strip()
    branch = head.removeprefix("refs/heads/") if head != "HEAD" else ""
    origin = _git(cwd, environ, "remote", "get-url", "origin").stdout.strip()
    return _Clone(root=root, branch=branch, origin=origin)


def _refuse_silence(stderr: str, cwd: Path) -> None:
    """Refuse, unless git is missing or there is no work tree: both are fine."""
    message, _, advice = stderr.strip().partition("\n")
    fine = ("not a git repository", "must be run in a work tree")
    if message and not any(words in message for words in fine):
        raise ConfigError(
            f"git does not speak of the clone in {cwd}: {message}",
            advice.strip() or f"See what is wrong: git -C {cwd} status",
        )


def _git(
    cwd: Path, environ: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ("git", "-C", str(cwd), *arguments),
            env={**environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:  # no git here
        return subprocess.CompletedProcess((), 127, "", "")
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"git did not answer within {_GIT_TIMEOUT_S} s in {cwd}",
            f"Is the file system alive? Try: git -C {cwd} rev-parse HEAD",
        ) from error
