"""The verbs about single jobs and commands, as Invoke tasks.

(Over 250 lines: half of it is the help that users read.)
"""

import os
from collections.abc import Sequence

from invoke import Context

from sandbox_ops.cli import option_values
from sandbox_ops.cli.aiming import on_its_machine
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.fleet import on_several
from sandbox_ops.cli.session import opened
from sandbox_ops.errors import NextStep, NotFoundError, UsageError

_LEFT = 1  # the exit code of a stop that left the job, or a process of it


@verb(
    "reads",
    operand="[GROUP]",
    group="Only the jobs of this group, with their counts, ETA and best metric; or this job.",
    limit="How many, newest first.",
    all_="Also the commands that somebody waited for, and our own recorded steps.",
    metric="What makes a run the best of its group: loss, max:accuracy, min:error.",
)
@on_several
def jobs(
    context: Context,
    *,
    group: str = "",
    limit: int = 50,
    all_: bool = False,
    metric: str = "",
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """List the jobs of the machine, newest first.

    Of a group, its own alone, in the order of its cells.
    """
    from sandbox_ops.cli import sweep_views, terminal, views
    from sandbox_ops.machine import jobs as nouns
    from sandbox_ops.models import job_ids
    from sandbox_ops.workflows import waiting_times
    from sandbox_ops.workflows.group_jobs import group_jobs

    if group and job_ids.reference(group).may_be_group:
        with opened(context, sandbox) as machine, terminal.busy("asking", quiet=json):
            of_group = group_jobs(
                machine.sandbox, machine.known_project, group, metric=metric
            )
        return Answer(
            value=of_group.as_json(), show=lambda: sweep_views.group_jobs(of_group)
        )
    with opened(context, sandbox) as machine, terminal.busy("asking", quiet=json):
        newest = (
            (nouns.get(machine.sandbox, group),)
            if group
            else nouns.recent(machine.sandbox, limit, include_commands=all_)
        )
        newest = tuple(waiting_times.look(machine.sandbox, newest))
    return Answer(
        value={"jobs": [job.as_json() for job in newest]},
        show=lambda: views.jobs(newest),
        rows=views.job_rows(newest),
    )


@verb(
    "reads",
    operand="JOB",
    shorts={"follow": "f"},
    job=option_values.JOB,
    follow="Go on with what it writes, to its end; Ctrl-C leaves it, twice ends it.",
    filter_="Only lines that match this pattern (RE2).",
    lines="How many of the last lines; 0 for all.",
    raw="Escape sequences as they are, on a terminal too.",
    on="Of the job on these sandboxes: names or groups with commas between, or all.",
)
@on_its_machine
def logs(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    job: str = "",
    follow: bool = False,
    filter_: str = "",
    lines: int = 100,
    raw: bool = False,
    on: str = "",
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Show what a job wrote.

    Of a run over several machines: of all, each line behind its rank and machine.
    """
    from sandbox_ops.cli import following, logtail, merged_logs, several

    if follow and json:
        raise UsageError("--json is one answer, --follow is a stream", "leave out one")
    wanted = option_values.needed(job, "logs")
    option_values.line_count(lines)
    if raw and filter_:
        raise UsageError(
            "--raw shows bytes as they are, --filter reads them as lines",
            "leave out one",
        )
    if on and sandbox:
        raise UsageError("--sandbox names one machine, --on several", "leave out one")
    entry = None if on else several.meant(context, {"job": wanted, "sandbox": sandbox})
    if on or entry:
        if raw:
            raise UsageError(
                "--raw shows one log as it is, and here several become one",
                "Name one machine: --sandbox NAME",
            )
        return merged_logs.show(
            on, wanted, entry, follow=follow, pattern=filter_, lines=lines
        )
    with opened(context, sandbox) as machine:
        tail = logtail.read(
            machine.sandbox, wanted, pattern=filter_, lines=lines, raw=raw
        )
        if not follow:
            return Answer(value=tail.as_json(), show=tail.show)
        return following.onwards(machine.sandbox, tail, pattern=filter_)


@verb(
    "changes",
    operand="JOB",
    job=f"{option_values.JOB} Or a group: all its jobs.",
    grace="Seconds between asking its processes to end and killing them.",
)
@on_several
def stop(
    context: Context,
    *,
    job: str = "",
    grace: float = 10.0,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """End a job with every process it started.

    Of a group, all of its jobs: those that wait first.
    """
    from sandbox_ops.cli import sweep_views, terminal, views
    from sandbox_ops.machine import groups
    from sandbox_ops.machine import jobs as nouns
    from sandbox_ops.workflows.stop import stop_group

    wanted = option_values.needed(job, "stop")
    with opened(context, sandbox) as machine, terminal.busy("stopping", quiet=json):
        group = groups.named(machine.sandbox, wanted)
        if group is not None:
            of_group = stop_group(machine.sandbox, group, grace_s=grace)
            return Answer(
                value=of_group.as_json(),
                show=lambda: sweep_views.stop(of_group),
                exit_code=0 if of_group.ok else _LEFT,
            )
        report = nouns.stop(machine.sandbox, wanted, grace_s=grace)
    return Answer(
        value=report.as_json(),
        show=lambda: views.stop(report),
        exit_code=0 if report.ok else _LEFT,
    )


@verb(
    "changes",
    operand="JOB",
    job=option_values.JOB,
    off="Let it go with the others of its age again.",
)
@on_its_machine
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
    with opened(context, sandbox) as machine, terminal.busy("asking", quiet=json):
        nouns.pin(machine.sandbox, wanted, pinned=not off)
        kept = nouns.get(machine.sandbox, wanted)
    return Answer(
        value={"job": kept.as_json(), "pinned": not off},
        show=lambda: views.pin(kept, pinned=not off),
    )


@verb(
    "changes",
    operand="JOB",
    job=option_values.JOB,
    to="first, last, or a number from 1.",
)
@on_its_machine
def move(
    context: Context,
    *,
    job: str = "",
    to: str = "first",
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Give a waiting job another place in the queue."""
    from sandbox_ops.cli import terminal
    from sandbox_ops.machine import queue
    from sandbox_ops.text import formatting

    wanted = option_values.needed(job, "move")
    with opened(context, sandbox) as machine, terminal.busy("asking", quiet=json):
        moved = queue.move(machine.sandbox, wanted, to)
    return Answer(
        value={"job": moved.as_json()},
        show=lambda: terminal.tell(formatting.job_line(moved)),
    )


@verb(
    "changes",
    repeated=("env",),
    rest="--command",
    command="What to run, as a shell line.",
    env="Give it this variable of yours, by its name; may be repeated.",
    env_file="Give it the variables of this file: NAME=VALUE lines.",
    cwd="Where; without it the project there, or the home outside of one.",
    timeout="End it after 90, 90s, 30m, 8h, 2d or 1:30:00.",
    no_env="Without what `setup` made there, and the project's variables.",
    raw="Its bytes as they are, on a terminal too: escape sequences take effect.",
)
@on_several
def run(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    command: str = "",
    cwd: str = "",
    timeout: str = "",
    env: Sequence[str] | None = None,
    env_file: str = "",
    no_env: bool = False,
    raw: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Run a command there, show what it says, end with its exit code."""
    from sandbox_ops.cli import following

    if not command.strip():
        raise UsageError(
            "`run` needs a command",
            NextStep("run", {"command": "nvidia-smi -L"}, "For example"),
        )
    timeout_s = option_values.seconds(timeout, "--timeout")
    values = option_values.environment(env or (), env_file, os.environ)
    with opened(context, sandbox) as machine:
        folder = machine.folder(cwd)
        try:
            return following.command(
                machine.sandbox,
                command,
                cwd=folder,
                timeout_s=timeout_s,
                **({"env": values} if no_env else machine.environment(folder, values)),
                quiet=json,
                raw=raw,
            )
        except NotFoundError as error:
            where = f"{folder} is not on {machine.sandbox.config.label}"
            look = NextStep("run", {"cwd": "/", "command": "ls"}, "See what is there")
            clone = NextStep("setup", purpose="Clone the project there")
            hints = error.hints or (look,) if cwd else (clone,)
            raise NotFoundError(where, *hints) from error
