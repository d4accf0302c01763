"""Bringing many small files there: some hundreds in a session, checked, as one archive.

Each file appears whole or not at all. What a lost link ended is sent again from the
batch under way; the batches before it are in their places.
"""

import hashlib
import io
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.links import Link, LinkError
from sandbox_ops.machine import resuming, transfer_session
from sandbox_ops.machine.pace import Pace
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.remote import scripts

_SMALL_BYTES = 4 << 20
_BATCH_BYTES = 16 << 20
_BATCH_FILES = 500
_BATCH_NAME_BYTES = 60_000
"""They are the arguments of one `mv` there."""

_EXECUTABLE = 0o100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file here that goes there.

    Attributes:
        path: Relative to the folder that it goes to.
        place: Where it is.
        size_bytes: When it was listed.
    """

    path: str
    place: Path
    size_bytes: int

    @property
    def is_small(self) -> bool:
        """Whether it is better sent with others; a list of checksums takes its name."""
        return self.size_bytes <= _SMALL_BYTES and not set(self.path) & set("\n\r\\")


def batches(files: Sequence[LocalFile]) -> Iterator[tuple[LocalFile, ...]]:
    """Return small files in groups that are sent as one each. Pure."""
    group: list[LocalFile] = []
    size_bytes = name_bytes = 0
    for file in files:
        size_bytes += file.size_bytes
        name_bytes += len(os.fsencode(file.path)) + 1
        full = size_bytes > _BATCH_BYTES or name_bytes > _BATCH_NAME_BYTES
        if group and (full or len(group) == _BATCH_FILES):
            yield tuple(group)
            group, size_bytes = [], file.size_bytes
            name_bytes = len(os.fsencode(file.path)) + 1
        group.append(file)
    if group:
        yield tuple(group)


def upload_batch(
    sandbox: Sandbox,
    files: Sequence[LocalFile],
    folder: str,
    *,
    replace: bool,
    pace: Pace,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Bring small files to a folder there; return the SHA-256 of each, by path.

    Args:
        sandbox: Where they go.
        files: As `batches` groups them.
        folder: Absolute; it is made.
        replace: Whether files there may be replaced.
        pace: Limits the bytes a second.
        on_progress: Gets bytes so far and in all, of the archive.

    Raises:
        RefusedError: A file is there already and may not be replaced, a folder or a file
            is in the way, or the disk there is full.
        DeniedError: We may not write there, or may not read a file here.
        ConnectionLostError: The link died and did not come back.
        CancelledError: It was cancelled.
    """
    sums, archive = _packed(files)
    how = "replace" if replace else "new"
    sent = [0]

    def attempt() -> None:
        mark = secrets.token_hex(16)
        arguments = (mark, str(len(archive)), folder, how)
        try:
            with transfer_session.opened(sandbox) as link:
                link.send(scripts.streamed("files_take", *arguments))
                answer = transfer_session.after_mark(link, mark)
                with suppress(LinkError):  # it may refuse before it has read all
                    for sent[0] in _sending(link, archive, pace):
                        sandbox.cancel_token.check()
                        if on_progress is not None:
                            on_progress(sent[0], len(archive))
                patience_s = transfer_session.checksum_patience_s(len(archive))
                answer = transfer_session.line(link, answer, patience_s)
        except (LinkError, TimeoutError) as error:
            raise transfer_session.lost(folder, sent[0], len(archive)) from error
        transfer_session.refuse(answer)

    resuming.through_losses(attempt, lambda: sent[0])
    return sums


def _packed(files: Sequence[LocalFile]) -> tuple[dict[str, str], bytes]:
    """Return the files' checksums and the archive that holds exactly what was summed."""
    sums: dict[str, str] = {}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:

        def add(name: str, content: bytes, mode: int) -> None:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))

        for file in files:
            content = file.place.read_bytes()
            executable = file.place.stat().st_mode & _EXECUTABLE
            sums[file.path] = hashlib.sha256(content).hexdigest()
            add(f"files/{file.path}", content, 0o755 if executable else 0o644)
        lines = (f"{digest}  {path}\n" for path, digest in sums.items())
        add("sums", os.fsencode("".join(lines)), 0o644)
    return sums, data.getvalue()


def _sending(link: Link, archive: bytes, pace: Pace) -> Iterator[int]:
    at = 0
    while at < len(archive):
        piece = archive[at : at + pace.chunk_bytes]
        pace.wait(len(piece))
        link.send(piece)
        at += len(piece)
        yield at
