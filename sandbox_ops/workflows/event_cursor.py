"""The cursor of `events`: what was reported of every machine, as one opaque word. Pure.

Deflated JSON in the letters of base64url; its checksum is deflate's. It comes back from
outside, so its types and sizes are checked before anything is made of it.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.workflows.event_memory import JobMemory, SandboxMemory

_VERSION = "1"
_MOST_BYTES = 4 << 20
_REACHABLE = (None, False, True)


def encode(memories: Mapping[str, SandboxMemory]) -> str:
    """Return the cursor of what was reported."""
    value = {name: _packed(memory) for name, memory in memories.items()}
    text = json.dumps(value, separators=(",", ":")).encode()
    letters = base64.urlsafe_b64encode(zlib.compress(text, 9)).rstrip(b"=")
    return f"{_VERSION}.{letters.decode()}"


def decode(cursor: str) -> dict[str, SandboxMemory]:
    """Return what had been reported when that cursor was made.

    Raises:
        UsageError: It is none of ours.
    """
    version, _, letters = cursor.strip().partition(".")
    try:
        if version != _VERSION:
            raise ValueError(version)  # noqa: TRY301 - reported like all the rest
        padded = letters + "=" * (-len(letters) % 4)
        packed = base64.b64decode(padded, altchars=b"-_", validate=True)
        inflate = zlib.decompressobj()
        text = inflate.decompress(packed, _MOST_BYTES)
        if not inflate.eof:
            raise ValueError("cut, or too long")  # noqa: TRY301
        value = json.loads(text)
        return {str(name): _unpacked(each) for name, each in value.items()}
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError, zlib.error) as error:  # fmt: skip
        raise UsageError(
            f"this is no cursor of `events`, or not all of it: {cursor[:60]}",
            "Give --since the `cursor` of an event, as it was printed.",
            NextStep("events", {"json": True}, "To begin again"),
        ) from error


def _packed(memory: SandboxMemory) -> list[Any]:
    return [
        memory.store,
        memory.seen,
        _REACHABLE.index(memory.is_reachable),
        {
            str(number): [
                job.name, job.written_bytes, round(job.changed_at), int(job.reports),
                list(job.reported), *([1] if job.is_queued else []),
            ]
            for number, job in memory.jobs.items()
        },
        {str(number): round(at) for number, at in memory.pending.items()},
    ]  # fmt: skip


def _unpacked(value: Any) -> SandboxMemory:  # noqa: ANN401 - whatever came in
    store, seen, reachable, jobs, pending = value
    return SandboxMemory(
        store=_text(store),
        seen=_number(seen),
        is_reachable=_REACHABLE[_number(reachable)],
        jobs={_number(int(number)): _job(job) for number, job in jobs.items()},
        pending={
            _number(int(number)): float(_number(at)) for number, at in pending.items()
        },
    )


def _job(value: Any) -> JobMemory:  # noqa: ANN401
    name, written, changed_at, reports, marks, *queued = value
    return JobMemory(
        name=_text(name),
        written_bytes=None if written is None else _number(written),
        changed_at=float(_number(changed_at)),
        reports=bool(_number(reports)),
        reported=tuple(_number(mark) for mark in marks),
        is_queued=bool(queued and _number(queued[0])),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: object) -> int:
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not 0 <= value < 1 << 53
    ):
        raise TypeError(value)
    return value
