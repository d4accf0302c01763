"""Where here a file of the machine goes, and whether there is room for it.

What the machine says is not trusted: no path of its leads out of the folder.
"""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from sandbox_ops.errors import NextStep, ProtocolError, RefusedError
from sandbox_ops.machine import transfer
from sandbox_ops.machine.run_outputs import RUNS
from sandbox_ops.models import job_ids
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.text import formatting
from sandbox_ops.workflows.moved_files import MovedFile

_JOB_FOLDERS = ("logs", RUNS)


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
        raise ProtocolError(
            f"a file of git's own folder (.git) is not fetched: {path!r}"
        )
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


def of_machine(target: Path, file: MovedFile, machine: str) -> tuple[MovedFile, Path]:
    """Return a file and its place with the machine's name before the folder of its job."""
    top, _, below = file.path.partition("/")
    job, slash, _ = below.partition("/")
    if slash and top in _JOB_FOLDERS and job_ids.is_id(job):
        file = replace(file, path=f"{top}/{machine}/{below}")
    return file, destination(target, file.path)


def refuse_overwriting(paths: Iterable[str]) -> None:
    """Refuse to replace files here that differ.

    Raises:
        RefusedError: It names them all.
    """
    raise RefusedError(
        listed("files here differ from those that would come:", tuple(paths)),
        NextStep("fetch", {"into": "FOLDER"}, "Keep both"),
        NextStep("fetch", {"overwrite": True}, "Or replace them"),
    )


def refuse_without_room(missing: Iterable[tuple[int, Path]]) -> None:
    """Refuse what does not fit on the disk here, before anything comes.

    Args:
        missing: How large each file is, in bytes, and where it goes.

    Raises:
        RefusedError: It says how much room is missing, and where.
    """
    needed: dict[Path, int] = {}
    for size_bytes, place in missing:
        folder = next(each for each in place.parents if each.is_dir())
        received_bytes = transfer.received_bytes(place)
        needed[folder] = needed.get(folder, 0) + max(0, size_bytes - received_bytes)
    by_device: dict[int, tuple[Path, int]] = {}
    for folder, size_bytes in needed.items():
        device = folder.stat().st_dev
        first, so_far = by_device.get(device, (folder, 0))
        by_device[device] = (first, so_far + size_bytes)
    for folder, size_bytes in by_device.values():
        free_bytes = shutil.disk_usage(folder).free
        if size_bytes > free_bytes:
            raise RefusedError(
                f"{formatting.size(size_bytes)} are to be fetched, and only "
                f"{formatting.size(free_bytes)} are free in {folder}",
                NextStep("fetch", {"into": "FOLDER"}, "Make room, or say where to"),
            )
