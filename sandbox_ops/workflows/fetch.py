"""fetch: bring declared outputs, what a job left, or named files home; never over others.

The machine names the files, and is not believed: each name is held against what was
declared here, and the room is checked, before the first byte comes.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sandbox_ops.errors import (
    ConfigError,
    NextStep,
    NotFoundError,
    ProtocolError,
    RefusedError,
    UsageError,
)
from sandbox_ops.git import local
from sandbox_ops.machine import jobs, listing, repo, transfer
from sandbox_ops.models import Job, Project, RemoteFile
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.sandbox import Sandbox
from sandbox_ops.text import formatting
from sandbox_ops.workflows import fetch_paths
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.fetch_paths import NamedPath
from sandbox_ops.workflows.outputs import is_declared, left_out, patterns

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A file that came, was there already, or would come.

    Attributes:
        path: Relative to where it is fetched to.
        sha256: "" in a dry run.
        remote: Where it is on the sandbox, absolute.
        kept: Whether the very same file was here already.
    """

    path: str
    size_bytes: int
    sha256: str
    remote: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A file that would come.

    Attributes:
        left_out: Why it must not; "" if it may.
        may_be_tracked: Whether it comes even where git tracks it here.
        by_name: Whether its own path was asked for.
    """

    file: FetchedFile
    left_out: str = ""
    may_be_tracked: bool = False
    by_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """What came home, and where to.

    Attributes:
        sandbox: The name of the machine.
        files: What came, was here already, or would come.
        into: The local folder.
        warnings: What the machine has and was left there, and why.
    """

    sandbox: str = ""
    files: tuple[FetchedFile, ...]
    into: str
    dry_run: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `fetch --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "warnings": list(self.warnings),
            "files": [
                {"path": f.path, "size_bytes": f.size_bytes, "sha256": f.sha256}
                for f in self.files
            ],
            "into": self.into,
        }


def _action(options: Mapping[str, Any]) -> str:
    if options.get("dry_run"):
        return "fetch --dry-run"
    return "fetch --overwrite" if options.get("overwrite") else "fetch"


@acts_as(_action)
def fetch(  # noqa: PLR0913  # each is one choice
    sandbox: Sandbox,
    project: Project,
    *,
    paths: Sequence[str] = (),
    job: str = "",
    into: str = "",
    dry_run: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    cancel: CancelToken | None = None,
) -> FetchReport:
    """Bring files home, each whole, checked and in place, or not at all.

    Args:
        sandbox: The machine.
        project: Whose declared outputs.
        paths: These files and folders instead: absolute below the workspace or the home
            there, below `~/`, or below the project; `*` as a shell has it. What is no
            declared output goes to `fetched/` in the local clone, or `into`.
        job: Also this job's log and run record, and the outputs of where it ran.
        into: A local folder; without it the same paths in the local clone.
        dry_run: Only list them.
        overwrite: Replace local files that differ.
        on_progress: Told path, bytes so far and bytes in all.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: Local files differ from those that would come; names them all,
            before anything is fetched.
        NotFoundError: There is nothing to fetch, or no such job.
        ConfigError: No outputs are declared.
        UsageError: There is no local folder to fetch to.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    target = Path(into or project.root or "")
    if not target.parts:
        raise UsageError(
            "there is no local clone here to fetch to",
            NextStep("fetch", {"into": "FOLDER"}, "Say where to"),
        )
    target = target.absolute()
    if paths:
        candidates = _named(sandbox, project, paths, into=bool(into))
    elif job:
        candidates = _of_job(sandbox, project, jobs.get(sandbox, job))
    else:
        root = repo.cloned(sandbox, project).path
        candidates = _outputs(sandbox, root, declared(project))
    files, warnings = _admitted(candidates, project, target)
    if not files:
        raise _nothing(sandbox, project, paths, warnings)
    places = [(file, destination(target, file.path)) for file in files]
    if not dry_run:
        files = _bring(sandbox, places, overwrite=overwrite, on_progress=on_progress)
    return FetchReport(
        sandbox=sandbox.config.name,
        files=tuple(files),
        into=str(target),
        dry_run=dry_run,
        warnings=warnings,
    )


