"""fetch: bring declared outputs, what a job left, or named files home; never over others.

The machine names the files, and is not believed: each name is held against what was
declared here, and the room is checked, before the first byte comes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sandbox_ops.errors import (
    NextStep,
    NotFoundError,
    UsageError,
)
from sandbox_ops.machine import jobs, listing, repo, transfer
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows import fetch_candidates, fetch_places
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.fetch_candidates import FetchedFile

OnProgress = Callable[[str, int, int], None]


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
        candidates = fetch_candidates.named(sandbox, project, paths, into=bool(into))
    elif job:
        candidates = fetch_candidates.of_job(sandbox, project, jobs.get(sandbox, job))
    else:
        root = repo.cloned(sandbox, project).path
        candidates = fetch_candidates.below(
            sandbox, root, fetch_candidates.declared(project)
        )
    files, warnings = fetch_candidates.admitted(candidates, project, target)
    if not files:
        raise _nothing(sandbox, project, paths, warnings)
    places = [(file, fetch_places.destination(target, file.path)) for file in files]
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
            else listing.nearest(
                sandbox, fetch_candidates.first_place(sandbox, project, paths)
            )
        )
        return NotFoundError("\n".join((message, *warnings, *there)))
    wanted = ", ".join(project.outputs) or "what is declared"
    message = f"nothing to fetch from {label}: no file there matches {wanted}"
    look = NextStep(
        "run", {"command": "git status"}, "Did the job write somewhere else? Look"
    )
    return NotFoundError("\n".join((message, *warnings)), look)


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
        fetch_places.refuse_overwriting(others)
    fetch_places.refuse_without_room(
        (file.size_bytes, place) for file, place in missing
    )
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
