"""One job's log while a client waits for it: the lines that match, and what looks wrong.

Bytes in, values out; the clock is the caller's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sandbox_ops.models import Job
from sandbox_ops.remote.stream import KNOWN_BYTES, Begin
from sandbox_ops.text import crashes, paging, progress, stalls
from sandbox_ops.text.log_warnings import LogWarning
from sandbox_ops.text.stalls import STALL_S

TAIL_BYTES = 16 << 10
_HEAD_BYTES = 2 << 10
_LONGEST_LINE_BYTES = 1 << 20
_FROM_START = Begin()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFor:
    """What to wait for, beside the end.

    Attributes:
        pattern: RE2; a line that matches ends the wait, also one that was written before:
            the last 8 MiB are searched. A bar that is redrawn is many lines.
        since: Where to begin the search in the log of a job, by its id.
        warnings: Whether what looks wrong ends the wait, also where it was so before.
        known_warnings: Not these: `warning_key` of the reports of earlier waits.
        stall_s: A training that says nothing for so long has stalled; 0: never.
        timeout_s: How long to wait once the machine has answered; None: to the end.
        for_all: Whether one job's end is not enough: all have to end. None: where a group
            is waited for; what looks wrong with one of its jobs does not end that wait.
    """

    pattern: str = ""
    since: Mapping[str, Begin] = field(default_factory=dict)
    warnings: bool = True
    known_warnings: Collection[str] = ()
    stall_s: float = STALL_S
    timeout_s: float | None = None
    for_all: bool | None = None

    @property
    def reads_logs(self) -> bool:
        """Whether what the jobs write matters, not only their ends."""
        return bool(self.pattern) or self.warnings or not self.for_all


class LogWatch:
    """What is known of the log so far.

    Args:
        wanted: What is waited for.
        now_s: The time.
    """

    def __init__(self, wanted: WaitFor, now_s: float) -> None:
        self._pattern = wanted.pattern
        self._known = set(wanted.known_warnings)
        self._stall_s = wanted.stall_s
        self._changed_at = now_s
        self._head = b""
        self._tail = b""
        self._open_line = b""
        self._crashes: tuple[LogWarning, ...] = ()
        self._progress = progress.Progress()
        self._read_tail = b""
        self.begin = _FROM_START
        """Where what was not seen yet begins."""

    def take(self, data: bytes, now_s: float) -> str | None:
        """Take in what comes next; return the first line that matches, if one does."""
        if not data:
            return None
        self._changed_at = now_s
        if self.begin.offset == len(self._head) < _HEAD_BYTES:
            self._head = (self._head + data)[:_HEAD_BYTES]
        before = self._tail
        self._tail = (before + data)[-TAIL_BYTES:]
        if len(data) > TAIL_BYTES:  # more than is kept: a crash may be in its midst
            self._crashes = crashes.warnings(_text(before + data))
        known = (self.begin.known + data)[-KNOWN_BYTES:]
        self.begin = Begin(self.begin.offset + len(data), known)
        return self._match(data)

    def see_end(self, tail: bytes, offset: int, now_s: float) -> None:
        """Take in the end of the log, wherever it was before."""
        if tail != self._tail:
            self._changed_at = now_s
            self._tail = tail
        self.begin = Begin(offset + len(tail), tail[-KNOWN_BYTES:])

    def restart(self) -> None:
        """The log is another one now, and starts over."""
        self._head = self._tail = self._open_line = b""
        self.begin = _FROM_START

    def finish(self) -> str | None:
        """Return the last line, which has no end, if it matches."""
        rest, self._open_line = self._open_line, b""
        return self._first(rest)

    def news(self, job: Job, now_s: float) -> LogWarning | None:
        """Return what looks wrong and is not known yet; from then on it is."""
        if self._tail != self._read_tail:
            self._read_tail = self._tail
            head = self._head if self.begin.offset > TAIL_BYTES else b""
            source = progress.Source(head=_text(head), command=job.command)
            self._progress = progress.read(_text(self._tail), job.elapsed_s, source)
        findings = [*self._progress.findings, *self._crashes]
        if stalls.reports(self._progress):
            stalled = stalls.warning(now_s - self._changed_at, self._stall_s)
            findings += [stalled] if stalled else []
        for finding in findings:
            key = warning_key(job, finding)
            if key not in self._known:
                self._known.add(key)
                return finding
        return None

    @property
    def last_warnings(self) -> tuple[str, ...]:
        """What looks wrong at its end."""
        final = progress.read(_text(self._tail))
        return tuple(finding.text for finding in (*final.findings, *self._crashes))

    @property
    def last_words(self) -> str:
        """What it warned of last, else the last line that holds anything."""
        if warnings := self.last_warnings:
            return warnings[-1]
        lines = paging.filtered(_lines(self._tail), "")
        return next((line for line in reversed(lines) if line.strip()), "")

    def _match(self, data: bytes) -> str | None:
        if not self._pattern:
            return None
        data = self._open_line + _lines(data)
        end = data.rfind(b"\n") + 1
        if len(data) - end > _LONGEST_LINE_BYTES:
            end = len(data)
        self._open_line = data[end:]
        return self._first(data[:end])

    def _first(self, data: bytes) -> str | None:
        if not data or not self._pattern:
            return None
        return next(iter(paging.filtered(data, self._pattern)), None)


def warning_key(job: Job, finding: LogWarning) -> str:
    """Return what tells a warning of a job from every other."""
    return f"{job.id} {finding.key}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _lines(data: bytes) -> bytes:
    """Return each state of a line that is redrawn as a line: any of them may match."""
    return data.replace(b"\r", b"\n")
