"""A place in a job's log, as an opaque word that the caller keeps.

The server remembers nothing: whoever holds the word reads on from there, after a restart
too, and no reader can steal another's output.
"""

import base64
import binascii
import zlib
from dataclasses import dataclass

from sandbox_ops.errors import UsageError

_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place in a log.

    Attributes:
        sandbox: The name of the machine.
        offset: In bytes.
        inode: Of the log, to notice that it was rotated.
    """

    sandbox: str
    job_id: str
    offset: int
    inode: int

    def encode(self) -> str:
        """Return the cursor as a word."""
        said = f"{_VERSION}/{self.job_id}/{self.offset}/{self.inode}/{self.sandbox}"
        raw = said.encode()
        return base64.urlsafe_b64encode(raw + _check(raw)).decode().rstrip("=")


def decode(word: str, *, sandbox: str, job_id: str) -> Cursor:
    """Return the place that a word stands for.

    Raises:
        UsageError: it is no cursor of ours, or one of another job; says which.
    """
    try:
        raw = base64.b64decode(
            word.strip() + "=" * (-len(word.strip()) % 4), altchars=b"-_", validate=True
        )
        said, check = raw[:-2], raw[-2:]
        version, job, offset, inode, name = said.decode().split("/", 4)
        cursor = Cursor(sandbox=name, job_id=job, offset=int(offset), inode=int(inode))
    except (ValueError, binascii.Error):
        raise _not_ours(word) from None
    if version != _VERSION or check != _check(said) or cursor.offset < 0:
        raise _not_ours(word)
    if (cursor.sandbox, cursor.job_id) != (sandbox, job_id):
        other = job if name == sandbox else f"{job} on {name}"
        raise UsageError(
            f"`since` is a cursor of {other}, not of {job_id}",
            "Use the cursor of an answer for that job, or leave `since` out.",
        )
    return cursor


def _check(raw: bytes) -> bytes:
    return (zlib.crc32(raw) & 0xFFFF).to_bytes(2, "big")


def _not_ours(word: str) -> UsageError:
    return UsageError(
        f"`since` is not a cursor: {word[:60]!r}",
        "Copy the cursor of an earlier answer whole, or leave `since` out.",
    )
