"""Sandbox: one remote machine and the workspace on it. The door for every noun.

`run` is a start that is followed; `start` is a start alone. Both are on record before
the process exists, and the deadline belongs to the job. What the machine's mode does not
allow is refused here, and what can change something is noted (`acts`). (Over 250 lines:
half of it says what each method promises; the work is done below.)
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Literal, Unpack, cast

from sandbox_ops.engines import Engine, foreground
from sandbox_ops.engines.foreground import Call
from sandbox_ops.engines.options import (
    EARLY_END_S,
    command_request,
    job_request,
    keep_bytes,
)
from sandbox_ops.engines.stack import Stack
from sandbox_ops.errors import CancelledError, ConfigError
from sandbox_ops.guard import acts, this_user
from sandbox_ops.links import Links
from sandbox_ops.machine.chosen_links import links_of
from sandbox_ops.models import CommandResult, Job, JobState, Project, SandboxConfig
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.closing import Closing
from sandbox_ops.models.options import CommandOptions, JobOptions
from sandbox_ops.models.settings import OPENSSH
from sandbox_ops.remote import job_replies, scripts
from sandbox_ops.remote.follower import Watch
from sandbox_ops.remote.pool import ANSWER_TIMEOUT_S
from sandbox_ops.remote.worker import Hello, Reply
from sandbox_ops.text import remote_text

if TYPE_CHECKING:
    from sandbox_ops.ssh.connection import SandboxConnection

_READING = frozenset({"read", "bytes", "stat"})
_ACTIONS = {"pin": "pin", "label": "label", "queue": "move"}


class Sandbox(Closing):
    """A machine and where things live on it. No I/O before the first use.

    Threads may share it. `close` it, or use it in a `with`.

    Args:
        config: How it is reached.
        links: What carries our bytes there, in place of an SSH connection to
            `config.host`. The sandbox closes it.
        started_by: Who starts jobs through it, as their records say it: without it this
            user, on this computer.
    """

    def __init__(
        self,
        config: SandboxConfig,
        links: Links | None = None,
        *,
        started_by: str = "",
    ) -> None:
        self.config = config
        self.cancel_token = CancelToken()
        self._guard = ""
        self._action = ""  # what this view carries out; its steps are part of that
        self._stack = Stack(
            lambda: links or links_of(config),
            started_by or this_user.name(),
            config.slurm if config.by_slurm else None,
        )

    @property
    def started_by(self) -> str:
        """Who starts jobs through it, as their records say it."""
        return self._stack.started_by

    @property
    def links(self) -> Links:
        """What carries bytes to the machine."""
        return self._stack.links

    @property
    def connection(self) -> "SandboxConnection":
        """The `fabric.Connection` to the machine, for tasks of your own.

        Host keys are checked and every wait is bounded, as for all the rest.

        Raises:
            ConfigError: It is not reached by SSH.
            DeniedError: The machine's mode allows no commands of yours.
        """
        self._check("connection")
        return self.ssh

    @property
    def ssh(self) -> "SandboxConnection":
        """The same connection, for the library's own parts: routes and keys.

        Raises:
            ConfigError: It is not reached by SSH.
        """
        from sandbox_ops.ssh.connection import SandboxConnection

        if self.config.link == OPENSSH:
            own = self._stack.direct_links_by(lambda: SandboxConnection(self.config))
        else:
            own = self._stack.direct_links
        if not isinstance(own, SandboxConnection):
            raise ConfigError(
                f"{own.description} is not reached by SSH",
                "Its `link` leads there without: there is no host key to trust, and no "
                "Fabric connection.",
            )
        return own

    @property
    def engine(self) -> Engine:
        """Who starts, finds and ends jobs. For `machine.jobs`; nobody else."""
        return self._stack.engine

    def cancelled_by(self, token: CancelToken | None) -> "Sandbox":
        """Return this machine for work that the token cancels; None: this very sandbox."""
        if token is None:
            return self
        view = self._view()
        view.cancel_token = token
        return view

    def guarded_by(self, guard: str) -> "Sandbox":
        """Return this machine for steps that a guard may refuse.

        Args:
            guard: Shell text that each script of ours begins with that changes something.
        """
        view = self._view()
        view._guard = guard  # noqa: SLF001 - of our own class
        return view

    @contextlib.contextmanager
    def acting(
        self, action: str, text: str = "", *, destroys: bool = False
    ) -> Iterator["Sandbox"]:
        """Return this machine for the steps of one action, which is noted as a whole.

        Args:
            action: As `policy.ACTIONS` has it.
            text: What was asked, for the audit log.
            destroys: That it may destroy something, where the table cannot know.

        Raises:
            DeniedError: The machine's mode does not allow it.
            RefusedError: It destroys something, and the audit log cannot be written.
        """
        self._check(action)
        with acts.noted(
            self.config, action, text, mask=remote_text.masked, destroys=destroys
        ):
            yield self._view("" if acts.only_reads(action) else action)

    def _view(self, action: str = "") -> "Sandbox":
        view = Sandbox(self.config)
        view.cancel_token = self.cancel_token
        view._action = self._action or action  # of our own class
        view._guard = self._guard
        view._stack = self._stack
        return view

    def _check(self, action: str) -> None:
        """Refuse what the mode forbids; the steps of what it allows are allowed."""
        if not self._action:
            acts.check(self.config, action)

    def project_path(self, project: Project) -> str:
        """Return where the project lies on the machine."""
        return f"{self.config.workspace.rstrip('/')}/{project.name}"

    def run(self, command: str, **options: Unpack[CommandOptions]) -> CommandResult:
        """Run a command under bash and wait for its end; see `CommandOptions`.

        A non-zero exit, a signal, the deadline and a lost connection are results.

        Raises:
            ConnectError: The machine cannot be reached.
            NotFoundError: `cwd` does not exist.
            RefusedError: The machine cannot keep a record (a full disk), and why.
            DeniedError: The machine's mode allows no commands of yours.
            CancelledError: It was cancelled; its whole tree was stopped.
        """
        call = self.submit(command, **options)
        with self.cancel_token.on_cancel(call.cancel):
            result = call.future.result()
        if self.cancel_token.cancelled and result.job.state is JobState.STOPPED:
            raise CancelledError(f"cancelled; {result.job.id} was stopped")
        return result

    def script(
        self, name: str, *arguments: str, **options: Unpack[CommandOptions]
    ) -> CommandResult:
        """Run our own `NAME.sh` there, on record, and wait for its end.

        A cancel lets it finish: half a step of git is worth less than a whole one.
        """
        self._check(f"script {name}")
        shown = f"{name}.sh {scripts.words(*arguments)}"
        options.setdefault("description", name.replace("_", " "))
        text = scripts.script(name, *arguments)
        if self._guard and not acts.only_reads(f"script {name}"):
            text = f"{self._guard}\n{text}"
        call = self._submit(f"script {name}", text, options, "sh", shown)
        return call.future.result()

    def submit(self, command: str, **options: Unpack[CommandOptions]) -> Call:
        """Begin a foreground command, without waiting; see `CommandOptions`.

        Args:
            command: A shell line or script; stdin is empty.
            **options: As in `CommandOptions`.
        """
        return self._submit("run", command, options, "bash", "")

    def _submit(
        self,
        action: str,
        command: str,
        options: CommandOptions,
        interpreter: str,
        shown: str,
    ) -> Call:
        self.cancel_token.check()
        self._check(action)
        stack = self._stack
        request = command_request(
            command,
            options,
            interpreter=interpreter,
            started_by=stack.started_by,
            shown=shown,
            wait_s=0 if stack.workers.crowded and not stack.was_brief else EARLY_END_S,
        )
        mask = remote_text.masked
        noted = acts.begin(self.config, action, shown or command, mask=mask)

        def started(job: Job) -> None:
            stack.was_brief = job.state.ended

        return foreground.submit(
            stack.engine,
            stack.follower,
            request,
            keep_bytes=keep_bytes(options),
            on_output=options.get("on_output"),
            started=started,
            ended=lambda done: _note(noted, done),
        )

    def start(self, command: str, **options: Unpack[JobOptions]) -> Job:
        """Start a background job and return it; it belongs to the machine from then on.

        Args:
            command: A shell line or script, run by bash with empty stdin.
            **options: As in `JobOptions`.

        Raises:
            RefusedError: The name or a GPU is taken, or no record can be written.
            NotFoundError: `cwd` does not exist.
            ConnectError: The machine cannot be reached.
            UsageError: A name that looks like an id or a number; a unique one that holds
                more than letters, digits, dots and dashes.
            DeniedError: The machine's mode allows no commands of yours.
            CancelledError: It was cancelled before it was sent.
        """
        self.cancel_token.check()
        self._check("start")
        request = job_request(command, options, started_by=self.started_by)
        mask = remote_text.masked
        shown = options.get("shown") or command
        with acts.noted(self.config, "start", shown, mask=mask) as outcome:
            job = self.engine.start(request).result().job
            outcome.append(job.id)
        return job

    def request(
        self,
        verb: Literal["look", "read", "bytes", "stat", "pin", "queue", "label"],
        *arguments: str,
        answer_s: float = ANSWER_TIMEOUT_S,
    ) -> Reply:
        """Ask a resident worker for what is no job's process: files, facts, records.

        Raises:
            SandboxError: As the machine answered, or as the link failed.
            DeniedError: The machine's mode, or what may be read there, forbids it.
        """
        if verb in _ACTIONS:
            self._check(_ACTIONS[verb])
        elif verb in _READING:
            arguments = (*arguments, *self.readable)
        reply = self._stack.workers.submit(verb, arguments, answer_s=answer_s).result()
        error = job_replies.error(reply)
        if error is not None:
            raise error
        return reply

    @property
    def readable(self) -> tuple[str, str]:
        """What may be read there: roots and denied patterns, one a line.

        For our own scripts, which hold the file that they opened against it.
        """
        return "\n".join(self.config.read_roots), "\n".join(self.config.deny_read)

    @property
    def base(self) -> str:
        """Our folder on the machine, absolute. Connects if need be."""
        return self._hello.base

    @property
    def home(self) -> str:
        """The user's home on the machine, absolute. Connects if need be."""
        return self.base.split("/.sandbox-ops/")[0]

    @property
    def login(self) -> str:
        """How the login environment was read there; see `Hello`."""
        return self._hello.login

    def connect(self) -> None:
        """Have a worker there, if none was yet, and so our library on the machine."""
        _ = self._hello

    def follow(self, watch: Watch) -> None:
        """Poll for a job, with all the others, until the watch's future resolves."""
        self._stack.follower.follow(watch)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed: nothing is answered any more."""
        return self._stack.is_closed

    def close(self) -> None:
        """Close the connection. Jobs go on, background and foreground."""
        self._stack.close()

    @property
    def _hello(self) -> Hello:
        if self._stack.workers.hello is None:
            self.request("look")
        return cast("Hello", self._stack.workers.hello)  # an answer came from a worker


def _note(noted: acts.Act | None, done: "Future[CommandResult]") -> None:
    """Note how a command ended, before the caller that waits for it gets the result."""
    if noted is None:
        return
    error = done.exception()
    if error is not None:
        noted.failed(error)
        return
    result = done.result()
    noted.end(f"{result.job.id} {result.end.value} {result.exit_code}".strip())
