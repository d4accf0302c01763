"""Which files of the machine may come: declared outputs, a job's own, or named ones.

The machine names them, and is not believed: each is held against what was asked for.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.errors import ConfigError, NotFoundError, ProtocolError
from sandbox_ops.git import local
from sandbox_ops.machine import listing
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project, RemoteFile
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.workflows import fetch_paths
from sandbox_ops.workflows.fetch_paths import NamedPath
from sandbox_ops.workflows.moved_files import MovedFile
from sandbox_ops.workflows.outputs import is_declared, left_out, patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that would come.

    Attributes:
        left_out: Why it must not; "" if it may.
        may_be_tracked: Whether it comes even where git tracks it here.
        by_name: Whether its own path was asked for.
    """

    file: MovedFile
    left_out: str = ""
    may_be_tracked: bool = False
    by_name: bool = False


def admitted(
    candidates: Sequence[Candidate], project: Project, target: Path
) -> tuple[list[MovedFile], tuple[str, ...]]:
    """Return the files that may come, and what is left there, with the reason."""
    tracked = _tracked(project, target)
    files, reasons, by_name = [], [], False
    for candidate in candidates:
        reason = candidate.left_out
        if not candidate.may_be_tracked and candidate.file.path in tracked:
            reason = reason or "git tracks it here"
        if reason:
            reasons.append(f"{candidate.file.path}: {reason}")
            by_name = by_name or candidate.by_name
        else:
            files.append(candidate.file)
    if not reasons:
        return files, ()
    way_out = "" if by_name else "; to have one, declare it by its name in `outputs`"
    return files, (listed(f"left there{way_out}:", tuple(reasons)),)


def _tracked(project: Project, target: Path) -> frozenset[str]:
    """Return what git tracks where the files would go."""
    if project.root is None or target != Path(project.root).absolute():
        return frozenset()
    return local.tracked(project.root)


def declared(project: Project) -> tuple[str, ...]:
    """Return the project's outputs as patterns.

    Raises:
        ConfigError: There are none, or one leads out of the project.
    """
    if not project.outputs:
        raise ConfigError(
            "no outputs are declared, so there is nothing to fetch",
            'Declare them in sandbox.toml: [project] outputs = ["models/", "results/"]',
        )
    return patterns(project)


def below(
    sandbox: Sandbox,
    root: str,
    wanted: Sequence[str],
    *,
    to: str = "",
    since: str = "",
) -> list[Candidate]:
    """Return the files that match below `root`; `to` is put before their paths.

    Args:
        sandbox: Where they are.
        root: A folder, absolute.
        wanted: Patterns.
        to: Put before their paths here.
        since: A file there: those alone that changed after it did.

    Raises:
        ProtocolError: The machine names one that was not asked for.
    """
    return [
        Candidate(
            file=_file(root, file, f"{to}{file.path}"),
            left_out="" if to else left_out(file.path, wanted),
            may_be_tracked=bool(to) or file.path in wanted,
        )
        for file in _files(
            sandbox, root, wanted, lambda path: is_declared(path, wanted), since
        )
    ]


def named(
    sandbox: Sandbox, project: Project, paths: Sequence[str], *, into: bool
) -> list[Candidate]:
    """Return the files that were asked for by their paths.

    Raises:
        UsageError: A path is not below the workspace or the home.
        ProtocolError: The machine names one that was not asked for.
    """
    candidates: dict[str, Candidate] = {}
    for place in _places(sandbox, project, paths, into=into):
        with suppress(NotFoundError):  # no such folder
            for file in _files(sandbox, place.root, (place.pattern,), place.names):
                to = f"{place.to}{file.path}"
                candidates[to] = Candidate(
                    file=_file(place.root, file, to),
                    left_out=fetch_paths.left_out(to),
                    by_name=True,
                )
    return list(candidates.values())


def _places(
    sandbox: Sandbox, project: Project, paths: Sequence[str], *, into: bool = False
) -> list[NamedPath]:
    return [
        fetch_paths.named(
            path,
            project_path=sandbox.project_path(project) if project.name else "",
            workspace=sandbox.config.workspace,
            home=sandbox.home,
            outputs=patterns(project),
            into=into,
        )
        for path in paths
    ]


def first_place(sandbox: Sandbox, project: Project, paths: Sequence[str]) -> str:
    """Return where on the machine the first path that was asked for would be."""
    return _places(sandbox, project, paths[:1])[0].path


def _files(
    sandbox: Sandbox,
    root: str,
    wanted: Sequence[str],
    is_wanted: Callable[[str], bool],
    since: str = "",
) -> tuple[RemoteFile, ...]:
    files = listing.files(sandbox, root, wanted, since=since)
    for file in files:
        if not is_wanted(file.path) or file.size_bytes < 0:
            raise ProtocolError(
                f"the machine named a file that was not asked for: {file.path!r}"
            )
    return files


def _file(root: str, file: RemoteFile, to: str) -> MovedFile:
    return MovedFile(
        path=to,
        size_bytes=file.size_bytes,
        sha256="",
        remote=f"{root.rstrip('/')}/{file.path}",
        mtime=file.mtime,
    )
