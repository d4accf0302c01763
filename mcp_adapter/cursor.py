"""A place in a job's log, as an opaque word that the caller keeps.

The server remembers nothing: whoever holds the word reads on from there, after a restart
too, and no reader can steal another's output.
"""

import base64
import binascii
import zlib
from dataclasses import dataclass

from sandbox_ops.errors import UsageError
from sandbox_ops.text.paging import Place

_VERSION = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place in a log.

    Attributes:
        sandbox: The name of the machine.
        place: Where in the log, and what tells that it is still that log.
    """

    sandbox: str
    job_id: str
    place: Place

    def encode(self) -> str:
        """Return the cursor as a word."""
        numbers = (
            self.place.offset,
            self.place.inode,
            self.place.known_bytes,
            self.place.digest,
        )
        fields = (_VERSION, self.job_id, *map(str, numbers), self.sandbox)
        raw = "/".join(fields).encode()
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
        version, job, *numbers, name = said.decode().split("/", 6)
        offset, inode, known_bytes, digest = map(int, numbers)
        place = Place(
            offset=offset, inode=inode, known_bytes=known_bytes, digest=digest
        )
        cursor = Cursor(sandbox=name, job_id=job, place=place)
    except (ValueError, binascii.Error):
        raise _not_ours(word) from None
    if version != _VERSION or check != _check(said) or not 0 <= known_bytes <= offset:
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
