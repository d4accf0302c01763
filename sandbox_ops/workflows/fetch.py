"""fetch: bring declared outputs, what a job left, or named files home; never over others.

The machine names the files, and is not believed: each name is held against what was
declared here, and the room is checked, before the first byte comes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox_ops.errors import (
    NextStep,
    NotFoundError,
    UsageError,
)
from sandbox_ops.machine import jobs, listing, repo
from sandbox_ops.machine.pace import Pace
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.transfers import OnTransfer
from sandbox_ops.workflows import (
    fetch_bring,
    fetch_candidates,
    fetch_places,
    fetch_run,
)
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.file_choice import ALL, FileChoice
from sandbox_ops.workflows.moved_files import MovedFile, MovedFilesReport


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport(MovedFilesReport):
    """What came home, and where to.

    Attributes:
        into: The local folder.
    """

    into: str

    def as_json(self) -> dict[str, Any]:
        """The report as `fetch --json` shows it."""
        return {**MovedFilesReport.as_json(self), "into": self.into}


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
    choice: FileChoice = ALL,
    bytes_per_s: int | None = None,
    by_machine: bool = False,
    on_progress: OnTransfer | None = None,
    cancel: CancelToken | None = None,
) -> FetchReport:
    """Bring files home, each whole, checked and in place, or not at all.

    Args:
        sandbox: The machine.
        project: Whose declared outputs.
        paths: These files and folders instead: absolute below the workspace or the home
            there, below `~/`, or below the project; `*` as a shell has it. What is no
            declared output goes to `fetched/` in the local clone, or `into`.
        job: This job's log and run record, and what it wrote: its run folder, and what
            changed under the declared outputs while it ran, each held against the
            checksum that was recorded at its end. Of a group, those of all its jobs.
        into: A local folder; without it the same paths in the local clone.
        dry_run: Only list them.
        overwrite: Replace local files that differ.
        choice: Which of these files.
        bytes_per_s: Bring no more a second.
        by_machine: Several machines are fetched from, each with a remote-1: what lies in
            a job's own folder goes to one of the machine, `logs/gpu1/remote-1`.
        on_progress: Told of each piece that came.
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
    target = target_folder(project, into)
    places, warnings = wanted(sandbox, project, target, paths, job, choice)
    if by_machine:
        places = [
            fetch_places.of_machine(target, file, sandbox.config.name)
            for file, _ in places
        ]
    files = [file for file, _ in places]
    if not dry_run:
        pace = Pace(bytes_per_s)
        files = fetch_bring.bring(
            sandbox, places, overwrite=overwrite, pace=pace, on_progress=on_progress
        )
    return FetchReport(
        sandbox=sandbox.config.name,
        files=tuple(files),
        into=str(target),
        dry_run=dry_run,
        warnings=warnings,
    )


def target_folder(project: Project, into: str) -> Path:
    """Return the folder here that files come to.

    Raises:
        UsageError: None was named, and there is no local clone.
    """
    target = Path(into or project.root or "")
    if not target.parts:
        raise UsageError(
            "there is no local clone here to fetch to",
            NextStep("fetch", {"into": "FOLDER"}, "Say where to"),
        )
    return target.absolute()


def wanted(
    sandbox: Sandbox,
    project: Project,
    target: Path,
    paths: Sequence[str],
    job: str,
    choice: FileChoice,
) -> tuple[list[tuple[MovedFile, Path]], tuple[str, ...]]:
    """Return which files there are to come and where to, and what is left there.

    Raises:
        NotFoundError: There are none, or no such job.
        SandboxError: As `fetch` has it.
    """
    notes: tuple[str, ...] = ()
    if paths:
        into = target != Path(project.root or "").absolute()
        candidates = fetch_candidates.named(sandbox, project, paths, into=into)
    elif job:
        candidates, notes = fetch_run.of_jobs(
            sandbox, project, jobs.meant(sandbox, job)
        )
    else:
        root = repo.cloned(sandbox, project).path
        declared = fetch_candidates.declared(project)
        candidates = fetch_candidates.below(sandbox, root, declared)
    candidates = [
        each
        for each in candidates
        if not choice.reason_against(each.file.path, each.file.size_bytes)
    ]
    files, warnings = fetch_candidates.admitted(candidates, project, target)
    if not files:
        raise _nothing(sandbox, project, paths, warnings)
    places = [(file, fetch_places.destination(target, file.path)) for file in files]
    return places, (*warnings, *notes)


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
        "run",
        {"cwd": sandbox.project_path(project), "command": "git status"},
        "Did the job write somewhere else? Look",
    )
    return NotFoundError("\n".join((message, *warnings)), look)
