"""Bringing one file there: resumable, checksummed, atomic.

Both ends take the checksum while the bytes are on their way; the machine puts the file
in its place only when we confirm that they agree.
"""

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sandbox_ops.errors import NotFoundError, ProtocolError
from sandbox_ops.links import Link, LinkError
from sandbox_ops.machine import resuming, transfer_session
from sandbox_ops.machine.pace import UNLIMITED, Pace
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import RemoteFile
from sandbox_ops.remote import scripts

OnBytes = Callable[[int, int], None]
_EXECUTABLE = 0o100


def upload(
    sandbox: Sandbox,
    local: Path,
    remote: str,
    *,
    replace: bool = True,
    pace: Pace = UNLIMITED,
    on_progress: OnBytes | None = None,
) -> RemoteFile:
    """Bring one file there; `remote` appears whole or not at all.

    A `.part` file beside it keeps what has come: a link that is lost is opened again and it
    goes on from there, and so does the next call.

    Args:
        sandbox: Where it goes.
        local: The file.
        remote: Its absolute path there; its directory is made.
        replace: Whether a file there may be replaced.
        pace: Limits the bytes a second.
        on_progress: Gets bytes so far and in all.

    Raises:
        NotFoundError: There is no such local file.
        RefusedError: `remote` is a directory, or a file that may not be replaced, or the
            disk there is full.
        DeniedError: We may not write there.
        ConnectionLostError: The link died and did not come back; call again to go on.
        CancelledError: It was cancelled; call again to go on.
        ProtocolError: What came is not what was sent: the file here changed meanwhile.
    """
    if not local.is_file():
        raise NotFoundError(f"no such file here: {local}")
    with sandbox.acting("upload", f"{local} to {remote}") as view:
        return _Upload(view, local, remote, replace, pace, on_progress).do()


class _Upload:
    """One file under way."""

    def __init__(
        self,
        sandbox: Sandbox,
        local: Path,
        remote: str,
        replace: bool,
        pace: Pace,
        on_progress: OnBytes | None,
    ) -> None:
        self._sandbox, self._local, self._remote = sandbox, local, remote
        self._pace, self._on_progress = pace, on_progress
        status = local.stat()
        self._size_bytes, self._mtime = status.st_size, status.st_mtime
        mode = "755" if status.st_mode & _EXECUTABLE else "644"
        self._words = (mode, "replace" if replace else "new")
        self._there_bytes = 0  # so much had arrived, as the machine said

    def do(self) -> RemoteFile:
        try:
            digest = self._through_losses()
        except ProtocolError:
            if not self._there_bytes:
                raise
            digest = (
                self._through_losses()
            )  # the part was of something else; it is gone
        return RemoteFile(
            path=self._remote,
            size_bytes=self._size_bytes,
            mtime=self._mtime,
            sha256=digest,
        )

    def _through_losses(self) -> str:
        return resuming.through_losses(self._send, lambda: self._there_bytes)

    def _send(self) -> str:
        """Send what is not there yet; return the checksum of the whole."""
        mark, size_bytes = secrets.token_hex(16), self._size_bytes
        sent_bytes = self._there_bytes
        digest = hashlib.sha256()
        arguments = (mark, str(size_bytes), self._remote, *self._words)
        patience_s = transfer_session.checksum_patience_s(size_bytes)
        try:
            with transfer_session.opened(self._sandbox) as link:
                link.send(scripts.streamed("file_take", *arguments))
                answer = transfer_session.after_mark(link, mark)
                answer = transfer_session.line(link, answer)
                have, _, answer = answer.partition(b"\n")
                self._there_bytes = sent_bytes = int(have)
                with suppress(LinkError):  # it may refuse before it has read all
                    sent_bytes = self._send_rest(link, digest)
                answer = transfer_session.line(link, answer, patience_s)
                transfer_session.refuse(answer)
                agreed = answer.strip() == f"sum={digest.hexdigest()}".encode()
                link.send(b"take\n" if agreed else b"drop\n")
                transfer_session.refuse(transfer_session.line(link, b""))
        except (LinkError, TimeoutError) as error:
            raise transfer_session.lost(self._remote, sent_bytes, size_bytes) from error
        return digest.hexdigest()

    def _send_rest(self, link: Link, digest: "hashlib._Hash") -> int:
        at = 0
        with self._local.open("rb") as file:
            while at < self._there_bytes:
                piece = file.read(min(1 << 20, self._there_bytes - at))
                if not piece:
                    break
                digest.update(piece)
                at += len(piece)
            while at < self._size_bytes:
                self._sandbox.cancel_token.check()
                piece = file.read(min(self._pace.chunk_bytes, self._size_bytes - at))
                if not piece:
                    raise ProtocolError(
                        f"{self._local} became shorter while it was sent",
                        "Is it still being written? Send it again when it is complete.",
                    )
                self._pace.wait(len(piece))
                link.send(piece)
                digest.update(piece)
                at += len(piece)
                if self._on_progress is not None:
                    self._on_progress(at, self._size_bytes)
        return at
