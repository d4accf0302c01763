"""Sandbox: one remote machine and the workspace on it. The door for every noun.

`run` is a start that is followed; `start` is a start alone. Both are on record before
the process exists, and the deadline belongs to the job.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sandbox_ops.errors import ConnectionLostError, ProtocolError
from sandbox_ops.models import CommandResult, Job, Project, SandboxConfig
from sandbox_ops.remote import job_replies, scripts
from sandbox_ops.remote.follower import Follower, Listener, Watch
from sandbox_ops.remote.pool import ANSWER_S, Workers
from sandbox_ops.remote.start_request import (
    Call,
    StartRequest,
    new_token,
    start_outcome_unknown,
)
from sandbox_ops.remote.stream import PIECE_BYTES
from sandbox_ops.remote.worker import Hello, Reply

if TYPE_CHECKING:
    from sandbox_ops.ssh.connection import SandboxConnection

KEEP_BYTES = 8 << 20
FOREGROUND_CAP_BYTES = 256 << 20
_FIRST_BYTES = 1 << 16
_WAIT_S = 0.1
"""So long a start waits for its command to end; what lasts longer is polled for."""
_FOREGROUND_GRACE_S = 1
_BACKGROUND_GRACE_S = 10


class Sandbox:
    """A machine and where things live on it. No I/O before the first use.

    Threads may share it. `close` it, or use it in a `with`.

    Args:
        config: How it is reached.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self._workers: Workers | None = None
        self._follower: Follower | None = None
        self._connection: SandboxConnection | None = None
        self._lock = threading.RLock()
        # whether the last command ended while its start waited for that: in a crowd of
        # short commands the wait saves each a poll, in one of long ones it holds up all
        self._brief = False

    @property
    def connection(self) -> "SandboxConnection":
        """The `fabric.Connection` to the machine, for tasks of your own.

        Host keys are checked and every wait is bounded, as for all the rest.
        """
        with self._lock:
            if self._connection is None:
                from sandbox_ops.ssh.connection import SandboxConnection

                self._connection = SandboxConnection(self.config)
            return self._connection

    def project_path(self, project: Project) -> str:
        """Return where the project lies on the machine."""
        return f"{self.config.workspace.rstrip('/')}/{project.name}"

    def run(self, command: str, **options: Any) -> CommandResult:  # noqa: ANN401
        """Run a command under bash and wait for its end; see `submit` for the options.

        A non-zero exit, a signal, the deadline and a lost connection are results.

        Raises:
            ConnectError: The machine cannot be reached.
            NotFoundError: `cwd` does not exist.
            RefusedError: The machine cannot keep a record (a full disk), and why.
        """
        return self.submit(command, **options).future.result()

    def script(self, name: str, *arguments: str, **options: Any) -> CommandResult:  # noqa: ANN401
        """Run our own `NAME.sh` there, on record, and wait for its end."""
        text = scripts.script(name, *arguments)
        options.setdefault("description", name.replace("_", " "))
        options["shown"] = f"{name}.sh {scripts.words(*arguments)}"
        return self.submit(text, interpreter="sh", **options).future.result()

    def submit(  # noqa: PLR0913  # each is one fact of a command
        self,
        command: str,
        *,
        cwd: str = "",
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        description: str = "",
        keep_bytes: int = KEEP_BYTES,
        on_output: Listener | None = None,
        interpreter: str = "bash",
        shown: str = "",
    ) -> Call:
        """Begin a foreground command, without waiting.

        Args:
            command: A shell line or script; stdin is empty.
            cwd: Absolute; the home where none is given.
            env: Added to the login environment; never in an argument list.
            timeout_s: The job's own deadline, held also with nobody connected.
            description: Kept with the record.
            keep_bytes: At most so much of each stream is kept, head and tail.
            on_output: Gets every piece as `("stdout"|"stderr", bytes)`.
            interpreter: `bash` (`sh` where there is none), or `sh`.
            shown: What the record shows in place of the command.
        """
        call = Call(self._stop_foreground)
        first = min(_FIRST_BYTES, max(1, keep_bytes // 2))
        if on_output is not None:  # who listens gets all of it, the sooner the better
            first = PIECE_BYTES
        request = StartRequest(
            command=command,
            shown=shown,
            foreground=True,
            description=description,
            cwd=cwd,
            env=env or {},
            interpreter=interpreter,
            timeout_s=timeout_s,
            grace_s=_FOREGROUND_GRACE_S,
            cap_bytes=FOREGROUND_CAP_BYTES,
            wait_s=0 if self._pool.crowded and not self._brief else _WAIT_S,
            first_bytes=first,
        )

        def begun(reply: "Future[Reply]") -> None:
            try:
                found = self._started(reply.result())
                self._brief = found.job.state.ended
                watch = Watch(found.job, keep_bytes, on_output)
                watch.started(first)
                call.begun(found.job.id)
                watch.future.add_done_callback(lambda done: _copy(done, call.future))
                watch.take(found)
                if not watch.future.done():
                    self._following.follow(watch)
            except ConnectionLostError as error:
                call.future.set_result(start_outcome_unknown(request, error))
            except Exception as error:  # noqa: BLE001  # the caller's, whatever it is
                call.future.set_exception(error)

        self._pool.submit(
            "start", request.words(), answer_s=ANSWER_S
        ).add_done_callback(begun)
        return call

    def start(  # noqa: PLR0913  # each is one fact of a job
        self,
        command: str,
        *,
        name: str = "",
        description: str = "",
        cwd: str = "",
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        unique_name: bool = False,
        gpus: Sequence[int] = (),
        project_path: str = "",
        files: Mapping[str, str] | None = None,
        log_max_bytes: int = 0,
        token: str = "",
    ) -> Job:
        """Start a background job and return it; it belongs to the machine from then on.

        Args:
            command: A shell line or script, run by bash with empty stdin.
            name: Kept with the record.
            description: Kept with the record.
            cwd: Absolute; the home where none is given.
            env: Added to the login environment; never in an argument list.
            timeout_s: The job's own deadline; it ends as `timed-out`.
            unique_name: Refuse if a job of that name has not ended.
            gpus: Claimed for this job, and told it as CUDA_VISIBLE_DEVICES.
            project_path: The tree that it uses.
            files: Put into the job's folder before it starts.
            log_max_bytes: What the log may hold; 0: no limit.
            token: The same token is the same job, however often it is sent.

        Raises:
            RefusedError: The name or a GPU is taken, or no record can be written.
            NotFoundError: `cwd` does not exist.
            ConnectError: The machine cannot be reached.
            UsageError: A unique name holds more than letters, digits, dots and dashes.
        """
        request = StartRequest(
            command=command,
            name=name,
            description=description,
            cwd=cwd,
            env=env or {},
            timeout_s=timeout_s,
            grace_s=_BACKGROUND_GRACE_S,
            cap_bytes=log_max_bytes,
            unique_name=unique_name,
            gpus=tuple(gpus),
            project_path=project_path,
            files=files or {},
            token=token or new_token(),
        )
        return self._started(self._pool.submit("start", request.words()).result()).job

    def request(self, verb: str, *arguments: str, answer_s: float = ANSWER_S) -> Reply:
        """Ask a resident worker; return the answer's segments.

        Raises:
            SandboxError: As the machine answered, or as the link failed.
        """
        reply = self._pool.submit(verb, arguments, answer_s=answer_s).result()
        error = job_replies.error(reply)
        if error is not None:
            raise error
        return reply

    @property
    def base(self) -> str:
        """Our folder on the machine, absolute. Connects if need be."""
        return self._hello.base

    @property
    def login(self) -> str:
        """How the login environment was read there; see `Hello`."""
        return self._hello.login

    def follow(self, watch: Watch) -> None:
        """Poll for a job, with all the others, until the watch's future resolves."""
        self._following.follow(watch)

    def close(self) -> None:
        """Close the connection. Jobs go on, background and foreground."""
        if self._workers is not None:
            self._workers.close()
        elif self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside -----------------------------------------------------------------

    @property
    def _pool(self) -> Workers:
        with self._lock:
            if self._workers is None:
                self._workers = Workers(self.connection)
            return self._workers

    @property
    def _following(self) -> Follower:
        with self._lock:
            if self._follower is None:
                self._follower = Follower(self._pool)
            return self._follower

    @property
    def _hello(self) -> Hello:
        if self._pool.hello is None:
            self.request("look")
        hello = self._pool.hello
        assert hello is not None  # noqa: S101  # an answer came from a worker
        return hello

    def _started(self, reply: Reply) -> job_replies.JobReply:
        error = job_replies.error(reply)
        if error is not None:
            raise error
        found = list(job_replies.jobs(reply, self.base).values())
        if not found:
            raise ProtocolError("the machine did not say which job it started")
        return found[0]

    def _stop_foreground(self, job_id: str) -> None:
        asked = self._pool.submit("stop", (job_id, str(_FOREGROUND_GRACE_S)))
        asked.add_done_callback(lambda _: self._following.expect(job_id))


def _copy(done: "Future[CommandResult]", to: "Future[CommandResult]") -> None:
    error = done.exception()
    if error is not None:
        to.set_exception(error)
    else:
        to.set_result(done.result())
