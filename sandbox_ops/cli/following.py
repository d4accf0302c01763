"""Output as it comes, and what Ctrl-C means meanwhile.

In `run` somebody waits for the command: Ctrl-C ends it, there too. A job in the
background is only watched: Ctrl-C lets it go on, and a second one ends it.
"""

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import next_steps, output
from sandbox_ops.cli.face import INTERRUPTED, Answer, say
from sandbox_ops.cli.live_output import LineOutput, PassingOutput
from sandbox_ops.errors import ConnectionLostError, NextStep, TimedOutError
from sandbox_ops.models import CommandResult, EndKind, Job
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox_ops.cli import logtail
    from sandbox_ops.cli.output import Stream
    from sandbox_ops.engines.foreground import Call
    from sandbox_ops.machine.sandbox import Sandbox

_CANCEL_S = 45.0  # a dead link is noticed in 10 s, and reconnected for 15 s
_NO_COMMAND = 127
_SECOND_S = 2.0
_HABIT_S = 0.4  # a habitual second Ctrl-C is not meant to end a week's training


def command(
    sandbox: "Sandbox",
    line: str,
    *,
    cwd: str,
    timeout_s: float | None,
    env: "Mapping[str, str]",
    environment: str = "",
    quiet: bool,
    raw: bool = False,
) -> Answer:
    """Run a command in the foreground; its output passes through unless `quiet`.

    Ctrl-C, or nobody left to read the output, stops its whole tree there.

    Args:
        sandbox: Where.
        line: The command.
        cwd: Where there.
        timeout_s: Its deadline.
        env: Its variables beside those of the login.
        environment: The project's that it uses; see `CommandOptions`.
        quiet: Show nothing as it comes.
        raw: Its bytes are exact on a terminal too, escape sequences and all.
    """
    passing = PassingOutput(raw=raw)
    call = sandbox.submit(
        line,
        cwd=cwd,
        timeout_s=timeout_s,
        env=env,
        environment=environment,
        on_output=None if quiet else passing,
    )
    interrupted = False
    try:
        with sandbox.cancel_token.on_cancel(call.cancel):
            passing.wait(call.future)
    except KeyboardInterrupt:
        interrupted = True
        say("stopping it; Ctrl-C again exits without waiting")
    if interrupted or passing.broken:
        call.cancel()
    result = _result(call)
    passing.raise_if_broken()
    passing.finish()
    if interrupted and result.tree_dead is None:
        say(f"{_UNVERIFIED}: {_look(result.job.id)}")
    return Answer(
        value=result.as_json(),
        show=lambda: _how_it_ended(result, line, output_too=quiet),
        exit_code=INTERRUPTED if interrupted else result.exit_code,
    )


_UNVERIFIED = "whether it was stopped could not be verified, it may live on"


def _result(call: "Call") -> CommandResult:
    try:
        return call.future.result(_CANCEL_S)
    except TimeoutError:
        raise TimedOutError(
            f"the machine has not said within {_CANCEL_S:.0f} s how it ended;"
            f" {_UNVERIFIED}",
            _look(call.job_id or ""),
        ) from None


def _look(job_id: str) -> NextStep:
    if job_id:
        return NextStep("stop", {"job": job_id}, "Stop it again")
    return NextStep("jobs", purpose="Look for it")


def _how_it_ended(result: CommandResult, line: str, *, output_too: bool) -> None:
    if output_too:
        output.write(result.stdout.text)
        output.write(result.stderr.text, "stderr")
    for ending in formatting.end_lines(result, next_steps.on_chosen_sandbox):
        say(ending)
    if result.exit_code == _NO_COMMAND and line.startswith("'") and line.endswith("'"):
        say(f"hint: that was one word; for a shell line: run --command {line}")


def to_the_end(
    sandbox: "Sandbox",
    job: Job,
    *,
    quiet: bool,
    value: dict[str, Any],
    ended: "Callable[[Job], None] | None" = None,
) -> Answer:
    """Show a job's log from its beginning until it ends; its exit code is ours.

    Args:
        sandbox: Where.
        job: Which.
        quiet: Show nothing as it comes.
        value: What `--json` shows beside the job.
        ended: Told of the job as it was last seen.
    """
    from sandbox_ops.cli import logtail

    feeds: dict[Stream, logtail.Feed] = {}
    if not quiet:
        feeds["stdout"] = logtail.Feed("stdout", "")
    last, interrupted = _follow(sandbox, job, feeds)
    if ended is not None:
        ended(last)
    return Answer(
        value={**value, "job": last.as_json()},
        show=lambda: say(formatting.job_line(last)),
        exit_code=INTERRUPTED if interrupted else _code(last),
    )


def onwards(sandbox: "Sandbox", tail: "logtail.Tail", *, pattern: str) -> Answer:
    """Show a tail, then what the job writes after it, until it ends."""
    from sandbox_ops.cli import logtail

    feeds = {
        each.stream: logtail.Feed(
            each.stream,
            pattern,
            b"" if tail.raw else each.page.open_line,
            raw=tail.raw,
        )
        for each in tail.streams
    }
    last, interrupted = _follow(sandbox, tail.job, feeds, tail)
    return Answer(
        value={"job": last.as_json()},
        show=lambda: say(formatting.job_line(last)),
        exit_code=INTERRUPTED if interrupted else 0,
    )


def _follow(
    sandbox: "Sandbox",
    job: Job,
    feeds: "Mapping[Stream, logtail.Feed]",
    tail: "logtail.Tail | None" = None,
) -> tuple[Job, bool]:
    """Print what a job writes until it has ended and all was read, or until Ctrl-C.

    Args:
        sandbox: Where it is.
        job: As it was last known.
        feeds: What prints each stream; none: nothing is shown.
        tail: What is shown first, and where to go on.

    Returns:
        The job as it is then, and whether it was Ctrl-C.

    Raises:
        ConnectionLostError: What became of it is unknown.
        NotFoundError: Its record was removed.
    """
    lines = LineOutput(job.id, feeds)
    try:
        from sandbox_ops.machine import logs  # takes a while: Ctrl-C may come meanwhile

        if tail:
            tail.show_whole_lines()
        watch = logs.follow(
            sandbox,
            job,
            lines if feeds else None,
            begin=tail.begin if tail else None,
            on_restart=lines.restart,
        )
        lines.wait(watch.future)
    except KeyboardInterrupt:
        lines.muted = True
        return _detached(sandbox, job), True
    lines.raise_if_broken()
    result = watch.future.result()
    lines.finish()
    if result.end is EndKind.CONNECTION_LOST:
        raise ConnectionLostError(
            f"the connection was lost while {job.id} was followed; it goes on",
            NextStep("logs", {"job": job.id, "follow": True}, "Follow it again"),
        )
    return result.job, False


def _detached(sandbox: "Sandbox", job: Job) -> Job:
    """Leave the job alone, unless Ctrl-C comes again; return it as it is then."""
    from sandbox_ops.machine import jobs

    again = NextStep("logs", {"job": job.id, "follow": True}, "see it again")
    say(f"\n{job.id} goes on; {again}")
    if job.state.ended or not (sys.stdin.isatty() and output.is_terminal("stderr")):
        return job
    end = NextStep("stop", {"job": job.id}, "or")
    say(f"to end it: Ctrl-C again within {_SECOND_S:g} s, {end}")
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
    return 255 if job.outcome_code is None else job.outcome_code
