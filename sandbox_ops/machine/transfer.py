"""Bringing files home: resumable, checksummed, atomic.

A hidden `.part` file beside each keeps what has come. The other way, `upload`, is
here too for who moves files both ways.
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops.errors import DeniedError, ProtocolError, RefusedError
from sandbox_ops.links import Link, LinkEnd, LinkError
from sandbox_ops.machine import resuming, transfer_session
from sandbox_ops.machine.pace import UNLIMITED, Pace
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.upload import OnBytes, upload
from sandbox_ops.remote import scripts

if TYPE_CHECKING:
    from io import BufferedRandom

__all__ = ["download", "part_of", "received_bytes", "sha256", "upload", "writing"]


def download(
    sandbox: Sandbox,
    remote: str,
    local: Path,
    *,
    size_bytes: int,
    sha256: str = "",
    complete_since: float | None = None,
    pace: Pace = UNLIMITED,
    on_progress: OnBytes | None = None,
) -> str:
    """Bring one file home; `local` appears whole or not at all.

    Both ends take the checksum while the bytes are on their way. A hidden `.part` file
    beside it keeps what has come: a link that is lost is opened again and it goes on from
    there, and so does the next call.

    Args:
        sandbox: Where the file is.
        remote: Its absolute path there.
        local: Where it goes; its directory is made.
        size_bytes: So much of it comes, as was listed; it may have grown since.
        sha256: What it must be; "": whatever it is.
        complete_since: When it was written last, as was listed: one that was written
            since does not come. None: it may grow meanwhile.
        pace: Limits the bytes a second.
        on_progress: Gets bytes so far and in all.

    Returns:
        The SHA-256 of both.

    Raises:
        ConnectionLostError: The link died and did not come back; call again to go on.
        CancelledError: It was cancelled; call again to go on.
        ProtocolError: It changed on the machine while it was sent.
        RefusedError: It is not what `sha256` says: it was written again.
        RefusedError: The disk here is full, or another fetch brings the same file.
        DeniedError: We may not write there; or what may be read on the machine, or its
            mode, forbids it.
    """
    replaces = local.exists()
    with sandbox.acting("download", f"{remote} to {local}", destroys=replaces) as view:
        work = _Download(view, remote, local, size_bytes, pace, on_progress)
        return work.do(sha256, complete_since)


@contextmanager
def writing(local: Path) -> Iterator[None]:
    """Say what is wrong where a file cannot be written here.

    Raises:
        RefusedError: The disk is full, or something is in the way.
        DeniedError: We may not write there.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, (TimeoutError, ConnectionError)):
            raise
        kind = DeniedError if isinstance(error, PermissionError) else RefusedError
        raise kind(
            f"cannot write {local}: {error.strerror or error}",
            "Make room or choose another folder; what has come is kept and not sent again.",
        ) from error


