"""Bringing files home and there: resumable, checksummed, atomic.

Bulk takes a session of its own; the workers stay free for short requests. (Over 250 lines:
both directions share one session, its marks and its errors.)
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops.errors import (
    ConnectionLostError,
    DeniedError,
    NotFoundError,
    ProtocolError,
    RefusedError,
)
from sandbox_ops.links import Link, LinkEnd, LinkError, SessionLimitError
from sandbox_ops.machine import resuming
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import RemoteFile
from sandbox_ops.remote import machine_errors, scripts

if TYPE_CHECKING:
    from io import BufferedRandom

_CHUNK_BYTES = 1 << 18
_STALL_S = 30.0
_LONGEST_PREAMBLE_BYTES = 16 << 20
_SLOWEST_SUM_BYTES_S = 20e6
"""The last bytes of a resumed file come long before the checksum of all of it does."""


def download(
    sandbox: Sandbox,
    remote: str,
    local: Path,
    *,
    size_bytes: int,
    on_progress: Callable[[int, int], None] | None = None,
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
        on_progress: Gets bytes so far and in all.

    Returns:
        The SHA-256 of both.

    Raises:
        ConnectionLostError: The link died and did not come back; call again to go on.
        CancelledError: It was cancelled; call again to go on.
        ProtocolError: It changed on the machine while it was sent.
        RefusedError: The disk here is full, or another fetch brings the same file.
        DeniedError: We may not write there; or what may be read on the machine, or its
            mode, forbids it.
    """
    replaces = local.exists()
    with sandbox.acting("download", f"{remote} to {local}", destroys=replaces) as view:
        return _download(view, remote, local, size_bytes, on_progress)


def _download(
    sandbox: Sandbox,
    remote: str,
    local: Path,
    size_bytes: int,
    on_progress: Callable[[int, int], None] | None,
) -> str:
    part = part_of(local)
    try:
        local.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(
            2
        ):  # a stale part ends in a wrong sum: once more, from the start
            ours, theirs = resuming.through_losses(
                lambda: _receive(sandbox, remote, part, size_bytes, on_progress),
                lambda: received_bytes(local),
            )
            if not theirs:
                raise ProtocolError(f"the machine cannot take the checksum of {remote}")
            if ours == theirs:
                part.chmod(0o666 & ~_umask())
                part.replace(local)
                return ours
            part.unlink()
    except OSError as error:
        if isinstance(error, (TimeoutError, ConnectionError)):
            raise
        kind = DeniedError if isinstance(error, PermissionError) else RefusedError
        raise kind(
            f"cannot write {local}: {error.strerror or error}",
            "Make room or choose another folder; what has come is kept and not sent again.",
        ) from error
    raise ProtocolError(
        f"{remote} changed while it was sent: the checksums of both ends differ",
        "Is a job still writing it? Fetch again when it has ended.",
    )


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


