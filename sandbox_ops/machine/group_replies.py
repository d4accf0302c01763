"""What asks a machine for a group, and the group that its answer tells of. Pure."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sandbox_ops.machine import readings
from sandbox_ops.models import Job, JobState, job_ids
from sandbox_ops.models.groups import Group, Member
from sandbox_ops.remote import job_replies
from sandbox_ops.remote.frames import Segment

_CELL = re.compile(r"[1-9][0-9]{0,4}")


def look_words(
    name: str, digest_bytes: int = 0, *, with_records: bool = False
) -> tuple[str, str]:
    """Return what asks for a group, as a part of any look."""
    mode = "j" + "d" * bool(digest_bytes) + "r" * with_records
    return "group", f"{job_ids.name_key(name)} {mode} {digest_bytes}"


def read(name: str, segments: Sequence[Segment], base: str) -> Group | None:
    """Return the group that an answer tells of; None where it tells of none."""
    at = [
        place
        for place, segment in enumerate(segments)
        if segment.what == "group" and segment.words == (job_ids.name_key(name),)
    ]
    if not at:
        return None
    rows = _rows(segments[at[0]].data)
    part = segments[at[0] + 1 :]
    replies = job_replies.jobs(part, base)
    digests = dict(readings.digests([*part, *_summaries(part)]))
    records = {s.words[0]: s.data for s in part if s.what == "run" and s.words}
    cells = {row.job_id: row for row in rows if row.job_id}
    unread = (job_id for job_id in job_replies.missing(part) if job_id in cells)
    members = [_unread(cells[job_id]) for job_id in unread]
    for job_id, reply in replies.items():
        if job_id not in cells:
            break  # what follows is the answer to another question
        row = cells[job_id]
        members.append(
            Member(
                number=row.number,
                identity=row.identity,
                commit=row.commit,
                job=reply.job,
                digest=digests.get(job_id),
                record=_record(records.get(job_id, b"")),
            )
        )
    return Group(
        name=name,
        members=tuple(
            sorted((each for each in members if each.number), key=lambda m: m.number)
        ),
        then=next((member for member in members if not member.number), None),
        numbers=_numbers(rows),
        starts=Counter(row.identity for row in cells.values()),
    )


def _summaries(part: Sequence[Segment]) -> list[Segment]:
    """Return the digests that came together, as if each had come alone."""
    lines: dict[str, list[bytes]] = {}
    for segment in part:
        if segment.what == "summaries":
            for line in segment.data.split(b"\n"):
                name, _, text = line.partition(b"/summary:")
                lines.setdefault(name.decode("ascii", "replace"), []).append(text)
    return [
        Segment(b"\n".join((*texts, b"")), "digest", (job_id,))
        for job_id, texts in lines.items()
    ]


def _record(data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


class _Row(NamedTuple):
    number: int
    job_id: str  # "" where the line only takes the number, before the start
    identity: str
    commit: str


def _unread(row: _Row) -> Member:
    """Return the cell whose job was started and cannot be read: whether it ran is unknown."""
    job = Job(id=row.job_id, state=JobState.UNKNOWN, reason="its record cannot be read")
    return Member(number=row.number, identity=row.identity, commit=row.commit, job=job)


def _numbers(rows: Sequence[_Row]) -> dict[str, int]:
    """Return the number of each cell: of two that took one, it is that of the first."""
    owners: dict[int, str] = {}
    for row in rows:
        if row.number:
            owners.setdefault(row.number, row.identity)
    return {identity: number for number, identity in owners.items()}


def _rows(data: bytes) -> list[_Row]:
    """Return the lines of a group's file that can be read: two a start."""
    rows = []
    for line in data.decode("utf-8", "replace").splitlines():
        match line.split(" "):
            case [word, _, identity] if _CELL.fullmatch(word.removeprefix("=")):
                rows.append(_Row(int(word.removeprefix("=")), "", identity, ""))
            case [job_ids.THEN, job_id, identity, commit] if job_ids.is_id(job_id):
                rows.append(_Row(0, job_id, identity, commit.strip("-")))
            case [word, job_id, identity, commit] if job_ids.is_id(job_id):
                if _CELL.fullmatch(word):
                    rows.append(_Row(int(word), job_id, identity, commit.strip("-")))
    return rows
