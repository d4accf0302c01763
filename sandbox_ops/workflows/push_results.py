"""fetch --push: a run's chosen results as a commit on a branch of their own, pushed from there.

The commit is made on the machine with an index of its own, so that nothing of the work
tree moves and runs go on. What is too large for git is refused by name.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox_ops.errors import NextStep, NotFoundError, RefusedError, UsageError
from sandbox_ops.git import explanations, local
from sandbox_ops.git.runner import GIT_ENV
from sandbox_ops.machine import files, jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote import script_replies
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.text import formatting
from sandbox_ops.workflows import fetch_candidates, fetch_run
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.file_choice import ALL, FileChoice
from sandbox_ops.workflows.moved_files import MovedFile, MovedFilesReport

MOST_BYTES = 8 << 20
"""What a file may have, where the user says nothing: a git host takes no more gladly."""

_NETWORK_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReport(MovedFilesReport):
    """What was committed, and where to; the files have no checksums: git has its own.

    Attributes:
        branch: Of the git remote: `results/RUN`.
        commit: Its tip now; "" in a dry run.
        pushed: Whether anything was new.
    """

    branch: str
    commit: str = ""
    pushed: bool = False

    def as_json(self) -> dict[str, Any]:
        """The report as `fetch --push --json` shows it."""
        return {
            **MovedFilesReport.as_json(self),
            "branch": self.branch,
            "commit": self.commit,
            "pushed": self.pushed,
        }


def _action(options: Mapping[str, Any]) -> str:
    return "fetch --dry-run" if options.get("dry_run") else "fetch --push"


@acts_as(_action)
def push_results(
    sandbox: Sandbox,
    project: Project,
    *,
    job: str,
    choice: FileChoice = ALL,
    most_bytes: int = MOST_BYTES,
    dry_run: bool = False,
    cancel: CancelToken | None = None,
) -> PushReport:
    """Commit the outputs and records of a run, or of a group, on `results/RUN`, and push that.

    On top of that branch where the remote has it, else of the commit that the run ran;
    never by force. The log stays: it may hold what a repository must not.

    Args:
        sandbox: The machine; it has to be able to push.
        project: Whose outputs.
        job: The run, or the group.
        choice: Which files.
        most_bytes: What one file may have.
        dry_run: Only say what would be committed.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: A file is too large for git; names them all. Or git there refuses.
        NotFoundError: No such job, or nothing of it to commit.
        DeniedError: The machine may not push.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    runs = jobs.meant(sandbox, job)
    run = runs[0]
    if not run.project_path:
        raise UsageError(f"{run.id} did not run in a project", "Name a training.")
    job_candidates, notes = fetch_run.of_jobs(sandbox, project, runs)
    private = {each.log_path for each in runs}
    patches = tuple(f"logs/{each.id}/dirty.patch" for each in runs)
    candidates = [
        each
        for each in job_candidates
        if each.file.remote not in private
        and not each.file.path.startswith(patches)
        and not choice.reason_against(each.file.path, each.file.size_bytes)
    ]
    chosen, warnings = fetch_candidates.admitted(candidates, project, Path("/"))
    if not chosen:
        raise NotFoundError(f"there are no results of {job} to push")
    if len(runs) > 1:  # a group: its results go together
        run = replace(run, name=run.group)
    branch = branch_of(run)
    _refuse_large(chosen, most_bytes)
    report = PushReport(
        sandbox=sandbox.config.name,
        files=tuple(chosen),
        branch=branch,
        dry_run=dry_run,
        warnings=(*warnings, *notes),
    )
    return report if dry_run else _push(sandbox, project, run, report, most_bytes)


def branch_of(run: Job) -> str:
    """Return the branch that a run's results go to: by its name, else its id. Pure."""
    name = run.name if re.fullmatch(r"[\w][\w.-]*", run.name, re.ASCII) else ""
    branch = f"results/{name or run.id}"
    if branch.endswith((".", ".lock")) or ".." in branch:
        return f"results/{run.id}"
    return branch


def _refuse_large(chosen: list[MovedFile], most_bytes: int) -> None:
    large = tuple(
        f"{file.path}, {formatting.size(file.size_bytes)}"
        for file in chosen
        if file.size_bytes > most_bytes
    )
    if large:
        raise RefusedError(
            listed(
                f"larger than {formatting.size(most_bytes)}, too large for git:", large
            ),
            NextStep("fetch", {}, "Bring them home instead"),
            "Push the others: --exclude PATTERN; or allow it: --max-size SIZE",
        )


def _push(
    sandbox: Sandbox, project: Project, run: Job, report: PushReport, most_bytes: int
) -> PushReport:
    author, email = local.identity(project.root) if project.root else ("", "")
    names = ("GIT_AUTHOR", "GIT_COMMITTER")
    env = {f"{name}_NAME": author or "sandbox-ops" for name in names}
    env |= {f"{name}_EMAIL": email or "sandbox-ops@localhost" for name in names}
    where = f"{run.project_path} on {sandbox.config.label}"
    doing = f"push {report.branch} from {where}"
    pairs = [word for file in report.files for word in (file.remote, file.path)]
    title = f"Results of {run.id}" + (f" ({run.name})" if run.name else "")
    if run.name and run.name == run.group:
        title = f"Results of the sweep {run.group}"
    message = f"{title} on {sandbox.config.name}\n\n{run.command[:2000]}"
    result = sandbox.script(
        *("results_push", run.project_path, _commit(sandbox, run), report.branch),
        *(message, str(most_bytes), *pairs),
        env={**GIT_ENV, **env},
        timeout_s=_NETWORK_S,
        description=doing,
    )
    reply = script_replies.parse_result(
        result, doing, explanations.explain, sandbox.config.workspace
    )
    return PushReport(
        sandbox=report.sandbox,
        files=report.files,
        branch=report.branch,
        commit=reply.need("commit"),
        pushed=reply.get("pushed") == "yes",
        warnings=report.warnings,
    )


def _commit(sandbox: Sandbox, run: Job) -> str:
    """Return the commit that a run ran; where its record does not say, what is there now."""
    try:
        folder = run.log_path.rpartition("/")[0]
        record = json.loads(files.read_bytes(sandbox, f"{folder}/run.json", 0, 1 << 20))
        return str(record["commit"])
    except (NotFoundError, ValueError, KeyError, TypeError):
        return "HEAD"