class _Download:
    """One file under way."""

    def __init__(
        self,
        sandbox: Sandbox,
        remote: str,
        local: Path,
        size_bytes: int,
        pace: Pace,
        on_progress: OnBytes | None,
    ) -> None:
        self._sandbox, self._remote, self._local = sandbox, remote, local
        self._part = part_of(local)
        self._size_bytes, self._pace = size_bytes, pace
        self._on_progress = on_progress

    def do(self, sha256: str, complete_since: float | None) -> str:
        with writing(self._local):
            self._local.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(
                2
            ):  # a stale part ends in a wrong sum: again, from the start
                ours, answer = resuming.through_losses(
                    self._receive, lambda: received_bytes(self._local)
                )
                theirs, *now = answer.split() or ("",)
                if not theirs:
                    raise ProtocolError(
                        f"the machine cannot take the checksum of {self._remote}"
                    )
                if complete_since is not None and not _unchanged(
                    now, self._size_bytes, complete_since
                ):
                    raise self._changed("it is still written")
                if ours == theirs and ours != (sha256 or ours):
                    self._part.unlink()
                    raise RefusedError(
                        f"{self._remote} is not what the run's record says: its "
                        f"checksum is {ours[:16]}..., recorded is {sha256[:16]}...",
                        "It was written again after the run ended; its path still "
                        "brings it.",
                    )
                if ours == theirs:
                    self._part.chmod(0o666 & ~_umask())
                    self._part.replace(self._local)
                    return ours
                self._part.unlink()
        raise self._changed("the checksums of both ends differ")

    def _changed(self, why: str) -> ProtocolError:
        return ProtocolError(
            f"{self._remote} changed while it was sent: {why}",
            "Is a job still writing it? Fetch again when it has ended.",
        )

    def _receive(self) -> tuple[str, str]:
        """Fetch what the part lacks; return its checksum here, and the answer there."""
        mark, size_bytes, have = secrets.token_hex(16), self._size_bytes, 0
        patience_s = transfer_session.checksum_patience_s(size_bytes)
        try:
            with (
                _opened(self._part, size_bytes) as file,
                transfer_session.opened(self._sandbox) as link,
            ):
                have = os.fstat(file.fileno()).st_size
                arguments = (mark, str(have), str(size_bytes), self._remote)
                link.send(
                    scripts.streamed("file_send", *arguments, *self._sandbox.readable)
                )
                digest = hashlib.file_digest(file, "sha256")  # and so to its end
                data = transfer_session.after_mark(link, mark)
                while have < size_bytes:
                    self._sandbox.cancel_token.check()
                    data = data or self._bytes_of_file(link)
                    piece, data = data[: size_bytes - have], data[size_bytes - have :]
                    digest.update(piece)
                    have += file.write(piece)
                    if self._on_progress is not None:
                        self._on_progress(have, size_bytes)
                    self._pace.wait(len(piece))
                answer = transfer_session.line(link, data, patience_s)
        except (LinkError, TimeoutError) as error:
            raise transfer_session.lost(self._remote, have, size_bytes) from error
        return digest.hexdigest(), answer.decode(errors="replace")

    def _bytes_of_file(self, link: Link) -> bytes:
        """Return what comes next; there must be more."""
        chunk_bytes = self._pace.chunk_bytes
        if data := link.receive(transfer_session.STALL_S, chunk_bytes):
            return data
        if link.end() is LinkEnd.DIED:
            raise LinkError("the connection ended")
        self._part.unlink()  # what came last was not the file's
        raise ProtocolError(
            f"{self._remote} cannot be read to the length that was listed: it became "
            f"shorter, or cannot be read at all; {link.complaint()}".rstrip("; "),
            "Is a job still writing it? Fetch again when it has ended.",
        )


def _unchanged(now: list[str], size_bytes: int, mtime: float) -> bool:
    return now == [str(size_bytes), str(int(mtime))]


def part_of(local: Path) -> Path:
    """Return the file beside `local` that keeps what has come of it."""
    digest = hashlib.sha256(os.fsencode(local.name)).hexdigest()[:16]
    return local.with_name(f".sandbox-ops-{digest}.part")


def received_bytes(local: Path) -> int:
    """Return how much of a file has come so far."""
    try:
        return part_of(local).lstat().st_size
    except OSError:
        return 0


def _umask() -> int:
    mask = os.umask(0o077)  # there is no other way to read it
    os.umask(mask)
    return mask


@contextmanager
def _opened(part: Path, size_bytes: int) -> "Iterator[BufferedRandom]":
    """Open the part for us alone: private, never through a link, no longer than wanted.

    Raises:
        RefusedError: Another fetch is writing it.
    """
    with suppress(FileNotFoundError):
        status = part.lstat()
        own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        if not own or status.st_nlink != 1 or status.st_size > size_bytes:
            part.unlink()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f"another fetch is bringing {part.parent} a file of that name",
                "Wait until it has ended.",
            ) from None
        yield file


def sha256(path: Path) -> str:
    """Return the checksum of a file here."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
