"""Our own engine: one supervisor a job, forked by a resident worker (scripts/lib)."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar, cast

from sandbox_ops.engines import StopAccepted
from sandbox_ops.errors import NotFoundError, ProtocolError, SandboxError
from sandbox_ops.remote import job_replies, scripts
from sandbox_ops.remote.job_query import JobQuery
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.pool import Workers
from sandbox_ops.remote.start_request import StartRequest
from sandbox_ops.remote.worker import Reply

T = TypeVar("T")


class Supervisor:
    """Starts, finds and ends jobs through resident workers; see `Engine`.

    Args:
        workers: Of the machine.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def start(self, request: StartRequest) -> "Future[JobReply]":
        """Start a job, or find the one that the same token started."""

        def started(reply: Reply) -> JobReply:
            for answer in job_replies.jobs(reply, self._base).values():
                return answer
            raise ProtocolError("the machine did not say which job it started")

        return self._ask("start", request.words(), started)

    def start_all(
        self, requests: Sequence[StartRequest]
    ) -> "Future[tuple[JobReply | SandboxError, ...]]":
        """Start jobs in their order, in one round trip, up to the first error."""
        arguments = [scripts.words(*request.words()) for request in requests]

        def started(reply: Reply) -> tuple[JobReply | SandboxError, ...]:
            parts = _split(reply)
            answers = tuple(map(self._started, parts))
            cut_short = len(answers) < len(requests)
            if cut_short and not (answers and isinstance(answers[-1], SandboxError)):
                raise ProtocolError("the machine did not say which jobs it started")
            return answers

        return self._ask("start_all", arguments, started, each=True)

    def _started(self, part: Reply) -> JobReply | SandboxError:
        error = job_replies.error(part)
        if error is not None:
            return error
        return self._answer(JobQuery(job="that start"), part)

    def status(
        self, queries: Sequence[JobQuery]
    ) -> "Future[tuple[JobReply | SandboxError, ...]]":
        """Answer each query, in order and in one round trip."""
        arguments = [word for query in queries for word in query.words()]

        def answers(reply: Reply) -> tuple[JobReply | SandboxError, ...]:
            parts = _split(reply)
            if len(parts) != len(queries):
                raise ProtocolError(
                    f"the machine answered for {len(parts)} of {len(queries)} jobs"
                )
            return tuple(map(self._answer, queries, parts))

        return self._ask("poll", arguments, answers)

    def _answer(self, query: JobQuery, part: Reply) -> JobReply | SandboxError:
        try:
            for answer in job_replies.jobs(part, self._base).values():
                return answer
        except SandboxError as error:  # one record that cannot be read is one answer
            return error
        return NotFoundError(f"there is no record of {query.job}")

    def stop(self, job: str, grace_s: int) -> "Future[StopAccepted]":
        """Begin to end a job's whole tree; the stopper there needs nobody."""

        def accepted(reply: Reply) -> StopAccepted:
            for segment in reply:
                if segment.what == "stopping" and segment.words:
                    ended = segment.fields.get("phase") == "ended"
                    return StopAccepted(segment.words[0], had_ended=ended)
            raise ProtocolError("the machine did not say which job it stops")

        return self._ask("stop", (job, str(grace_s)), accepted)

    @property
    def _base(self) -> str:
        hello = self._workers.hello
        assert hello is not None  # noqa: S101  # a reply came from a worker
        return hello.base

    def _ask(
        self,
        verb: str,
        arguments: Sequence[str],
        read: Callable[[Reply], T],
        *,
        each: bool = False,
    ) -> "Future[T]":
        """Ask; with `each` an error in the answer is that of one of its jobs."""
        answer: Future[T] = Future()

        def take(asked: "Future[Reply]") -> None:
            try:
                reply = asked.result()
                error: Exception | None = None if each else job_replies.error(reply)
                value = read(reply) if error is None else None
            except Exception as problem:  # noqa: BLE001  # for the caller
                error = problem
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(cast("T", value))

        self._workers.submit(verb, arguments).add_done_callback(take)
        return answer


def _split(reply: Reply) -> list[Reply]:
    """Split an answer at its jobs: one may be asked for twice."""
    parts: list[Reply] = []
    part: Reply = []
    for segment in reply:
        part.append(segment)
        if segment.what in {"job", "missing", "error"}:
            parts.append(part)
            part = []
    return parts
