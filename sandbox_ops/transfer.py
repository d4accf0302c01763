"""Bringing files home: resumable, checksummed, atomic.

Bulk takes a session of its own; the workers stay free for short requests.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from sandbox_ops.errors import (
    BY_KIND,
    ConnectionLostError,
    NotFoundError,
    ProtocolError,
)
from sandbox_ops.models import RemoteFile
from sandbox_ops.sandbox import Sandbox

_LISTING_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 18
_STALL_S = 30.0
_SEND = (
    "exec /bin/sh -c 'IFS= read -r o;IFS= read -r n;"
    """p=$(head -c "$n";echo x);exec tail -c "+$o" "${p%x}"'"""
)
"""Sends a file from a byte on; where and which are read from stdin: they are data."""


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
    if answer.startswith(b"error="):
        kind, _, message = answer[6:].decode(errors="replace").strip().partition(" ")
        raise BY_KIND.get(kind, NotFoundError)(message)
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
    name = os.fsencode(remote)
    if have == size_bytes:
        part.touch()
        return
    try:
        with closing(sandbox.connection.shell(_SEND)) as pipe, part.open("ab") as file:
            pipe.send(b"%d\n%d\n%b" % (have + 1, len(name), name))
            while have < size_bytes and (data := pipe.receive(_STALL_S, _CHUNK_BYTES)):
                data = data[: size_bytes - have]  # it may have grown since
                file.write(data)
                have += len(data)
                if on_progress is not None:
                    on_progress(have, size_bytes)
    except (LinkError, TimeoutError) as error:
        raise ConnectionLostError(
            f"the connection was lost at {have} of {size_bytes} bytes of {remote}",
            "Fetch again: it goes on where it stopped.",
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
