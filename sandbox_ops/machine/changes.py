"""What is new of a machine's background jobs since a client looked: one question."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sandbox_ops.errors import ProtocolError, SandboxError
from sandbox_ops.machine import readings
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobUse, LogDigest, job_ids
from sandbox_ops.remote import job_replies
from sandbox_ops.remote.frames import Segment
from sandbox_ops.remote.job_replies import JobReply

_DIGEST_BYTES = 8192
_USAGE_S = 60  # how busy jobs are costs a look at all processes


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """A job as it is now.

    Attributes:
        written_bytes: How much it wrote so far, to its log and its file of metrics.
        digest: Of what it wrote; None where it wrote nothing since it was last seen.
        use: How busy it is; None where that was not looked at now.
    """

    job: Job
    written_bytes: int
    digest: LogDigest | None
    use: JobUse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The answer to one question.

    Attributes:
        store: Which folder of records it is: another one has other jobs.
        newest: The highest number of a job in it.
        upto: Up to which number it was looked; below `newest` there is more to ask for.
        jobs: Those that were asked for, and those that are newer, by their number.
        missing: Numbers of jobs that were asked for or are newer, and have no record:
            it is being made, or was removed.
    """

    store: str
    newest: int
    upto: int
    jobs: Mapping[int, JobChange]
    missing: frozenset[int]


def look(
    sandbox: Sandbox,
    seen: int,
    known: Mapping[int, int | None],
    queued: Collection[int] = (),
) -> Changes:
    """Return the jobs that are newer, and those that are known, as they are now.

    Args:
        sandbox: Where they are.
        seen: The highest number of a job that is not new.
        known: Numbers of jobs to ask for, with how much each had written; None: its
            digest is wanted in any case.
        queued: Which of them waited in the queue: of those that still do nothing is said.

    Raises:
        ConnectError: The machine cannot be reached.
        TimedOutError: It does not answer.
        ProtocolError: It answered what cannot be read.
    """
    asked = (
        f"{job_ids.JOB_PREFIX}-{number}:{'q' if number in queued else _known(size)}"
        for number, size in sorted(known.items())
    )
    query = " ".join((str(seen), str(_DIGEST_BYTES), *asked))
    segments = sandbox.request("look", "changes", query, "usage", str(_USAGE_S))
    return read(segments, sandbox.base)


def _known(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else str(size_bytes)


def read(segments: Sequence[Segment], base: str) -> Changes:
    """Return what an answer says. Pure."""
    written: dict[str, int] = {}
    store: dict[str, str] = {}
    for segment in segments:
        if segment.what == "wrote" and len(segment.words) > 1:
            written[segment.words[0]] = _number(segment.words[1])
        elif segment.what == "store":
            store = segment.fields
    if "top" not in store:
        raise ProtocolError("the machine did not say which jobs it has")
    digests = dict(readings.digests(segments))
    use = readings.use(segments)
    return Changes(
        store=store.get("inode", ""),
        newest=_number(store["top"]),
        upto=_number(store.get("upto", "")),
        jobs={
            job_ids.number(job_id): JobChange(
                job=reply.job,
                written_bytes=written.get(job_id, 0),
                digest=digests.get(job_id),
                use=use.get(job_id),
            )
            for job_id, reply in replies(segments, base).items()
        },
        missing=frozenset(map(job_ids.number, job_replies.missing(segments))),
    )


def replies(segments: Sequence[Segment], base: str) -> dict[str, JobReply]:
    """Return the jobs whose records can be read; one that a newer version wrote is left out."""
    readable: dict[str, JobReply] = {}
    part: list[Segment] = []
    for segment in segments:
        part.append(segment)
        if segment.what in {"job", "missing"}:
            with contextlib.suppress(SandboxError):
                readable.update(job_replies.jobs(part, base))
            part = []
    return readable


def _number(word: str) -> int:
    if not word.isascii() or not word.isdecimal():
        raise ProtocolError(f"the machine said {word[:40]!r} where a number belongs")
    return int(word)
