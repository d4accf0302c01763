"""Where on the machine a file or folder of this computer goes. Pure but for the listing.

Without a destination it is the same path in the project there; else what the user wrote
is the new name, and with a slash at its end the folder that it goes into.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.machine.upload_batches import LocalFile
from sandbox_ops.workflows import fetch_paths


def destination(
    local: Path,
    wanted: str,
    *,
    root: str | None,
    project_path: str,
    workspace: str,
    home: str,
) -> str:
    """Return where a path goes, absolute.

    Args:
        local: The file or folder here, absolute.
        wanted: As it was asked for: absolute, below `~/`, or below the project; with a
            slash at its end a folder that it goes into; "" for its place in the project.
        root: The local clone; None without one.
        project_path: The project's folder there; "" where there is none.
        workspace: Of the machine.
        home: The user's home there.

    Raises:
        UsageError: It is not known where to, or that is not below the workspace or home.
    """
    if not wanted:
        if root is None or not project_path or not local.is_relative_to(root):
            raise UsageError(
                f"{local} is not in the local clone: say where it goes",
                f"For example: sandbox-ops put {local.name} data/",
            )
        wanted = str(local.relative_to(root))
    absolute = fetch_paths.absolute(wanted, project_path, home)
    if wanted.endswith("/") or wanted in {"~", "."}:
        absolute = f"{absolute.rstrip('/')}/{local.name}"
    tops = (workspace.rstrip("/"), home.rstrip("/"))
    path = PurePosixPath(absolute)
    if not any(path.is_relative_to(top or "/") for top in tops):
        raise UsageError(
            f"a file goes below {tops[0] or '/'} or {home}, not to {wanted[:300]}",
            "Put it there, and link to it.",
        )
    if absolute.rstrip("/") in {*tops, project_path, ""}:
        raise UsageError(
            f"that is the whole of {absolute}", "Name a file or a folder below it."
        )
    if any(part.lower() == ".git" for part in path.parts):
        raise UsageError(
            f"files of git's own folder (.git) are not uploaded: {absolute}"
        )
    return absolute


def local_files(local: Path) -> tuple[list[LocalFile], tuple[str, ...]]:
    """Return the files that a path here stands for, by their paths below its parent.

    Links to files count as files; links to folders are left, for they may lead back.

    Returns:
        The files, sorted; and what is left here, with the reason.

    Raises:
        NotFoundError: There is no such path.
        RefusedError: It is neither a file nor a folder.
    """
    if local.is_file():
        file = LocalFile(path=local.name, place=local, size_bytes=local.stat().st_size)
        return [file], ()
    if not local.exists():
        raise NotFoundError(f"no such file or folder here: {local}")
    if not local.is_dir():
        raise RefusedError(f"{local} is neither a file nor a folder")
    files: list[LocalFile] = []
    left: list[str] = []
    for path, entry in _walk(local, ""):
        if entry.is_dir():
            left.append(f"{path}: a link to a folder; put it by itself")
        elif not entry.is_file():
            left.append(f"{path}: no regular file, or a link that leads nowhere")
        else:
            size_bytes = entry.stat().st_size
            file = LocalFile(path=path, place=Path(entry.path), size_bytes=size_bytes)
            files.append(file)
    files.sort(key=lambda file: file.path)
    return files, tuple(left)


def _walk(folder: Path | str, below: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Yield what is no folder of its own, with its path; .git is git's."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = f"{below}{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                yield path, entry
            elif entry.name != ".git":
                yield from _walk(entry.path, f"{path}/")