def _receive(
    sandbox: Sandbox,
    remote: str,
    part: Path,
    size_bytes: int,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[str, str]:
    """Fetch what `part` lacks; return the checksums of it here and of the file there."""
    mark = secrets.token_hex(16)
    have = 0
    try:
        with _opened(part, size_bytes) as file, _session(sandbox) as link:
            have = os.fstat(file.fileno()).st_size
            words = (mark, str(have), str(size_bytes), remote, *sandbox.readable)
            link.send(scripts.streamed("file_send", *words))
            digest = hashlib.file_digest(file, "sha256")  # and so to its end
            data = _after_mark(link, mark)
            while have < size_bytes:
                sandbox.cancel_token.check()
                data = data or _bytes_of_file(link, remote, part)
                piece, data = data[: size_bytes - have], data[size_bytes - have :]
                digest.update(piece)
                have += file.write(piece)
                if on_progress is not None:
                    on_progress(have, size_bytes)
            theirs = _line(link, data, _STALL_S + size_bytes / _SLOWEST_SUM_BYTES_S)
    except (LinkError, TimeoutError) as error:
        raise _lost(remote, have, size_bytes) from error
    return digest.hexdigest(), theirs.decode(errors="replace").strip()


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


def _bytes_of_file(link: Link, remote: str, part: Path) -> bytes:
    """Return what comes next; there must be more."""
    if data := link.receive(_STALL_S, _CHUNK_BYTES):
        return data
    if link.end() is LinkEnd.DIED:
        raise LinkError("the connection ended")
    part.unlink()  # what came last was not the file's
    raise ProtocolError(
        f"{remote} cannot be read to the length that was listed: it became shorter, "
        f"or cannot be read at all; {link.complaint()}".rstrip("; "),
        "Is a job still writing it? Fetch again when it has ended.",
    )


@contextmanager
def _session(sandbox: Sandbox) -> Iterator[Link]:
    """Open a session; on a connection of its own, where the workers hold all of one."""
    with ExitStack() as ends:
        sandbox.cancel_token.check()
        links = sandbox.links
        links.connect()
        try:
            link = links.open_link(scripts.bootstrap("stream"))
        except SessionLimitError:
            spare = ends.enter_context(closing(links.another()))
            spare.connect()
            link = spare.open_link(scripts.bootstrap("stream"))
        ends.callback(link.close)
        yield link


def _after_mark(link: Link, mark: str) -> bytes:
    """Return what has come behind the mark: start-up files may print before it."""
    seen = b""
    line = f"\n{mark}\n".encode()
    while line not in seen:
        if f"\n{mark} denied\n".encode() in seen:
            raise DeniedError(
                "the file is not to be read", machine_errors.hint("policy")
            )
        _refuse_endless(seen)
        piece = link.receive(_STALL_S, _CHUNK_BYTES)
        if not piece and link.end() is LinkEnd.DIED:
            raise LinkError("the session for a file ended before it began")
        if not piece:
            raise ProtocolError(
                "the session for a file ended before it began: " + link.complaint()
            )
        seen += piece
    return seen.split(line, 1)[1]


def _line(link: Link, seen: bytes, patience_s: float = _STALL_S) -> bytes:
    """Return what has come, at least a line of it."""
    while b"\n" not in seen:
        _refuse_endless(seen)
        piece = link.receive(patience_s)
        if not piece:
            raise LinkError("the session for a file ended before it answered")
        seen += piece
    return seen


def _refuse_endless(seen: bytes) -> None:
    if len(seen) > _LONGEST_PREAMBLE_BYTES:
        raise ProtocolError("the session for a file sends no end of something else")


def _lost(remote: str, have: int, size_bytes: int) -> ConnectionLostError:
    return ConnectionLostError(
        f"the connection was lost at {have} of {size_bytes} bytes of {remote}",
        "Do it again: it goes on where it stopped.",
    )


def upload(
    sandbox: Sandbox,
    local: Path,
    remote: str,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> RemoteFile:
    """Bring one file there; `remote` appears whole or not at all.

    A `.part` file beside it keeps what has come: a link that is lost is opened again and it
    goes on from there, and so does the next call.

    Args:
        sandbox: Where it goes.
        local: The file.
        remote: Its absolute path there; its directory is made.
        on_progress: Gets bytes so far and in all.

    Raises:
        NotFoundError: There is no such local file.
        RefusedError: `remote` is a directory, or the disk there is full.
        DeniedError: We may not write there.
        ConnectionLostError: The link died and did not come back; call again to go on.
        CancelledError: It was cancelled; call again to go on.
        ProtocolError: What came is not what was sent: the file here changed meanwhile.
    """
    if not local.is_file():
        raise NotFoundError(f"no such file here: {local}")
    with sandbox.acting("upload", f"{local} to {remote}") as view:
        return _upload(view, local, remote, on_progress)


def _upload(
    sandbox: Sandbox,
    local: Path,
    remote: str,
    on_progress: Callable[[int, int], None] | None,
) -> RemoteFile:
    wanted = RemoteFile(
        path=remote, size_bytes=local.stat().st_size, mtime=local.stat().st_mtime,
        sha256=sha256(local),
    )  # fmt: skip
    arrived = [0]  # so much was there, as the machine said

    def through_losses() -> None:
        resuming.through_losses(
            lambda: _send(sandbox, local, wanted, arrived, on_progress),
            lambda: arrived[0],
        )

    try:
        through_losses()
    except ProtocolError:
        if not arrived[0]:
            raise
        through_losses()  # it was appended to a part of something else, now removed
    return wanted


def _send(
    sandbox: Sandbox,
    local: Path,
    wanted: RemoteFile,
    arrived: list[int],
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Send what is not there yet."""
    mark = secrets.token_hex(16)
    size, sent = wanted.size_bytes, arrived[0]
    words = (mark, str(size), wanted.sha256, wanted.path)
    try:
        with _session(sandbox) as link:
            link.send(scripts.streamed("file_take", *words))
            answer = _after_mark(link, mark)
            answer = _line(link, answer)
            have, _, answer = answer.partition(b"\n")
            arrived[0] = sent = int(have)
            with suppress(LinkError):  # it may refuse before it has read all
                for sent in _send_rest(link, local, arrived[0]):
                    sandbox.cancel_token.check()
                    if on_progress is not None:
                        on_progress(sent, size)
            answer = _line(link, answer)
    except (LinkError, TimeoutError) as error:
        raise _lost(wanted.path, sent, size) from error
    _refuse(answer)


def _send_rest(link: Link, local: Path, have: int) -> Iterator[int]:
    with local.open("rb") as file:
        file.seek(have)
        while data := file.read(_CHUNK_BYTES):
            link.send(data)
            have += len(data)
            yield have


def _refuse(answer: bytes) -> None:
    """Raise the error that a script answered with, if it did."""
    if answer.startswith(b"error="):
        kind, _, message = answer[6:].decode(errors="replace").strip().partition(" ")
        raise machine_errors.machine_error(kind, message)


def sha256(path: Path) -> str:
    """Return the checksum of a file here."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