def _nothing(
    sandbox: Sandbox, project: Project, paths: Sequence[str], warnings: Sequence[str]
) -> NotFoundError:
    """Return the error that nothing can be fetched, with what is there instead."""
    label = sandbox.config.label
    if paths:
        message = f"nothing to fetch from {label}: {', '.join(paths)[:300]}"
        there = (
            ()
            if warnings
            else listing.nearest(sandbox, _first(sandbox, project, paths))
        )
        return NotFoundError("\n".join((message, *warnings, *there)))
    wanted = ", ".join(project.outputs) or "what is declared"
    message = f"nothing to fetch from {label}: no file there matches {wanted}"
    look = NextStep(
        "run", {"command": "git status"}, "Did the job write somewhere else? Look"
    )
    return NotFoundError("\n".join((message, *warnings)), look)


def _admitted(
    candidates: Sequence[_Candidate], project: Project, target: Path
) -> tuple[list[FetchedFile], tuple[str, ...]]:
    """Return the files that may come, and what is left there, with the reason."""
    tracked = _tracked(project, target)
    admitted, reasons, by_name = [], [], False
    for candidate in candidates:
        reason = candidate.left_out
        if not candidate.may_be_tracked and candidate.file.path in tracked:
            reason = reason or "git tracks it here"
        if reason:
            reasons.append(f"{candidate.file.path}: {reason}")
            by_name = by_name or candidate.by_name
        else:
            admitted.append(candidate.file)
    if not reasons:
        return admitted, ()
    way_out = "" if by_name else "; to have one, declare it by its name in `outputs`"
    return admitted, (listed(f"left there{way_out}:", tuple(reasons)),)


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


def destination(target: Path, path: str) -> Path:
    """Return where below `target` the machine's file `path` goes.

    What a machine says is not trusted with this one: no path leads out of the folder,
    through a link here, or into a git repository's own files.

    Raises:
        ProtocolError: It would lead out, or into .git.
        RefusedError: A link or a folder stands in its way.
    """
    pure = PurePosixPath(path)
    parts = pure.parts
    if not parts or pure.is_absolute() or ".." in parts or "\0" in path:
        raise ProtocolError(
            f"the machine named a file that is not in its folder: {path!r}"
        )
    if any(part.lower() == ".git" for part in parts):
        raise ProtocolError(f"a file of git itself is not fetched: {path!r}")
    place = target.joinpath(*parts)
    inside = place.parent.resolve().is_relative_to(target.resolve())
    if not inside or place.is_symlink() or place.is_dir():
        raise RefusedError(
            f"{place} would not be a file of its own in {target}: "
            "a link or a folder is in the way",
            NextStep(
                "fetch",
                {"into": "FOLDER"},
                "Move it away, or fetch to another folder",
            ),
        )
    return place


def _outputs(
    sandbox: Sandbox, root: str, wanted: Sequence[str], *, to: str = ""
) -> list[_Candidate]:
    """Return the files that match below `root`; `to` is put before their paths.

    Raises:
        ProtocolError: The machine names one that was not asked for.
    """
    return [
        _Candidate(
            file=_file(root, file, f"{to}{file.path}"),
            left_out="" if to else left_out(file.path, wanted),
            may_be_tracked=bool(to) or file.path in wanted,
        )
        for file in _files(
            sandbox, root, wanted, lambda path: is_declared(path, wanted)
        )
    ]


