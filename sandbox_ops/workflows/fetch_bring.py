"""Brings listed files to their places here: what is here already stays, over nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox_ops.machine import listing, transfer
from sandbox_ops.machine.pace import Pace
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models.transfers import OnTransfer
from sandbox_ops.workflows import fetch_places
from sandbox_ops.workflows.moved_files import MovedFile
from sandbox_ops.workflows.transfer_progress import Meter

Places = Sequence[tuple[MovedFile, Path]]


def bring(
    sandbox: Sandbox,
    places: Places,
    *,
    overwrite: bool,
    pace: Pace,
    on_progress: OnTransfer | None,
) -> list[MovedFile]:
    """Bring what is not here yet.

    Raises:
        RefusedError: Files here differ, or there is no room; before anything comes.
        SandboxError: As `transfer.download` has it.
    """
    sums = present(sandbox, places)
    missing = [(file, place) for file, place in places if file.path not in sums]
    if not overwrite:
        refuse_others(missing, {})
    fetch_places.refuse_without_room(
        (file.size_bytes, place) for file, place in missing
    )
    meter = Meter(sum(file.size_bytes for file, _ in missing), on_progress)
    brought = []
    for file, place in places:
        sha256 = sums.get(file.path, "")
        if not sha256:
            sha256 = transfer.download(
                sandbox,
                file.remote,
                place,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                pace=pace,
                on_progress=meter.file(file.path),
            )
            meter.ended(file.size_bytes)
        brought.append(replace(file, sha256=sha256, kept=file.path in sums))
    return brought


def refuse_others(missing: Places, ours: Mapping[str, str]) -> None:
    """Refuse to replace files here that differ, but for those that we brought.

    Args:
        missing: What would come.
        ours: The SHA-256 of what came before, by path: as it was brought, it may go.

    Raises:
        RefusedError: It names them.
    """
    others = [
        file.path
        for file, place in missing
        if place.is_symlink()
        or (place.exists() and not _is_ours(place, ours.get(file.path, "")))
    ]
    if others:
        fetch_places.refuse_overwriting(others)


def _is_ours(place: Path, sha256: str) -> bool:
    return bool(sha256) and place.is_file() and transfer.sha256(place) == sha256


def present(sandbox: Sandbox, places: Places) -> dict[str, str]:
    """Return the checksums of the files whose very content is here, by path."""
    alike = [
        (file, place)
        for file, place in places
        if place.is_file() and place.stat().st_size == file.size_bytes
    ]
    sizes = {file.remote: file.size_bytes for file, _ in alike if not file.sha256}
    sums = listing.checksums(sandbox, sizes)
    sums |= {file.remote: file.sha256 for file, _ in alike if file.sha256}
    return {
        file.path: sums[file.remote]
        for file, place in alike
        if transfer.sha256(place) == sums[file.remote]
    }
