"""The end of a job's output, and what comes after it, laid out for people.

What is read and which lines they are, `machine.logs` and `text.paging` decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import output
from sandbox_ops.cli.face import say
from sandbox_ops.cli.terminal import tell
from sandbox_ops.text import formatting, paging

if TYPE_CHECKING:
    from sandbox_ops.cli.output import Stream
    from sandbox_ops.machine.logs import Reading
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Job
    from sandbox_ops.remote.stream import Begin

_LONGEST_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTail:
    """The last lines of one of a job's streams."""

    stream: "Stream"
    reading: "Reading"
    page: paging.LastLines
    pattern: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, and the last one as it is now if it has not ended."""
        return (*self.page.lines, *paging.filtered(self.page.open_line, self.pattern))

    @property
    def exact(self) -> bytes:
        """The bytes of the lines, as the job wrote them."""
        piece = self.reading.piece
        begin, end = self.page.offset, self.page.next_offset
        return piece.data[begin - piece.offset : end - piece.offset]

    @property
    def skipped_bytes(self) -> int:
        """How much lies before the lines; 0 where they were filtered."""
        return 0 if self.page.complete or self.pattern else self.page.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The last lines of a job: of its log, then of stderr where it has its own."""

    job: "Job"
    streams: tuple[StreamTail, ...]
    raw: bool = False

    def as_json(self) -> dict[str, Any]:
        """The tail as `logs --json` shows it."""
        log, *more = self.streams
        return {
            "job": self.job.as_json(),
            "text": _joined(log.lines),
            "stderr": _joined(more[0].lines if more else ()),
            "skipped_bytes": log.skipped_bytes,
            "next_offset": log.page.next_offset,
        }

    def show(self) -> None:
        """Print the lines, and on stderr what they are not."""
        self._say_skipped()
        for tail in self.streams:
            if self.raw:
                output.write_exact(tail.exact, tail.stream)
            else:
                _print(tail.stream, tail.lines)

    def show_whole_lines(self) -> None:
        """Print the lines that have ended: the last one follows when it is whole."""
        if self.raw:
            self.show()
            return
        self._say_skipped()
        for tail in self.streams:
            _print(tail.stream, tail.page.lines)

    def _say_skipped(self) -> None:
        if skipped := self.streams[0].skipped_bytes:
            say(f"... {formatting.size(skipped)} before this: {self.job.log_path}")

    @property
    def begin(self) -> dict[str, "Begin"]:
        """Where each stream goes on."""
        return {
            tail.stream: tail.reading.begin(tail.page.next_offset)
            for tail in self.streams
        }


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _print(stream: "Stream", lines: Sequence[str]) -> None:
    if stream == "stdout":
        tell(*lines)
        return
    for line in lines:
        say(line)


def read(
    sandbox: "Sandbox", job_id: str, *, pattern: str, lines: int, raw: bool = False
) -> Tail:
    """Return the last `lines` lines, of those that match; 0 for all in the last 8 MiB.

    Raises:
        UsageError: The pattern is bad; says where.
        TimedOutError: The pattern takes too long on this log.
        NotFoundError: There is no such job; names those that there are.
    """
    from sandbox_ops.machine import logs

    def tail(stream: "Stream") -> StreamTail:
        reading, page = logs.last(
            sandbox, job_id, lines, pattern=pattern, stream=stream
        )
        return StreamTail(stream=stream, reading=reading, page=page, pattern=pattern)

    log = tail("stdout")
    job = log.reading.piece.job
    streams = (log, tail("stderr")) if job.foreground else (log,)
    return Tail(job=job, streams=streams, raw=raw)


class Feed:
    """What a job writes on one stream, printed as whole lines.

    Args:
        stream: Our own stdout or stderr, where it is printed.
        pattern: Only lines that match; "": all.
        open_line: The beginning of the first line.
        raw: The bytes are printed as they come.
    """

    def __init__(
        self,
        stream: "Stream",
        pattern: str,
        open_line: bytes = b"",
        *,
        raw: bool = False,
    ) -> None:
        self._stream = stream
        self._raw = raw
        self._pattern = pattern
        # where somebody watches, progress bars move; else their last state counts
        self._live = output.is_terminal(stream) and not pattern
        self._rest = open_line

    def take(self, data: bytes) -> None:
        """Print the lines that the data completes."""
        if self._raw:
            output.write_exact(data, self._stream)
            return
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        if self._live:
            end = max(end, data.rfind(b"\r") + 1)
        if len(data) - end > _LONGEST_LINE_BYTES:
            end = len(data)
        self._rest = data[end:]
        self._print(data[:end])

    def restart(self) -> None:
        """Forget a line whose end is lost."""
        self._rest = b""

    def finish(self) -> None:
        """Print a last line without its end."""
        if self._rest:
            self._print(self._rest + b"\n")
        self._rest = b""

    def _print(self, data: bytes) -> None:
        if not data:
            return
        if self._live:
            output.write_bytes(data, self._stream)
        else:
            lines = paging.filtered(data, self._pattern)
            output.write(_joined(lines), self._stream)