def _named(
    sandbox: Sandbox, project: Project, paths: Sequence[str], *, into: bool
) -> list[_Candidate]:
    """Return the files that were asked for by their paths.

    Raises:
        UsageError: A path is not below the workspace or the home.
        ProtocolError: The machine names one that was not asked for.
    """
    candidates: dict[str, _Candidate] = {}
    for place in _places(sandbox, project, paths, into=into):
        with suppress(NotFoundError):  # no such folder
            for file in _files(sandbox, place.root, (place.pattern,), place.names):
                to = f"{place.to}{file.path}"
                candidates[to] = _Candidate(
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


def _first(sandbox: Sandbox, project: Project, paths: Sequence[str]) -> str:
    return _places(sandbox, project, paths[:1])[0].path


def _files(
    sandbox: Sandbox, root: str, wanted: Sequence[str], is_wanted: Callable[[str], bool]
) -> tuple[RemoteFile, ...]:
    files = listing.files(sandbox, root, wanted)
    for file in files:
        if not is_wanted(file.path) or file.size_bytes < 0:
            raise ProtocolError(
                f"the machine named a file that was not asked for: {file.path!r}"
            )
    return files


def _file(root: str, file: RemoteFile, to: str) -> FetchedFile:
    return FetchedFile(
        path=to,
        size_bytes=file.size_bytes,
        sha256="",
        remote=f"{root.rstrip('/')}/{file.path}",
    )


def _of_job(sandbox: Sandbox, project: Project, job: Job) -> list[_Candidate]:
    """Return the outputs of where a job ran, its log and its run record."""
    folder = job.log_path.rpartition("/")[0]
    names = ("log", "run.json", "dirty.patch*")
    files = _outputs(sandbox, folder, names, to=f"logs/{job.id}/")
    root = job.project_path
    if root and project.outputs:
        files += _outputs(sandbox, root, patterns(project))
    return files


def _bring(
    sandbox: Sandbox,
    places: Sequence[tuple[FetchedFile, Path]],
    *,
    overwrite: bool,
    on_progress: OnProgress | None,
) -> list[FetchedFile]:
    """Bring what is not here yet."""
    present = _present(sandbox, places)
    missing = [(file, place) for file, place in places if file.path not in present]
    others = [
        file.path for file, place in missing if place.exists() or place.is_symlink()
    ]
    if others and not overwrite:
        _refuse_overwriting(others)
    _refuse_without_room(missing)
    brought = []
    for file, place in places:
        sha256 = present.get(file.path, "")
        if not sha256:
            report_bytes = partial(on_progress, file.path) if on_progress else None
            sha256 = transfer.download(
                sandbox,
                file.remote,
                place,
                size_bytes=file.size_bytes,
                on_progress=report_bytes,
            )
        brought.append(replace(file, sha256=sha256, kept=file.path in present))
    return brought


def _refuse_overwriting(paths: Iterable[str]) -> None:
    raise RefusedError(
        listed("files here differ from those that would come:", tuple(paths)),
        NextStep("fetch", {"into": "FOLDER"}, "Keep both"),
        NextStep("fetch", {"overwrite": True}, "Or replace them"),
    )


def _refuse_without_room(missing: Sequence[tuple[FetchedFile, Path]]) -> None:
    """Refuse what does not fit on the disk here, before anything comes.

    Raises:
        RefusedError: It says how much room is missing, and where.
    """
    needed: dict[Path, int] = {}
    for file, place in missing:
        folder = next(each for each in place.parents if each.is_dir())
        have = transfer.received_bytes(place)
        needed[folder] = needed.get(folder, 0) + max(0, file.size_bytes - have)
    by_device: dict[int, tuple[Path, int]] = {}
    for folder, size_bytes in needed.items():
        device = folder.stat().st_dev
        first, so_far = by_device.get(device, (folder, 0))
        by_device[device] = (first, so_far + size_bytes)
    for folder, size_bytes in by_device.values():
        free_bytes = shutil.disk_usage(folder).free
        if size_bytes > free_bytes:
            raise RefusedError(
                f"{formatting.size(size_bytes)} would come, and only "
                f"{formatting.size(free_bytes)} are free in {folder}",
                NextStep("fetch", {"into": "FOLDER"}, "Make room, or say where to"),
            )


def _present(
    sandbox: Sandbox, places: Sequence[tuple[FetchedFile, Path]]
) -> dict[str, str]:
    """Return the checksums of the files whose very content is here, by path."""
    alike = [
        (file, place)
        for file, place in places
        if place.is_file() and place.stat().st_size == file.size_bytes
    ]
    sizes = {file.remote: file.size_bytes for file, _ in alike}
    sums = listing.checksums(sandbox, sizes)
    return {
        file.path: sums[file.remote]
        for file, place in alike
        if transfer.sha256(place) == sums[file.remote]
    }
