"""Foreground = start + follow: one shared poll for every command somebody waits for.

A follower's link may die: the poll reconnects, or each of its commands is answered
"connection lost", with the job named.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError

from sandbox_ops.errors import ConnectError, NotFoundError, SandboxError
from sandbox_ops.models import CommandResult, EndKind, Job, JobState
from sandbox_ops.models.options import Listener
from sandbox_ops.remote.job_query import JobQuery
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.stream import PIECE_BYTES, Begin, Collector, Range

Status = Callable[[Sequence[JobQuery]], "Future[tuple[JobReply | SandboxError, ...]]"]
"""An engine's: an answer for each query, in order."""

_MOST_JOBS_A_POLL = 200
_POLL_BYTES = 32 << 20
"""Of each of the two streams, whatever the number of commands: it is held in memory."""
_SIGNALLED = range(129, 193)
_SOONEST_S, _LATEST_S = 0.015, 5.0


class Watch:
    """One job that somebody waits for.

    Args:
        job: As it was last known.
        keep_bytes: How much of each stream to keep.
        listener: Gets `("stdout"|"stderr", piece)` as they grow.
        begin: Where to begin, for `stdout` and `stderr`; without it at the beginning.
        on_restart: Told which stream is another file now, or was truncated: what
            follows begins at its start.
    """

    def __init__(
        self,
        job: Job,
        keep_bytes: int,
        listener: Listener | None,
        *,
        begin: Mapping[str, Begin] | None = None,
        on_restart: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.job = job
        self.future: Future[CommandResult] = Future()
        self.followed_at = time.monotonic()
        self._heard = listener is not None
        self._left: tuple[str, ...] = ()

        def collector(name: str) -> Collector:
            place = (begin or {}).get(name, Begin())
            return Collector(
                keep_bytes,
                None if listener is None else lambda piece: listener(name, piece),
                offset=place.offset,
                known=place.known,
                on_restart=lambda: on_restart(name),
            )

        self._streams = {"log": collector("stdout"), "stderr": collector("stderr")}

    def started(self, asked_bytes: int) -> None:
        """Say that the start asked for so many bytes of each stream."""
        for stream in self._streams.values():
            stream.asked(asked_bytes)

    def query(self, at_most: int) -> JobQuery:
        """Return what to ask next: for so many bytes of each stream."""
        ended = self.job.state.ended
        log = self._streams["log"].next_range(ended=ended, at_most=at_most)
        stderr = self._streams["stderr"].next_range(ended=ended, at_most=at_most)
        from_the_end = log[0] < 0 or stderr[0] < 0
        return JobQuery(
            job=self.job.id, log=log, stderr=stderr, with_sizes=from_the_end
        )

    def take(self, reply: JobReply) -> None:
        """Take in an answer; the future resolves at the end."""
        self.job = with_record(reply.job, self.job)
        self._left = reply.left
        ended = self.job.state.ended
        for name, stream in self._streams.items():
            piece = reply.ranges.get(name, Range(b"", 0))
            stream.take(piece, ended=ended, cut_by_us=self.job.log_incomplete)
        if any(stream.truncated for stream in self._streams.values()):
            self.job = dataclasses.replace(self.job, log_incomplete=True)
        if ended and all(stream.done for stream in self._streams.values()):
            self._resolve(ending(self.job))

    @property
    def pause_s(self) -> float:
        """How long to wait before it is worth asking again.

        At most a second where somebody listens. Else the end of what took long may be
        reported late, by a fiftieth of its time and 5 s: an hour's wait is 800 questions.
        """
        age = time.monotonic() - self.followed_at
        behind = any(stream.behind for stream in self._streams.values())
        if behind or self.job.state.ended:
            return 0.0
        soon = min(max(age * 0.1, _SOONEST_S), 1.0)
        return soon if self._heard else max(soon, min(age * 0.02, _LATEST_S))

    def mark_connection_lost(self, reason: str = "") -> None:
        """Resolve as connection lost: the outcome is unknown, and why is `job.reason`."""
        self.job = dataclasses.replace(self.job, state=JobState.UNKNOWN, reason=reason)
        self._resolve(EndKind.CONNECTION_LOST)

    def fail(self, error: Exception) -> None:
        """Resolve as that error, unless somebody gave up waiting before."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)

    def _resolve(self, end: EndKind) -> None:
        result = CommandResult(
            job=self.job,
            end=end,
            stdout=self._streams["log"].output,
            stderr=self._streams["stderr"].output,
            left=self._left,
        )
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(result)


def with_record(job: Job, before: Job) -> Job:
    """Return a job with what only its record says, which was asked for before."""
    return dataclasses.replace(
        job, command=before.command, description=before.description,
        name=before.name, cwd=before.cwd, stderr_path=before.stderr_path,
        foreground=before.foreground, project_path=before.project_path,
        started_by=before.started_by, group=before.group, cell=before.cell,
        writes=before.writes,
    )  # fmt: skip


def ending(job: Job) -> EndKind:
    """Return how a job that has ended ended."""
    if job.state is JobState.TIMED_OUT:
        return EndKind.TIMED_OUT
    if job.signal or job.exit_code is None:
        return EndKind.SIGNALLED
    return EndKind.EXITED


class Follower:
    """Polls for all watches at once, in one thread that lives while there are any.

    Args:
        status: Asks for all of them.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self._watches: dict[str, list[Watch]] = {}
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, watch: Watch) -> None:
        """Follow a command until its future resolves."""
        with self._lock:
            self._watches.setdefault(watch.job.id, []).append(watch)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="ssh-follow", daemon=True
                )
                self._thread.start()
        self._news.set()

    def poll_soon(self, job_id: str) -> None:
        """Ask often again: something was done that is likely to end this job."""
        with self._lock:
            for watch in self._watches.get(job_id, ()):
                watch.followed_at = time.monotonic()
        self._news.set()

    def _run(self) -> None:
        while watches := self._waiting():
            self._news.wait(min(watch.pause_s for watch in watches))
            self._news.clear()
            for at in range(0, len(watches), _MOST_JOBS_A_POLL):
                self._poll(watches[at : at + _MOST_JOBS_A_POLL])

    def _waiting(self) -> list[Watch]:
        with self._lock:
            for job_id in list(self._watches):
                left = [w for w in self._watches[job_id] if not w.future.done()]
                self._watches[job_id] = left
                if not left:
                    del self._watches[job_id]
            if not self._watches:
                self._thread = None
            return [watch for group in self._watches.values() for watch in group]

    def _poll(self, watches: Sequence[Watch]) -> None:
        at_most = min(PIECE_BYTES, _POLL_BYTES // len(watches))
        try:
            answers = self._status([watch.query(at_most) for watch in watches]).result()
        except ConnectError as error:
            for watch in watches:
                watch.mark_connection_lost(error.message)
            return
        except Exception as error:  # noqa: BLE001  # belongs to those who wait
            for watch in watches:
                watch.fail(error)
            return
        for watch, answer in zip(watches, answers, strict=True):
            _dispatch(watch, answer)


def _dispatch(watch: Watch, answer: JobReply | SandboxError) -> None:
    if isinstance(answer, NotFoundError):
        answer = NotFoundError(f"the record of {watch.job.id} was removed")
    if isinstance(answer, SandboxError):
        watch.fail(answer)
        return
    try:
        watch.take(answer)
    except Exception as error:  # noqa: BLE001  # a listener's
        watch.fail(error)
