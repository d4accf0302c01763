"""How a wait follows one of its jobs: all that it writes, or only the end of that."""

import time
from collections.abc import Callable

from sandbox_ops.machine.log_watch import TAIL_BYTES, LogWatch
from sandbox_ops.models import Job
from sandbox_ops.remote.follower import Watch, ending, with_record
from sandbox_ops.remote.job_query import JobQuery
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.stream import Range


class JobWatch(Watch):
    """Follows one job: all that it writes where lines are searched, else its end.

    Args:
        job: As it was last known.
        log: What is known of its log; it is followed from there on.
        matched: Gets a line that matches, and the job.
        warn: Looks whether something is wrong; returns whether it may end at any moment.
        searches: Whether lines are searched.
        reads_end: Whether the end of the log is read, where they are not.
    """

    def __init__(
        self,
        job: Job,
        log: LogWatch,
        matched: Callable[[str, Job], None],
        warn: Callable[[Job], bool],
        *,
        searches: bool,
        reads_end: bool = True,
    ) -> None:
        def listen(stream: str, data: bytes) -> None:
            if stream == "stdout" and (line := log.take(data, time.monotonic())):
                matched(line, self.job)

        super().__init__(
            job,
            2,
            listen if searches else None,
            begin={"stdout": log.begin},
            on_restart=lambda stream: log.restart() if stream == "stdout" else None,
        )
        self._log = log
        self._warn = warn
        self._searches = searches
        self._reads_end = reads_end

    def query(self, at_most: int) -> JobQuery:
        """Return what to ask next."""
        if self._searches:
            return super().query(at_most)
        if not self._reads_end:
            return JobQuery(job=self.job.id)
        return JobQuery(job=self.job.id, log=(-TAIL_BYTES, TAIL_BYTES))

    def take(self, reply: JobReply) -> None:
        """Take in an answer; the future resolves at the end."""
        if self._searches:
            super().take(reply)
        else:
            self.job = with_record(reply.job, self.job)
            piece = reply.ranges.get("log", Range(b"", 0))
            self._log.see_end(piece.data, piece.offset, time.monotonic())
            if self.job.state.ended:
                self._resolve(ending(self.job))
        if not self.future.done() and self._warn(self.job):
            self.followed_at = time.monotonic()  # it may end at any moment: ask often
