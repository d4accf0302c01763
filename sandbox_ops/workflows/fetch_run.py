"""What one run brings home: its log and record, and the files that it wrote.

The machine recorded them at the run's end, with checksums. What was written again since is
not the run's any more: it stays there, and is named.
"""

import contextvars
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sandbox_ops.errors import NextStep, NotFoundError, TimedOutError
from sandbox_ops.machine import run_outputs
from sandbox_ops.machine.run_outputs import RUNS, RunOutput, RunOutputs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.text import formatting
from sandbox_ops.workflows import fetch_candidates, outputs
from sandbox_ops.workflows.fetch_candidates import Candidate
from sandbox_ops.workflows.moved_files import MovedFile

_ANY = "*"
_AT_ONCE = 4  # as many as there are workers


def candidates(
    sandbox: Sandbox, project: Project, job: Job
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Return what may come of a job, and warnings.

    Raises:
        ProtocolError: The machine names a file that is neither declared nor the run's.
        TimedOutError: It has not listed yet what the run wrote.
    """
    folder = job.log_path.rpartition("/")[0]
    names = ("log", "run.json", "dirty.patch*")
    own = fetch_candidates.below(sandbox, folder, names, to=f"logs/{job.id}/")
    written = run_outputs.read(sandbox, job.id)
    wanted = outputs.patterns(project)
    if written is None:  # started by a version that kept no record of outputs
        root = job.project_path
        output_candidates = (
            fetch_candidates.below(sandbox, root, wanted) if root and wanted else []
        )
        return own + output_candidates, ()
    if written.is_live:
        why = f"{job.id} has not ended: what it has written so far comes, unchecked"
        return own + _so_far(sandbox, job, written, wanted), (why,)
    if not written.is_listed:
        raise TimedOutError(
            f"{sandbox.config.label} has not listed yet what {job.id} wrote",
            NextStep("fetch", {"job": job.id}, "Try again"),
            NextStep("fetch", {"path": "PATH"}, "Or bring a file by its path"),
        )
    again = run_outputs.changed(sandbox, job.id) if written.files else frozenset()
    output_candidates = [
        _candidate(file, written, wanted, job, again) for file in written.files
    ]
    return own + output_candidates, tuple(_warnings(written, job))


def of_jobs(
    sandbox: Sandbox, project: Project, jobs: Sequence[Job]
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Return what may come of several jobs, each file once; see `candidates`."""
    if len(jobs) == 1:
        return candidates(sandbox, project, jobs[0])
    files: dict[str, Candidate] = {}
    warnings: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [
            pool.submit(
                contextvars.copy_context().run, candidates, sandbox, project, job
            )
            for job in jobs
        ]
        for each in asked:
            job_candidates, notes = each.result()
            warnings += notes
            for candidate in job_candidates:
                files.setdefault(candidate.file.remote, candidate)
    return list(files.values()), tuple(warnings)


def _so_far(
    sandbox: Sandbox, job: Job, written: RunOutputs, wanted: Sequence[str]
) -> list[Candidate]:
    since = f"{job.log_path.rpartition('/')[0]}/begun"
    candidates_by_path: dict[str, Candidate] = {}
    with suppress(NotFoundError):  # it made no use of its folder
        to = f"{RUNS}/{run_outputs.run_folder(written.run_dir)}/"
        for each in fetch_candidates.below(sandbox, written.run_dir, (_ANY,), to=to):
            candidates_by_path[each.file.remote] = each
    if written.root and wanted:
        for each in fetch_candidates.below(sandbox, written.root, wanted, since=since):
            candidates_by_path.setdefault(each.file.remote, each)
    return list(candidates_by_path.values())


def _candidate(
    file: RunOutput,
    written: RunOutputs,
    wanted: Sequence[str],
    job: Job,
    again: frozenset[str],
) -> Candidate:
    is_own = file.remote.startswith(f"{written.run_dir}/")
    allowed = (f"{RUNS}/{run_outputs.run_folder(written.run_dir)}",) if is_own else ()
    allowed = (*allowed, *wanted)
    if file.remote in again:
        why = f"it was written again, or removed, after {job.id} ended"
    elif not outputs.is_declared(file.path, allowed):
        why = "it is not declared in `outputs` any more"
    else:
        why = outputs.left_out(file.path, allowed)
    return Candidate(
        file=MovedFile(
            path=file.path,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            remote=file.remote,
        ),
        left_out=why,
        may_be_tracked=is_own or file.path in wanted,
    )


def _warnings(written: RunOutputs, job: Job) -> list[str]:
    warnings = []
    if written.n_skipped:
        files = formatting.count(written.n_skipped, "file")
        warnings.append(
            f"the record of {job.id} leaves out {files}: more than it holds, or with "
            "control characters in their names"
        )
    if written.n_without_sum:
        files = formatting.count(written.n_without_sum, "file")
        when = "yet" if written.is_pending else "in the time there was for it"
        warnings.append(f"of {files} of {job.id} no checksum was taken {when}")
    return warnings
