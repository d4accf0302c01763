"""A place in a job's log, as an opaque word that the caller keeps.

The server remembers nothing: the holder of a cursor reads on from there, after a restart
too, and no reader can steal another's output.
"""

import base64
import binascii
import dataclasses
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from sandbox_ops.errors import UsageError
from sandbox_ops.models import job_ids
from sandbox_ops.text.paging import Place

_VERSION = "3"
_MOST_WARNED = 8
_LONGEST_KEY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place in a log.

    Attributes:
        sandbox: The name of the machine.
        place: Where in the log, and what tells that it is still that log.
        warned: The warnings that were reported, by their keys; a wait reports others.
    """

    sandbox: str
    job_id: str
    place: Place
    warned: tuple[str, ...] = ()

    def after(self, warned: Sequence[str]) -> "Cursor":
        """Return the same place, with more warnings reported."""
        return dataclasses.replace(self, warned=(*self.warned, *warned))

    def encode(self) -> str:
        """Return the cursor as a word."""
        numbers = (
            self.place.offset,
            self.place.inode,
            self.place.known_bytes,
            self.place.digest,
        )
        warned = (key[:_LONGEST_KEY] for key in self.warned[-_MOST_WARNED:])
        warning_keys = ",".join(quote(key, safe=" ") for key in warned)
        fields = (_VERSION, self.job_id, *map(str, numbers), warning_keys, self.sandbox)
        raw = "/".join(fields).encode()
        return base64.urlsafe_b64encode(raw + _check(raw)).decode().rstrip("=")


def decode(word: str, *, sandbox: str, jobs: Sequence[str]) -> Cursor:
    """Return the place that a word stands for.

    Args:
        word: As an answer stated it.
        sandbox: The name of the machine that is asked.
        jobs: What names the jobs there that are meant. A name, or `last`, may mean
            another job by now: then it is the cursor that says which.

    Raises:
        UsageError: It is no cursor of ours, or one of another job; says which.
    """
    cursor = _decoded(word)
    named = [job_ids.reference(job).job_id or cursor.job_id for job in jobs]
    same = cursor.sandbox == sandbox
    if not same or cursor.job_id not in named:
        meant = ", ".join(named)
        other = cursor.job_id if same else f"{cursor.job_id} on {cursor.sandbox}"
        raise UsageError(
            f"`since` is a cursor of {other}, not of {meant}",
            "Use the cursor of an answer for that job, or leave `since` out.",
        )
    return cursor


def _decoded(word: str) -> Cursor:
    stripped = word.strip()
    try:
        raw = base64.b64decode(
            stripped + "=" * (-len(stripped) % 4), altchars=b"-_", validate=True
        )
        fields, check = raw[:-2], raw[-2:]
        version, job_id, *numbers, warning_keys, name = fields.decode().split("/", 7)
        warned = tuple(map(unquote, warning_keys.split(","))) if warning_keys else ()
        offset, inode, known_bytes, digest = map(int, numbers)
    except (ValueError, binascii.Error):
        raise _not_ours(word) from None
    place = Place(offset=offset, inode=inode, known_bytes=known_bytes, digest=digest)
    whole = 0 <= known_bytes <= offset and job_ids.is_id(job_id)
    if version != _VERSION or check != _check(fields) or not whole:
        raise _not_ours(word)
    return Cursor(sandbox=name, job_id=job_id, place=place, warned=warned)


def _check(raw: bytes) -> bytes:
    return (zlib.crc32(raw) & 0xFFFF).to_bytes(2, "big")


def _not_ours(word: str) -> UsageError:
    return UsageError(
        f"`since` is not a cursor: {word[:60]!r}",
        "Copy the cursor of an earlier answer whole, or leave `since` out.",
    )
