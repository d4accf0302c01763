"""What a put refuses, before anything is sent, and what to know of where it goes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox_ops.errors import DeniedError, NextStep, RefusedError
from sandbox_ops.machine.put_places import Place
from sandbox_ops.machine.upload_batches import LocalFile
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.text import formatting


def refuse_in_the_way(place: Place, target: str, local: Path) -> None:
    """Refuse where we may not write, or where a folder would be a file.

    Raises:
        DeniedError: We may not write there.
        RefusedError: The wrong thing stands there.
    """
    if not place.is_writable:
        raise DeniedError(
            f"no permission to write in {place.existing_folder}",
            NextStep("run", {"command": f"ls -ld {place.existing_folder}"}, "Look"),
        )
    wrong = {"folder": "a folder", "other": "no regular file"}
    if local.is_file() and place.kind in wrong:
        raise RefusedError(
            f"{target} is {wrong[place.kind]} there",
            f"To put it into that folder: sandbox-ops put {local.name} {target}/",
        )
    if local.is_dir() and place.kind in {"file", "other"}:
        raise RefusedError(f"{target} is no folder there, and {local} is one")


def refuse_overwriting(
    missing: Sequence[LocalFile],
    there: Mapping[str, int],
    asked: Mapping[str, str],
    folder: str,
) -> None:
    """Refuse to replace files there that differ.

    Raises:
        RefusedError: It names them.
    """
    others = tuple(file.path for file in missing if file.path in there)
    if others:
        raise RefusedError(
            listed(f"files in {folder} differ from those that would go:", others),
            NextStep("put", {**asked, "dest": "DEST"}, "Keep both"),
            NextStep("put", {**asked, "overwrite": True}, "Or replace them"),
        )


def refuse_tracked(missing: Sequence[LocalFile], place: Place, folder: str) -> None:
    """Refuse to edit files of the project there: git brings them.

    Raises:
        RefusedError: It names them.
    """
    base = place.existing_folder.rstrip("/")
    names = {f"{base}/{name}" for name in place.tracked}
    ours = (file.path for file in missing)
    tracked = tuple(path for path in ours if f"{folder.rstrip('/')}/{path}" in names)
    if tracked:
        raise RefusedError(
            listed("git tracks these files there:", tracked),
            NextStep("sync", {"push": True}, "Commit them here, and bring them by"),
        )


def refuse_without_room(
    missing: Sequence[LocalFile], place: Place, machine: str
) -> None:
    """Refuse what does not fit on the disk there.

    Raises:
        RefusedError: It says how much there is.
    """
    size_bytes = sum(file.size_bytes for file in missing)
    where = f"{place.existing_folder} on {machine}"
    if size_bytes > place.free_bytes:
        raise RefusedError(
            f"{formatting.size(size_bytes)} are to be sent, and only "
            f"{formatting.size(place.free_bytes)} are free in {where}",
            NextStep("run", {"command": f"df -h {place.existing_folder}"}, "Look"),
        )
    if place.free_files is not None and len(missing) > place.free_files:
        raise RefusedError(
            f"{len(missing)} files are to be sent, and the disk takes only "
            f"{place.free_files} more (inodes) in {where}",
            NextStep("run", {"command": f"df -i {place.existing_folder}"}, "Look"),
        )


def warnings(left: Sequence[str], place: Place, target: str) -> tuple[str, ...]:
    """Return what was left here, and that git there does not ignore what goes."""
    warnings = []
    if left:
        warnings.append(listed("left here:", tuple(left)))
    if place.tree and not place.is_ignored and target.startswith(f"{place.tree}/"):
        warnings.append(
            f"git does not ignore {target}: `reset` would rescue it into the repository "
            "there and remove it; add it to .gitignore"
        )
    return tuple(warnings)
