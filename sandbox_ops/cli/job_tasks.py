"""The verbs about single jobs and commands, as Invoke tasks."""

from invoke import Context

from sandbox_ops.cli import option_values
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.session import opened
from sandbox_ops.errors import NotFoundError, UsageError

_LEFT = 1  # the exit code of a stop that left the job, or a process of it


@verb(limit="How many, newest first.")
def jobs(
    context: Context, *, limit: int = 50, sandbox: str = "", json: bool = False
) -> Answer:
    """List the jobs of the machine, newest first."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.machine import jobs as nouns

    with opened(context, sandbox) as here, terminal.busy("asking", quiet=json):
        found = nouns.recent(here.sandbox, limit=limit)
    return Answer(
        value={"jobs": [job.as_json() for job in found]},
        show=lambda: views.jobs(found),
    )


@verb(
    operand="JOB",
    shorts={"follow": "f"},
    job="The job: remote-1.",
    follow="Go on with what it writes, to its end; Ctrl-C leaves it, twice ends it.",
    filter_="Only lines that match this pattern (RE2).",
    lines="How many of the last lines; 0 for all.",
)
def logs(
    context: Context,
    *,
    job: str = "",
    follow: bool = False,
    filter_: str = "",
    lines: int = 100,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Show what a job wrote."""
    from sandbox_ops.cli import following, logtail

    if follow and json:
        raise UsageError("--json is one answer, --follow is a stream", "leave out one")
    wanted = option_values.needed(job, "logs")
    with opened(context, sandbox) as here:
        tail = logtail.read(here.sandbox, wanted, pattern=filter_, lines=lines)
        if not follow:
            return Answer(value=tail.as_json(), show=tail.show)
        return following.onwards(here.sandbox, tail, pattern=filter_)


@verb(
    operand="JOB",
    job="The job: remote-1.",
    grace="Seconds between asking its processes to end and killing them.",
)
def stop(
    context: Context,
    *,
    job: str = "",
    grace: float = 10.0,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """End a job with every process it started."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.machine import jobs as nouns

    wanted = option_values.needed(job, "stop")
    with opened(context, sandbox) as here, terminal.busy("stopping", quiet=json):
        report = nouns.stop(here.sandbox, wanted, grace_s=grace)
    return Answer(
        value=report.as_json(),
        show=lambda: views.stop(report),
        exit_code=_LEFT if report.left or not report.job.state.ended else 0,
    )


@verb(
    operand="JOB",
    job="The job: remote-1.",
    off="Let it go with the others of its age again.",
)
def pin(
    context: Context,
    *,
    job: str = "",
    off: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Keep a job's record and log, however old they get."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.machine import jobs as nouns

    wanted = option_values.needed(job, "pin")
    with opened(context, sandbox) as here, terminal.busy("asking", quiet=json):
        nouns.pin(here.sandbox, wanted, pinned=not off)
        found = nouns.get(here.sandbox, wanted)
    return Answer(
        value={"job": found.as_json(), "pinned": not off},
        show=lambda: views.pin(found, pinned=not off),
    )


@verb(
    rest="--command",
    command="What to run, as a shell line.",
    cwd="Where; without it the project there, or the home outside of one.",
    timeout="End it after 90, 90s, 30m, 8h, 2d or 1:30:00.",
)
def run(
    context: Context,
    *,
    command: str = "",
    cwd: str = "",
    timeout: str = "",
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Run a command there, show what it says, end with its exit code."""
    from sandbox_ops.cli import following

    if not command.strip():
        raise UsageError(
            "`run` needs a command", "for example: sandbox-ops run -- nvidia-smi -L"
        )
    timeout_s = option_values.seconds(timeout, "--timeout")
    with opened(context, sandbox) as here:
        folder = here.folder(cwd)
        try:
            return following.command(
                here.sandbox, command, cwd=folder, timeout_s=timeout_s, quiet=json
            )
        except NotFoundError as error:
            where = f"{folder} is not on {here.sandbox.config.name}"
            look = error.hint or "see what is there: sandbox-ops run --cwd / -- ls"
            hint = look if cwd else "clone the project there: sandbox-ops setup"
            raise NotFoundError(where, hint) from error
