"""The end of a job's output, and what comes after it, as lines that people can read.

Both are read by cursor: nothing is sent twice, and a log of any size costs what is shown.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from sandbox_ops.cli.streams import say
from sandbox_ops.cli.terminal import tell
from sandbox_ops.models import Job, JobOutput
from sandbox_ops.text import clean, formatting

if TYPE_CHECKING:
    from sandbox_ops.sandbox import Sandbox

_FIRST_BYTES = 64 << 10
_MOST_BYTES = 8 << 20
_LONGEST_LINE_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Where we are in one of a job's files.

    Attributes:
        of_stderr: The stderr file of a foreground job, not its log.
        offset: The next byte to read.
        lines: What was read of it, ready to show.
        skipped_bytes: How much lies before them.
    """

    of_stderr: bool = False
    offset: int = 0
    inode: int | None = None
    lines: tuple[str, ...] = ()
    skipped_bytes: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The last lines of a job: of its log, then of stderr where it has its own."""

    job: Job
    streams: tuple[Stream, ...]

    def as_json(self) -> dict[str, Any]:
        """The tail as `logs --json` shows it."""
        log, *more = self.streams
        return {
            "job": self.job.as_json(),
            "text": _joined(log.lines),
            "stderr": _joined(more[0].lines if more else ()),
            "skipped_bytes": log.skipped_bytes,
            "next_offset": log.offset,
        }

    def show(self) -> None:
        """Print the lines, and on stderr what they are not."""
        log, *more = self.streams
        if log.skipped_bytes:
            say(
                f"... {formatting.size(log.skipped_bytes)} before this: {self.job.log_path}"
            )
        tell(*log.lines)
        for stream in more:
            for line in stream.lines:
                say(line)


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def read(sandbox: "Sandbox", job_id: str, *, pattern: str, lines: int) -> Tail:
    """Return the last `lines` lines, of those that match; 0 for all in the last 8 MiB.

    Raises:
        UsageError: The pattern is bad; says where.
        NotFoundError: There is no such job; names those that there are.
    """
    clean.matching(b"", pattern)  # a bad one is told before the machine is asked
    job, log = _last(sandbox, job_id, Stream(), pattern, lines)
    if not job.foreground:
        return Tail(job=job, streams=(log,))
    _, stderr = _last(sandbox, job_id, Stream(of_stderr=True), pattern, lines)
    return Tail(job=job, streams=(log, stderr))


def _last(
    sandbox: "Sandbox", job_id: str, stream: Stream, pattern: str, lines: int
) -> tuple[Job, Stream]:
    window = _MOST_BYTES if pattern or not lines else _FIRST_BYTES
    while True:
        first = _piece(sandbox, job_id, stream, offset=-window, max_bytes=window)
        data = first.data
        if first.offset and (cut := data.find(b"\n") + 1):
            data = data[cut:]  # it began within a line
        shown = _lines(data, pattern)
        if len(shown) >= lines or not first.offset or window >= _MOST_BYTES:
            break
        window *= 8
    kept = shown[-lines:] if lines else shown
    complete = len(kept) == len(shown) and not first.offset
    return first.job, dataclasses.replace(
        stream,
        offset=first.next_offset,
        inode=first.inode,
        lines=kept,
        skipped_bytes=0 if complete or pattern else _before(first, data, len(kept)),
    )


def _before(first: JobOutput, data: bytes, n_lines: int) -> int:
    """How many bytes lie before the last `n_lines` lines of the data."""
    at = len(data) - data.endswith(b"\n")
    for _ in range(n_lines):
        at = data.rfind(b"\n", 0, max(at, 0))
    return first.next_offset - len(data) + at + 1


def _lines(data: bytes, pattern: str) -> tuple[str, ...]:
    if pattern:
        found: Sequence[str] = clean.matching(data, pattern).lines
    else:
        found = data.decode("utf-8", "backslashreplace").split("\n")
        found = found[:-1] if data.endswith(b"\n") or not data else found
    return tuple(clean.clean(clean.collapse(line)) for line in found)


def _piece(
    sandbox: "Sandbox", job_id: str, stream: Stream, *, offset: int, max_bytes: int
) -> JobOutput:
    from sandbox_ops.machine import jobs

    if stream.of_stderr:
        return jobs.stderr(sandbox, job_id, offset=offset, max_bytes=max_bytes)
    return jobs.output(
        sandbox, job_id, offset=offset, max_bytes=max_bytes, inode=stream.inode
    )


class Feed:
    """What a job writes from a cursor on, printed as whole lines.

    Args:
        live: Somebody watches: progress bars move. Else only their last state counts.
        to: Our own stdout or stderr.
    """

    def __init__(self, stream: Stream, *, pattern: str, live: bool, to: TextIO) -> None:
        self._stream = stream
        self._pattern = pattern
        self._live = live and not pattern
        self._to = to
        self._rest = b""

    def read(self, sandbox: "Sandbox", job_id: str, *, quiet: bool) -> JobOutput:
        """Read on from the cursor, and print what is complete unless `quiet`."""
        at = self._stream
        piece = _piece(
            sandbox, job_id, at, offset=at.offset, max_bytes=_LONGEST_LINE_BYTES
        )
        self._stream = dataclasses.replace(
            at, offset=piece.next_offset, inode=piece.inode
        )
        if piece.restarted:
            say(f"the log of {job_id} begins anew: it was rotated or cut")
            self._rest = b""
        if not quiet:
            self.take(piece.data)
        return piece

    def take(self, data: bytes) -> None:
        """Print the lines that the data completes."""
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        if self._live:
            end = max(end, data.rfind(b"\r") + 1)
        if len(data) - end > _LONGEST_LINE_BYTES:
            end = len(data)
        self._rest = data[end:]
        self._print(data[:end])

    def finish(self, *, quiet: bool) -> None:
        """Print a last line without its end."""
        if self._rest and not quiet:
            self._print(self._rest + b"\n")
        self._rest = b""

    def _print(self, data: bytes) -> None:
        if not data:
            return
        words = (
            clean.clean(data) if self._live else _joined(_lines(data, self._pattern))
        )
        self._to.write(words)
        self._to.flush()
