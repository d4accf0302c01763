"""fetch --watch: keep bringing what a run writes, until it has ended; then all of it.

A file comes when two looks in a row found it the same, and only if it was not written
while it came: a checkpoint under way stays there until it is complete or renamed. A link
that is lost is waited for. What was brought and has changed there since comes again; a
file here that is not what was brought is never replaced.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox_ops.errors import ConnectError, NotFoundError, ProtocolError
from sandbox_ops.machine import jobs, repo, transfer
from sandbox_ops.machine.pace import Pace
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.transfers import OnTransfer
from sandbox_ops.workflows import fetch_bring, fetch_places, preflight
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.fetch import FetchReport, target_folder, wanted
from sandbox_ops.workflows.file_choice import ALL, FileChoice
from sandbox_ops.workflows.moved_files import MovedFile
from sandbox_ops.workflows.transfer_progress import Meter

INTERVAL_S = 15.0
_RETRY_MOST_S = 60.0

OnFile = Callable[[MovedFile], None]
OnLost = Callable[[ConnectError, float], None]


@acts_as(
    lambda options: "fetch --overwrite" if options.get("overwrite") else "fetch --watch"
)
def watch(  # noqa: PLR0913  # each is one choice
    sandbox: Sandbox,
    project: Project,
    *,
    paths: Sequence[str] = (),
    job: str = "",
    into: str = "",
    overwrite: bool = False,
    choice: FileChoice = ALL,
    bytes_per_s: int | None = None,
    interval_s: float = INTERVAL_S,
    on_file: OnFile | None = None,
    on_lost: OnLost | None = None,
    on_progress: OnTransfer | None = None,
    cancel: CancelToken | None = None,
) -> FetchReport:
    """Bring files home as a run writes them, and all of them once it has ended.

    Args:
        sandbox: The machine.
        project: Whose outputs.
        paths: As for `fetch`; until no job runs in the project.
        job: The run; without one: until no job runs in the project.
        into: As for `fetch`.
        overwrite: Replace local files that differ from the beginning.
        choice: Which files.
        bytes_per_s: Bring no more a second.
        interval_s: Between two looks.
        on_file: Called for each file that has come.
        on_lost: Called when the machine cannot be reached, with when it is asked again.
        on_progress: Called for each piece.
        cancel: Ends it; what has come stays.

    Returns:
        What is here at the end, with what came meanwhile.

    Raises:
        RefusedError: A local file differs from what would come, or there is no room.
        NotFoundError: There is no such job; or it has ended and has nothing to fetch.
        ConnectError: The machine cannot be reached at the beginning.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    work = _Watch(
        sandbox, project, target_folder(project, into), overwrite, Pace(bytes_per_s)
    )
    work.tell(on_file, on_progress)
    failures = 0
    while True:
        sandbox.cancel_token.check()
        pause_s = interval_s
        try:
            has_ended = _has_ended(sandbox, project, job)
            report = work.look(paths, job, choice, has_ended=has_ended)
            if report is not None:
                return report
            failures = 0
        except ConnectError as error:
            if not work.has_looked:
                raise
            failures += 1
            pause_s = min(_RETRY_MOST_S, 2.0**failures)
            if on_lost is not None:
                on_lost(error, pause_s)
        _pause(sandbox.cancel_token, pause_s)


def _has_ended(sandbox: Sandbox, project: Project, job: str) -> bool:
    if job:
        return all(each.state.ended for each in jobs.meant(sandbox, job))
    path = repo.place(sandbox, project)
    status = jobs.status(sandbox, path=path, tails=0)
    return not preflight.jobs_using(status.jobs, path)


def _pause(token: CancelToken, pause_s: float) -> None:
    woken = threading.Event()
    with token.on_cancel(woken.set):
        woken.wait(pause_s)


class _Watch:
    """What the last look found, and what has come since the beginning."""

    def __init__(
        self,
        sandbox: Sandbox,
        project: Project,
        target: Path,
        overwrite: bool,
        pace: Pace,
    ) -> None:
        self._sandbox, self._project, self._target = sandbox, project, target
        self._overwrite, self._pace = overwrite, pace
        self._seen: dict[str, tuple[int, float]] = {}
        self._brought: dict[str, MovedFile] = {}
        self._on_file: OnFile | None = None
        self._on_progress: OnTransfer | None = None
        self.has_looked = False

    def tell(self, on_file: OnFile | None, on_progress: OnTransfer | None) -> None:
        """Say whom to tell of what comes."""
        self._on_file, self._on_progress = on_file, on_progress

    def look(
        self, paths: Sequence[str], job: str, choice: FileChoice, *, has_ended: bool
    ) -> FetchReport | None:
        """Bring what is complete; the report at the end, None before it."""
        try:
            places, warnings = wanted(
                self._sandbox, self._project, self._target, paths, job, choice
            )
        except NotFoundError:
            if has_ended:
                raise
            places, warnings = [], ()
        complete = [
            (file, place)
            for file, place in places
            if has_ended or self._is_complete(file, job)
        ]
        self._seen = {file.remote: (file.size_bytes, file.mtime) for file, _ in places}
        self.has_looked = True
        still = [each for each in complete if not self._is_here(each[0])]
        self._bring(still, has_ended=has_ended)
        if not has_ended:
            return None
        return FetchReport(
            sandbox=self._sandbox.config.name,
            files=tuple(self._brought[file.path] for file, _ in places),
            into=str(self._target),
            warnings=warnings,
        )

    def _is_complete(self, file: MovedFile, job: str) -> bool:
        """Whether two looks found it the same; the log of a run is not before its end."""
        is_log = (
            bool(job) and file.path.startswith("logs/") and file.path.endswith("/log")
        )
        same = self._seen.get(file.remote) == (file.size_bytes, file.mtime)
        return same and not is_log

    def _is_here(self, file: MovedFile) -> bool:
        ours = self._brought.get(file.path)
        return ours is not None and (ours.size_bytes, ours.mtime) == (
            file.size_bytes,
            file.mtime,
        )

    def _bring(self, places: fetch_bring.Places, *, has_ended: bool) -> None:
        sums = fetch_bring.present(self._sandbox, places)
        for file, _ in places:
            if file.path in sums:
                self._take(replace(file, sha256=sums[file.path], kept=True))
        missing = [(file, place) for file, place in places if file.path not in sums]
        if not self._overwrite:
            ours = {path: file.sha256 for path, file in self._brought.items()}
            fetch_bring.refuse_others(missing, ours)
        fetch_places.refuse_without_room((f.size_bytes, place) for f, place in missing)
        meter = Meter(sum(file.size_bytes for file, _ in missing), self._on_progress)
        for file, place in missing:
            try:
                sha256 = transfer.download(
                    self._sandbox,
                    file.remote,
                    place,
                    size_bytes=file.size_bytes,
                    sha256=file.sha256,
                    complete_since=None if has_ended else file.mtime,
                    pace=self._pace,
                    on_progress=meter.file(file.path),
                )
            except ProtocolError:
                if has_ended:
                    raise
                continue  # it is being written: at the next look
            meter.ended(file.size_bytes)
            self._take(replace(file, sha256=sha256))
            if self._on_file is not None:
                self._on_file(self._brought[file.path])

    def _take(self, file: MovedFile) -> None:
        self._brought[file.path] = file
