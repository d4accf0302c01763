"""Bringing files home and there: resumable, checksummed, atomic.

Bulk takes a session of its own; the workers stay free for short requests.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops import scripts
from sandbox_ops.errors import (
    BY_KIND,
    ConnectionLostError,
    NotFoundError,
    ProtocolError,
)
from sandbox_ops.models import RemoteFile
from sandbox_ops.sandbox import Sandbox

if TYPE_CHECKING:
    from sandbox_ops.connection import Pipe

_LISTING_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 18
_STALL_S = 30.0


def listing(
    sandbox: Sandbox, root: str, patterns: Sequence[str], *, hashes: bool = False
) -> tuple[RemoteFile, ...]:
    """Return the files that the patterns name below `root`, directories whole.

    Raises:
        NotFoundError: There is no such directory.
        ProtocolError: The answer cannot be read.
    """
    result = sandbox.script(
        "files_list",
        "hash" if hashes else "plain",
        root,
        *(pattern.rstrip("/") for pattern in patterns),
        keep_bytes=_LISTING_BYTES,
        description=f"list files of {root}",
    )
    answer = result.stdout.head + result.stdout.tail
    _refuse(answer)
    try:
        return _listed(answer)
    except (ValueError, IndexError) as error:
        said = result.stderr.text.strip()[:500]
        raise ProtocolError(f"cannot list the files of {root}: {said}") from error


def _listed(answer: bytes) -> tuple[RemoteFile, ...]:
    names, _, facts = answer.partition(b"\0\n--\n")
    if not facts:
        return ()
    paths = [os.fsdecode(name).removeprefix("./") for name in names.split(b"\0")]
    rows = [line.split() for line in facts.decode().splitlines()]
    return tuple(
        RemoteFile(
            path=path,
            size_bytes=int(row[0]),
            mtime=float(row[1]),
            sha256=row[2] if len(row) > 2 else "",  # noqa: PLR2004  # its columns
        )
        for path, row in zip(paths, rows, strict=True)
    )


def download(
    sandbox: Sandbox,
    remote: str,
    local: Path,
    *,
    sha256: str,
    size_bytes: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Bring one file home; `local` appears whole or not at all.

    A `.part` file beside it keeps what has come; the next call goes on from there.

    Args:
        sandbox: Where the file is.
        remote: Its absolute path there.
        local: Where it goes; its directory is made.
        sha256: What it must be, as `listing` said.
        size_bytes: How long it must be.
        on_progress: Gets bytes so far and in all.

    Raises:
        ConnectionLostError: The link died; call again to go on.
        ProtocolError: It changed on the machine while it was sent.
    """
    local.parent.mkdir(parents=True, exist_ok=True)
    part = local.with_name(local.name + ".part")
    for _ in range(2):  # a stale .part ends in a wrong sum: once more, from the start
        _receive(sandbox, remote, part, size_bytes, on_progress)
        if _sha256(part) == sha256:
            part.replace(local)
            return
        part.unlink()
    raise ProtocolError(
        f"{remote} changed while it was sent: its checksum is not what was listed",
        "Is a job still writing it? Fetch again when it has ended.",
    )


def _receive(
    sandbox: Sandbox,
    remote: str,
    part: Path,
    size_bytes: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    from sandbox_ops.connection import LinkError

    have = part.stat().st_size if part.exists() else 0
    if have > size_bytes:
        part.unlink()
        have = 0
    if have == size_bytes:
        part.touch()
        return
    mark = secrets.token_hex(16)
    order = scripts.streamed("file_send", mark, str(have + 1), remote)
    try:
        with closing(sandbox.connection.shell(scripts.BOOTSTRAP)) as pipe:
            pipe.send(order)
            data = _after_mark(pipe, mark)
            with part.open("ab") as file:
                while data or (data := pipe.receive(_STALL_S, _CHUNK_BYTES)):
                    data = data[: size_bytes - have]  # it may have grown since
                    file.write(data)
                    have += len(data)
                    data = b""
                    if on_progress is not None:
                        on_progress(have, size_bytes)
                    if have == size_bytes:
                        break
    except (LinkError, TimeoutError) as error:
        raise _lost(remote, have, size_bytes) from error


def _after_mark(pipe: "Pipe", mark: str) -> bytes:
    """Return what has come behind the mark: start-up files may print before it."""
    seen = b""
    line = f"\n{mark}\n".encode()
    while line not in seen:
        piece = pipe.receive(_STALL_S, _CHUNK_BYTES)
        if not piece:
            raise ProtocolError(
                "the session for a file ended before it began: " + pipe.complaint()
            )
        seen += piece
    return seen.split(line, 1)[1]


def _line(pipe: "Pipe", seen: bytes) -> bytes:
    """Return what has come, at least a line of it."""
    from sandbox_ops.connection import LinkError

    while b"\n" not in seen:
        piece = pipe.receive(_STALL_S)
        if not piece:
            raise LinkError("the session for a file ended before it answered")
        seen += piece
    return seen


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

    A `.part` file beside it keeps what has come; the next call goes on from there.

    Args:
        sandbox: Where it goes.
        local: The file.
        remote: Its absolute path there; its directory is made.
        on_progress: Gets bytes so far and in all.

    Raises:
        NotFoundError: There is no such local file.
        RefusedError: `remote` is a directory, or the disk there is full.
        DeniedError: We may not write there.
        ConnectionLostError: The link died; call again to go on.
    """
    from sandbox_ops.connection import LinkError

    if not local.is_file():
        raise NotFoundError(f"no such file here: {local}")
    size, digest = local.stat().st_size, _sha256(local)
    mark = secrets.token_hex(16)
    sent = 0
    try:
        with closing(sandbox.connection.shell(scripts.BOOTSTRAP)) as pipe:
            pipe.send(scripts.streamed("file_take", mark, str(size), digest, remote))
            answer = _after_mark(pipe, mark)
            answer = _line(pipe, answer)
            have, _, answer = answer.partition(b"\n")
            with suppress(LinkError):  # it may refuse before it has read all
                for sent in _send_rest(pipe, local, int(have)):
                    if on_progress is not None:
                        on_progress(sent, size)
            answer = _line(pipe, answer)
    except (LinkError, TimeoutError) as error:
        raise _lost(remote, sent, size) from error
    _refuse(answer)
    return RemoteFile(
        path=remote, size_bytes=size, mtime=local.stat().st_mtime, sha256=digest
    )


def _send_rest(pipe: "Pipe", local: Path, have: int) -> Iterator[int]:
    with local.open("rb") as file:
        file.seek(have)
        while data := file.read(_CHUNK_BYTES):
            pipe.send(data)
            have += len(data)
            yield have


def _refuse(answer: bytes) -> None:
    """Raise the error that a script answered with, if it did."""
    if answer.startswith(b"error="):
        kind, _, message = answer[6:].decode(errors="replace").strip().partition(" ")
        raise BY_KIND.get(kind, ProtocolError)(message)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
