"""The records of runs: what of them is new since a client looked, in one question.

A run is a background job that `train` started, known by its run record. What is said of it
(labels: a note, tags) and what is left of records that were pruned comes along.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import ProtocolError, SandboxError
from sandbox_ops.machine import changes, run_outputs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState, job_ids
from sandbox_ops.remote import job_replies
from sandbox_ops.remote.frames import Segment

PAGE = 4000
"""So many records one question asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What the folder of a run holds.

    Attributes:
        job: As its record says; one that has not ended there may have meanwhile: ask.
        record: Its `run.json`, and what its `spec.json` alone has (group, cell).
        outputs: What it wrote: `path`, `size_bytes`, `sha256` each; the first hundred.
    """

    job: Job
    record: dict[str, Any]
    outputs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Up to where the client has looked.

    Attributes:
        store: Which folder of records; "" before the first look.
        seen: The highest number of a job that is not new.
        labels: How many bytes of what is said of runs.
        pruned: How many bytes of what is left of pruned records.
    """

    store: str = ""
    seen: int = 0
    labels: int = 0
    pruned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """The answer to one question.

    Attributes:
        place: Where the next look goes on.
        newest: The highest number of a job there; above `place.seen` there is more.
        runs: The new ones, those of pruned records among them, by id.
        labels: New lines of what is said of runs: see `workflows.run_labels`.
    """

    place: Place
    newest: int
    runs: Mapping[str, RunRecord] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def look(sandbox: Sandbox, place: Place, again: Iterable[int] = ()) -> RunPage:
    """Return what is new; a page of it where that is much.

    Args:
        sandbox: Where they are.
        place: Up to where the caller has looked.
        again: Numbers to look at once more: a record may come late.

    Raises:
        ConnectError: The machine cannot be reached.
        ProtocolError: It answered what cannot be read.
    """
    arguments = [place.seen, PAGE, place.labels, place.pruned, *again]
    segments = sandbox.request("look", "runs", " ".join(map(str, arguments)))
    return page(segments, sandbox.base)


def states(sandbox: Sandbox, numbers: Iterable[int]) -> dict[str, Job]:
    """Return jobs as they are now, by id; one whose record is gone is not among them."""
    wanted = " ".join(map(str, numbers))
    if not wanted:
        return {}
    replies = changes.replies(sandbox.request("look", "states", wanted), sandbox.base)
    return {job_id: reply.job for job_id, reply in replies.items()}


def label(sandbox: Sandbox, job_id: str, line: str) -> None:
    """Add a line to what is said of runs there.

    Raises:
        NotFoundError: There is no such job.
        RefusedError: It cannot be written.
    """
    sandbox.request("label", job_id, line)


def page(segments: Sequence[Segment], base: str) -> RunPage:
    """Return what an answer says. Pure."""
    data = {segment.what: segment.data for segment in segments}
    store = next((s.fields for s in segments if s.what == "store"), {})
    if not {"top", "id"} <= store.keys():
        raise ProtocolError("the machine did not say which runs it has")
    lines = (data.get("pruned", b"") + b"\n" + data.get("records", b"")).split(b"\n")
    labels = data.get("labels", b"").decode("utf-8", "replace").split("\n")
    return RunPage(
        place=Place(
            store=store.get("id", ""),
            seen=_number(store.get("upto", "")),
            labels=_number(store.get("labels", "")),
            pruned=_number(store.get("pruned", "")),
        ),
        newest=_number(store["top"]),
        runs=dict(_records(lines, base)),
        labels=tuple(line for line in labels if line.strip()),
    )


def _records(lines: Iterable[bytes], base: str) -> Iterator[tuple[str, RunRecord]]:
    """Yield the records that lines `ID/FILE:LINE` make; one that makes none is left out."""
    files: dict[str, dict[bytes, list[bytes]]] = {}
    for line in lines:
        name, colon, text = line.partition(b":")
        job_id, _, file = name.partition(b"/")
        if not colon or not file:
            continue
        known = job_id.decode("ascii", "replace")
        if file == b"state":  # the first of each record: one may come twice
            files[known] = {}
        files.setdefault(known, {}).setdefault(file, []).append(text)
    for known, texts in files.items():
        if job_ids.is_id(known) and (record := _record(known, texts, base)):
            yield known, record


def _record(
    job_id: str, texts: Mapping[bytes, list[bytes]], base: str
) -> RunRecord | None:
    try:
        record = json.loads(b"\n".join(texts.get(b"run.json", ())))
        spec_line = texts[b"spec.json"][-1]
        spec = json.loads(spec_line)
        state = texts[b"state"][-1].decode("ascii", "replace").split()
        segments = (
            Segment(spec_line, "spec", (job_id,)),
            Segment(b"", "job", (job_id, "life=gone", *state)),
        )
        job = job_replies.jobs(segments, base)[job_id].job
        if state[0] != "ended":  # whether it lives was not looked at
            job = dataclasses.replace(job, state=JobState.UNKNOWN, reason="")
    except (LookupError, ValueError, RecursionError, SandboxError):
        return None  # it is being written, is damaged, or is of a newer version
    if not isinstance(record, dict) or not isinstance(spec, dict):
        return None
    more = {key: spec[key] for key in ("group", "cell") if key in spec}
    return RunRecord(
        job=job,
        record={**more, **record},
        outputs=tuple(_outputs(texts.get(b"outputs.tsv", ()))),
    )


def _outputs(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Yield what a run wrote, as its outputs.tsv says; nothing of a damaged one."""
    with contextlib.suppress(SandboxError):
        for file in run_outputs.parse(b"\n".join(lines)).files:
            yield file.as_json()


def _number(word: str) -> int:
    if not word.isascii() or not word.isdecimal():
        raise ProtocolError(f"the machine said {word[:40]!r} where a number belongs")
    return int(word)
