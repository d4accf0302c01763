"""put: send files of this computer to the machine, each whole and checked; over nothing.

What is there already is looked at first: the same content is not sent again, other content
is not replaced unless asked for, and the room is checked before the first byte goes.
(Over 250 lines: a quarter of them says what is promised.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sandbox_ops.errors import NotFoundError
from sandbox_ops.machine import listing, put_places, transfer, upload, upload_batches
from sandbox_ops.machine.pace import Pace
from sandbox_ops.machine.put_places import Place
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.upload_batches import LocalFile
from sandbox_ops.models import Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.transfers import OnTransfer
from sandbox_ops.workflows import put_paths, put_refusals
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.fetch_paths import glob_free
from sandbox_ops.workflows.file_choice import ALL, FileChoice
from sandbox_ops.workflows.moved_files import MovedFile, MovedFilesReport
from sandbox_ops.workflows.transfer_progress import Meter

_ALL_NAMES = ("*", ".[!.]*", "..?*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PutReport(MovedFilesReport):
    """What went to the machine, and where to.

    Attributes:
        into: The folder there; the files' paths are those below it.
    """

    into: str

    def as_json(self) -> dict[str, Any]:
        """The report as `put --json` shows it."""
        return {**MovedFilesReport.as_json(self), "into": self.into}


def _action(options: Mapping[str, Any]) -> str:
    if options.get("dry_run"):
        return "put --dry-run"
    return "put --overwrite" if options.get("overwrite") else "put"


@acts_as(_action)
def put(  # noqa: PLR0913  # each is one choice
    sandbox: Sandbox,
    project: Project,
    *,
    path: str,
    dest: str = "",
    choice: FileChoice = ALL,
    dry_run: bool = False,
    overwrite: bool = False,
    bytes_per_s: int | None = None,
    on_progress: OnTransfer | None = None,
    cancel: CancelToken | None = None,
) -> PutReport:
    """Send a file or a folder, each file whole, checked and in place, or not at all.

    Args:
        sandbox: The machine.
        project: Whose clone relative paths there are below.
        path: The file or folder here.
        dest: Its new name there: absolute below the workspace or the home, below `~/`, or
            below the project; with a slash at its end the folder that it goes into.
            Without it, its place in the local clone.
        choice: Which files of a folder.
        dry_run: Only list them.
        overwrite: Replace files there that differ.
        bytes_per_s: Send no faster.
        on_progress: Called for each piece.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        RefusedError: Files there differ, git tracks them there, there is no room, or the
            wrong thing is in the way; nothing was sent then.
        NotFoundError: There is no such file here, or none that is wanted.
        DeniedError: We may not write there.
        UsageError: It is not clear where it goes.
        ConnectionLostError: The link died and did not come back; do it again to go on.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    local = Path(path).expanduser().absolute()
    files, left = put_paths.local_files(local)
    target = put_paths.destination(
        local,
        dest,
        root=project.root,
        project_path=sandbox.project_path(project) if project.name else "",
        workspace=sandbox.config.workspace,
        home=sandbox.home,
    )
    folder, files = _into_folder(target, local, files)
    wanted = [f for f in files if not choice.reason_against(f.path, f.size_bytes)]
    if not wanted:
        raise NotFoundError(f"there is no file to put in {local}")
    place = put_places.look(sandbox, target, as_folder=local.is_dir())
    put_refusals.refuse_in_the_way(place, target, local)
    there = _there(sandbox, place, folder, wanted)
    present = _present(sandbox, wanted, there, folder)
    sums = dict(present)
    missing = [file for file in wanted if file.path not in present]
    put_refusals.refuse_tracked(missing, place, folder)
    if not overwrite:
        asked = {"path": path, "dest": dest} if dest else {"path": path}
        put_refusals.refuse_overwriting(missing, there, asked, folder)
    put_refusals.refuse_without_room(missing, place, sandbox.config.label)
    if not dry_run:
        work = _Sending(sandbox, folder, overwrite, bytes_per_s, place)
        sums |= work.send(missing, on_progress)
    return PutReport(
        sandbox=sandbox.config.name,
        files=tuple(_reported(file, folder, sums, present) for file in wanted),
        into=folder,
        dry_run=dry_run,
        warnings=put_refusals.warnings(left, place, target),
    )


