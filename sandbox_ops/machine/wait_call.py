"""A wait under way: what it follows, and what ends it. No thread is held meanwhile.

(A little over 250 lines: one class of callbacks, which share one lock.)
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import replace

from sandbox_ops.errors import (
    AuthenticationError,
    CancelledError,
    ConnectError,
    HostKeyError,
    NextStep,
    NotFoundError,
    SandboxError,
)
from sandbox_ops.machine import logs
from sandbox_ops.machine.job_watch import JobWatch
from sandbox_ops.machine.log_watch import TAIL_BYTES, LogWatch, WaitFor, warning_key
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.timers import Timer, Timers
from sandbox_ops.models import CommandResult, EndKind, Job
from sandbox_ops.models.job_ids import JobReference
from sandbox_ops.models.waiting import WaitEvent, WaitReport, all_ended
from sandbox_ops.remote.job_query import JobQuery
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.stream import Begin, Range

_SEARCH_BYTES = 32 << 20  # of the logs of all jobs together, before the wait
_CRASH_S = 5.0  # so long a program takes to end after its traceback
_RETRY_S, _RETRY_MOST_S = 1.0, 60.0
_timers = Timers()


class Wait:
    """A wait under way.

    Attributes:
        future: Resolves to its `WaitReport`, or to an error of `wait`.
    """

    def __init__(self, sandbox: Sandbox, wanted: WaitFor) -> None:
        self.future: Future[WaitReport] = Future()
        self._sandbox = sandbox
        self._wanted = wanted
        self._lock = threading.Lock()
        self._logs: dict[str, LogWatch] = {}
        self._watches: dict[str, JobWatch] = {}
        self._ends: dict[str, Job] = {}
        self._retry_s = _RETRY_S
        self._is_lost = False
        self._timer: Timer | None = None

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs as they were last known; none until the machine answered."""
        with self._lock:
            return tuple(watch.job for watch in self._watches.values())

    def cancel(self) -> None:
        """Give up waiting; the jobs go on. The future resolves to `CancelledError`."""
        self._fail(CancelledError("the wait was cancelled; the jobs go on"))

    def start(self, references: Sequence[JobReference]) -> None:
        """Look at the jobs, then follow them."""
        searched = logs.FILTER_BYTES if self._wanted.pattern else TAIL_BYTES
        at_most = min(searched, _SEARCH_BYTES // len(references))
        at_most *= self._wanted.reads_logs
        queries = [
            JobQuery(job=each.wire, log=(-at_most, at_most), with_record=True)
            if each.wire not in self._wanted.since
            else JobQuery(job=each.wire, with_record=True)
            for each in references
        ]
        asked = self._sandbox.engine.status(queries)
        asked.add_done_callback(
            lambda done: self._guarded(self._look, done, references)
        )

    def _guarded(self, step: Callable[..., None], *arguments: object) -> None:
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - for the caller that waits
            self._fail(error)

    def _look(
        self,
        answers: "Future[tuple[JobReply | SandboxError, ...]]",
        references: Sequence[JobReference],
    ) -> None:
        replies: list[JobReply] = []
        for reference, answer in zip(references, answers.result(), strict=True):
            if isinstance(answer, NotFoundError):
                raise NotFoundError(
                    f"no job {reference.text!r} on {self._sandbox.config.name}",
                    NextStep("jobs", purpose="See which there are"),
                )
            if isinstance(answer, SandboxError):
                raise answer
            replies.append(answer)
        now_s = time.monotonic()
        with self._lock:
            for reply in replies:
                self._logs[reply.job.id] = LogWatch(self._wanted, now_s)
                self._watches[reply.job.id] = self._watch(reply.job)
        for reply in replies:
            self._first_look(reply, now_s)
        timeout_s = self._wanted.timeout_s
        if timeout_s is not None and not self.future.done():
            self._timer = _timers.after(timeout_s, self._time_over)
        self._follow()

    def _first_look(self, reply: JobReply, now_s: float) -> None:
        job, log = reply.job, self._logs[reply.job.id]
        since = self._wanted.since.get(job.id)
        piece = reply.ranges.get("log", Range(b"", 0))
        if since is not None:
            log.begin = since
            return  # the search begins there; its end is reported after that
        log.begin = Begin(piece.offset)
        data = piece.data
        if piece.offset:  # the first line is not whole
            data = data[data.find(b"\n") + 1 :]
            log.begin = Begin(piece.offset + len(piece.data) - len(data))
        line = log.take(data, now_s)
        if line is None and job.state.ended:
            line = log.finish()
        if line is not None:
            self._report(WaitEvent.MATCH, job, line)
        elif job.state.ended:
            self._has_ended(job, log)
        else:
            self._warn(job)

    def _watch(self, job: Job) -> "JobWatch":
        log = self._logs[job.id]

        def matched(line: str, at: Job) -> None:
            self._report(WaitEvent.MATCH, at, line)

        watch = JobWatch(
            job,
            log,
            matched,
            self._warn,
            searches=bool(self._wanted.pattern),
            reads_end=self._wanted.reads_logs,
        )
        watch.future.add_done_callback(lambda done: self._ended(done, log))
        return watch

    def _follow(self) -> None:
        """Have the follower poll for all of them, from where each was left."""
        with self._lock:
            if self.future.done():
                return
            for job_id, watch in self._watches.items():
                if job_id not in self._ends:
                    self._watches[job_id] = self._watch(watch.job)
            watches = [w for job, w in self._watches.items() if job not in self._ends]
        for watch in watches:
            self._sandbox.follow(watch)

    def _ended(self, done: "Future[CommandResult]", log: LogWatch) -> None:
        error = done.exception()
        if error is not None:
            self._fail(error)
            return
        result = done.result()
        if result.end is EndKind.CONNECTION_LOST:
            self._retry()
        elif (line := log.finish()) is not None:
            self._report(WaitEvent.MATCH, result.job, line)
        else:
            self._has_ended(result.job, log)

    def _has_ended(self, job: Job, log: LogWatch) -> None:
        """Report the end of a job, where it is the last that is waited for."""
        if not self._wanted.for_all:
            report = WaitReport(event=WaitEvent.ENDED, job=job, line=log.last_words)
            self._settle(replace(report, warnings=log.last_warnings))
            return
        with self._lock:
            self._ends[job.id] = job
            if len(self._ends) < len(self._watches):
                return
            jobs = [self._ends[job_id] for job_id in self._watches]
        self._settle(all_ended(jobs))

    def _warn(self, job: Job) -> bool:
        """Report what looks wrong; return whether that may end the program at once."""
        if not self._wanted.warnings or job.state.ended:
            return False
        finding = self._logs[job.id].news(job, time.monotonic())
        if finding is None:
            return False
        report = WaitReport(
            event=WaitEvent.WARNING,
            job=job,
            line=finding.text,
            warning_key=warning_key(job, finding),
        )
        if finding.ends_program:  # then the end says more
            _timers.after(_CRASH_S, lambda: self._settle(report))
            return True
        self._settle(report)
        return False

    def _retry(self) -> None:
        """Look again later, once for all jobs; further apart each time."""
        with self._lock:
            if self._is_lost or self.future.done():
                return  # all watches are lost at once: one of them is enough
            self._is_lost = True
        self._look_later()

    def _look_later(self) -> None:
        spread = random.uniform(0.5, 1)  # noqa: S311 - no secret
        _timers.after(self._retry_s * spread, self._look_again)
        self._retry_s = min(self._retry_s * 2, _RETRY_MOST_S)

    def _look_again(self) -> None:
        if self._sandbox.is_closed:
            self._fail(CancelledError("the sandbox was closed; the jobs go on"))
        if self.future.done():
            return
        queries = [JobQuery(job=job_id) for job_id in tuple(self._watches)]
        asked = self._sandbox.engine.status(queries)
        asked.add_done_callback(lambda done: self._guarded(self._reached, done))

    def _reached(self, done: "Future[tuple[JobReply | SandboxError, ...]]") -> None:
        try:
            done.result()
        except (HostKeyError, AuthenticationError):
            raise
        except ConnectError:
            self._look_later()
            return
        with self._lock:
            self._is_lost, self._retry_s = False, _RETRY_S
        self._follow()

    def _time_over(self) -> None:
        self._report(WaitEvent.TIMEOUT, self.jobs[0], "")

    def _report(self, event: WaitEvent, job: Job, line: str) -> None:
        self._settle(WaitReport(event=event, job=job, line=line))

    def _settle(self, report: WaitReport) -> None:
        try:
            self.future.set_result(report)
        except InvalidStateError:
            return  # something else happened first
        self._let_go()

    def _fail(self, error: BaseException) -> None:
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            return
        self._let_go()

    def _let_go(self) -> None:
        """Stop polling for this wait."""
        if self._timer:
            self._timer.cancel()
        over = CancelledError("the wait is over")
        with self._lock:
            watches = tuple(self._watches.values())
        for watch in watches:
            watch.fail(over)
