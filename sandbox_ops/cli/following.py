"""Output as it comes, and what Ctrl-C means meanwhile.

In `run` somebody waits for the command: Ctrl-C ends it, there too. A job in the
background is only watched: Ctrl-C lets it go on, and a second one ends it.
"""

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import logtail
from sandbox_ops.cli.face import INTERRUPTED, Answer
from sandbox_ops.cli.streams import say
from sandbox_ops.errors import TimedOutError
from sandbox_ops.models import CommandResult, Job, JobState
from sandbox_ops.text import clean, formatting

if TYPE_CHECKING:
    from sandbox_ops.remote.start_request import Call
    from sandbox_ops.sandbox import Sandbox

_CANCEL_S = 45.0  # a dead link is noticed in 10 s, and healed for 15 s
_LOOK_UP_S = 0.5  # a wait without a bound may miss Ctrl-C: see interrupts.py
_NO_COMMAND = 127
_QUICKEST_S = 0.1
_SLOWEST_S = 1.0
_SECOND_S = 2.0
_HABIT_S = 0.4  # who always hits Ctrl-C twice does not mean to end a week's training


class _Passing:
    """Hands a command's bytes to our own stdout and stderr, as ssh does."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.gone: BrokenPipeError | None = None

    def __call__(self, stream: str, piece: bytes) -> None:
        if self.gone:
            return
        to = sys.stdout if stream == "stdout" else sys.stderr
        try:
            to.buffer.write(piece)
            to.buffer.flush()
        except BrokenPipeError as error:
            self.gone = error
            self.over.set()


def command(
    sandbox: "Sandbox", line: str, *, cwd: str, timeout_s: float | None, quiet: bool
) -> Answer:
    """Run a command in the foreground; its output passes through unless `quiet`.

    Ctrl-C, or nobody left to read the output, stops its whole tree there.
    """
    passing = _Passing()
    call = sandbox.submit(
        line, cwd=cwd, timeout_s=timeout_s, on_output=None if quiet else passing
    )
    call.future.add_done_callback(lambda _: passing.over.set())
    interrupted = False
    try:
        while not passing.over.wait(_LOOK_UP_S):
            pass
    except KeyboardInterrupt:
        interrupted = True
        say("stopping it; Ctrl-C again leaves it to its fate")
    if interrupted or passing.gone:
        call.cancel()
    result = _result(call)
    if passing.gone:
        raise passing.gone
    if interrupted and result.tree_dead is None:
        say(_unsure(result.job.id))
    return Answer(
        value=result.as_json(),
        show=lambda: _how_it_ended(result, line),
        exit_code=INTERRUPTED if interrupted else result.exit_code,
    )


def _result(call: "Call") -> CommandResult:
    try:
        return call.future.result(_CANCEL_S)
    except TimeoutError:
        raise TimedOutError(
            f"the machine has not said within {_CANCEL_S:.0f} s how it ended",
            _unsure(call.job_id or ""),
        ) from None


def _unsure(job_id: str) -> str:
    look = f"sandbox-ops stop {job_id}" if job_id else "sandbox-ops jobs"
    return f"whether it was stopped could not be verified: it may live on; {look}"


def _how_it_ended(result: CommandResult, line: str) -> None:
    for words in formatting.end_lines(result):
        say(clean.clean(words))
    if result.exit_code == _NO_COMMAND and line.startswith("'") and line.endswith("'"):
        say(f"hint: that was one word; for a shell line: run --command {line}")


def to_the_end(
    sandbox: "Sandbox", job: Job, *, quiet: bool, value: dict[str, Any]
) -> Answer:
    """Show a job's log from its beginning until it ends; its exit code is ours."""
    tail = logtail.Tail(job=job, streams=(logtail.Stream(),))
    last, interrupted = _follow(sandbox, tail, pattern="", quiet=quiet)
    return Answer(
        value={**value, "job": last.as_json()},
        show=lambda: say(clean.clean(formatting.job_line(last))),
        exit_code=INTERRUPTED if interrupted else _code(last),
    )


def onwards(sandbox: "Sandbox", tail: logtail.Tail, *, pattern: str) -> Answer:
    """Show a tail, then what the job writes after it, until it ends."""
    last, interrupted = _follow(sandbox, tail, pattern=pattern, quiet=False)
    return Answer(
        value={"job": last.as_json()},
        show=lambda: say(clean.clean(formatting.job_line(last))),
        exit_code=INTERRUPTED if interrupted else 0,
    )


def _follow(
    sandbox: "Sandbox", tail: logtail.Tail, *, pattern: str, quiet: bool
) -> tuple[Job, bool]:
    """Print the tail and what is new, until the job's end was read or until Ctrl-C.

    Returns:
        The job as it is then, and whether it was Ctrl-C.
    """
    feeds = [
        logtail.Feed(stream, pattern=pattern, live=to.isatty(), to=to)
        for stream, to in zip(tail.streams, (sys.stdout, sys.stderr), strict=False)
    ]
    job = tail.job
    pause = threading.Event()
    pause_s = _QUICKEST_S
    try:
        if not quiet:
            tail.show()
        while True:
            had_ended = job.state.ended  # so nothing was written since
            answers = [feed.read(sandbox, job.id, quiet=quiet) for feed in feeds]
            job = answers[0].job
            if any(answer.data for answer in answers):
                pause_s = _QUICKEST_S
            elif had_ended:
                break
            elif not job.state.ended:
                pause.wait(pause_s)
                pause_s = min(pause_s * 1.5, _SLOWEST_S)
    except KeyboardInterrupt:
        return _detached(sandbox, job), True
    for feed in feeds:
        feed.finish(quiet=quiet)
    return job, False


def _detached(sandbox: "Sandbox", job: Job) -> Job:
    """Leave the job alone, unless Ctrl-C comes again; return it as it is then."""
    from sandbox_ops.machine import jobs

    say(f"\n{job.id} goes on; see it again: sandbox-ops logs {job.id} -f")
    if job.state.ended or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return job
    say(
        f"to end it: Ctrl-C again within {_SECOND_S:g} s, or: sandbox-ops stop {job.id}"
    )
    if not _interrupted_again():
        return job
    say(f"\nstopping {job.id} with all its processes; it has 10 s to end by itself")
    return jobs.stop(sandbox, job.id).job


def _interrupted_again() -> bool:
    pause = threading.Event()
    began = time.monotonic()
    while (waited_s := time.monotonic() - began) < _SECOND_S:
        try:
            pause.wait(_SECOND_S - waited_s)
        except KeyboardInterrupt:
            if time.monotonic() - began > _HABIT_S:
                return True
    return False


def _code(job: Job) -> int:
    if job.state is JobState.TIMED_OUT:
        return 124
    return 255 if job.exit_code is None else job.exit_code