def _into_folder(
    target: str, local: Path, files: list[LocalFile]
) -> tuple[str, list[LocalFile]]:
    """Return the folder there, and the files by their paths in it."""
    if not local.is_file():
        return target, files
    path = PurePosixPath(target)
    (file,) = files
    renamed = LocalFile(path=path.name, place=local, size_bytes=file.size_bytes)
    return str(path.parent), [renamed]


def _reported(
    file: LocalFile, folder: str, sums: Mapping[str, str], present: Mapping[str, str]
) -> MovedFile:
    return MovedFile(
        path=file.path,
        size_bytes=file.size_bytes,
        sha256=sums.get(file.path, ""),
        remote=f"{folder.rstrip('/')}/{file.path}",
        kept=file.path in present,
    )


def _there(
    sandbox: Sandbox, place: Place, folder: str, files: Sequence[LocalFile]
) -> dict[str, int]:
    """Return how large the files are that stand in the folder, by path."""
    if place.kind == "none":
        return {}
    names = [*_ALL_NAMES] if place.kind == "folder" else [glob_free(files[0].path)]
    return {f.path: f.size_bytes for f in listing.files(sandbox, folder, names)}


def _present(
    sandbox: Sandbox,
    files: Sequence[LocalFile],
    there: Mapping[str, int],
    folder: str,
) -> dict[str, str]:
    """Return the checksums of those whose very content is there, by path."""
    alike = [file for file in files if there.get(file.path) == file.size_bytes]
    remote = {f"{folder.rstrip('/')}/{file.path}": file for file in alike}
    sums = listing.checksums(sandbox, {k: f.size_bytes for k, f in remote.items()})
    return {
        file.path: sums[path]
        for path, file in remote.items()
        if sums[path] and transfer.sha256(file.place) == sums[path]
    }


class _Sending:
    """What is sent, in sessions of its own: small files together, others one by one."""

    def __init__(
        self,
        sandbox: Sandbox,
        folder: str,
        overwrite: bool,
        bytes_per_s: int | None,
        place: Place,
    ) -> None:
        self._sandbox, self._folder = sandbox, folder.rstrip("/") or "/"
        self._replace, self._pace = overwrite, Pace(bytes_per_s)
        self._has_tar = place.has_tar

    def send(
        self, files: Sequence[LocalFile], on_progress: OnTransfer | None
    ) -> dict[str, str]:
        """Send them; return the SHA-256 of each, by path."""
        meter = Meter(sum(file.size_bytes for file in files), on_progress)
        small = [file for file in files if file.is_small and self._has_tar]
        if len(small) == 1:
            small = []
        sums: dict[str, str] = {}
        for batch in upload_batches.batches(small):
            size_bytes = sum(file.size_bytes for file in batch)
            shown = batch[-1].path
            report_progress = meter.file(f"{shown} (of {len(batch)} small files)")
            sums |= upload_batches.upload_batch(
                self._sandbox,
                batch,
                self._folder,
                replace=self._replace,
                pace=self._pace,
                on_progress=partial(_scaled, report_progress, size_bytes)
                if report_progress
                else None,
            )
            meter.ended(size_bytes)
        for file in files:
            if file.path not in sums:
                sums[file.path] = upload.upload(
                    self._sandbox,
                    file.place,
                    f"{self._folder.rstrip('/')}/{file.path}",
                    replace=self._replace,
                    pace=self._pace,
                    on_progress=meter.file(file.path),
                ).sha256
                meter.ended(file.size_bytes)
        return sums


def _scaled(report_progress: Any, size_bytes: int, done: int, of: int) -> None:  # noqa: ANN401 - a file's meter
    """Report the bytes of an archive as those of the files in it."""
    report_progress(size_bytes * done // of, size_bytes)
