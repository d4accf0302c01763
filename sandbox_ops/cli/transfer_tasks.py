"""The verbs that move files, as Invoke tasks.

(Over 250 lines: half of it is the help that users read.)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from invoke import Context

from sandbox_ops.cli import option_values
from sandbox_ops.cli.face import Answer, say, verb
from sandbox_ops.cli.fleet import on_several
from sandbox_ops.cli.session import among_several, opened
from sandbox_ops.errors import NextStep, UsageError

if TYPE_CHECKING:
    from sandbox_ops.workflows.file_choice import FileChoice
    from sandbox_ops.workflows.moved_files import MovedFile


def _choice(
    include: Sequence[str] | None, exclude: Sequence[str] | None, max_size: str
) -> "FileChoice":
    from sandbox_ops.workflows import file_choice

    return file_choice.FileChoice(
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        max_size_bytes=file_choice.size_bytes(max_size, "--max-size"),
    )


@verb(
    "changes",
    operand="[JOB|PATH]",
    repeated=("path", "include", "exclude"),
    job="What this job, or each of a group, wrote, its log and its record; with a slash in"
    " it, a path there.",
    path="This file or folder there instead, * as in a shell; may come often.",
    into="A local folder; without it the same paths in the local clone.",
    dry_run="Only list the files and their sizes.",
    overwrite="Replace local files that differ.",
    include="Only what this pattern names; may be repeated.",
    exclude="Nothing that this pattern names; may be repeated.",
    max_size="Nothing larger than 8M, 500k, 2G.",
    limit_rate="At most so much a second: 500k, 8M.",
    watch="Keep bringing what is complete, until the job has ended.",
    interval="Seconds between two looks of --watch.",
    push="Commit the job's results on results/JOB and push that from there; nothing"
    " comes home. --max-size is what a file may have, 8M if not said.",
)
@on_several
def fetch(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    job: str = "",
    path: Sequence[str] | None = None,
    into: str = "",
    dry_run: bool = False,
    overwrite: bool = False,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    max_size: str = "",
    limit_rate: str = "",
    watch: bool = False,
    interval: float = 15.0,
    push: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Bring the declared outputs, or what is named, home, each checksum checked."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.models import job_ids
    from sandbox_ops.workflows import file_choice
    from sandbox_ops.workflows.fetch import fetch as work

    is_path = "/" in job and not job_ids.is_cell(job)
    paths = [*(path or ()), *([job] if is_path else ())]
    if push:
        alone = not (watch or paths or into or overwrite)
        option_values.needed(job if alone else "", "fetch --push")
        choice = _choice(include, exclude, "")
        most_bytes = file_choice.size_bytes(max_size, "--max-size")
        return _push(context, sandbox, job, choice, most_bytes, dry_run, json)
    options: dict[str, Any] = {
        "paths": paths,
        "job": "" if paths else job,
        "into": into,
        "overwrite": overwrite,
        "choice": _choice(include, exclude, max_size),
        "bytes_per_s": file_choice.size_bytes(limit_rate, "--limit-rate"),
    }
    if watch and not dry_run:
        if not interval > 0:
            raise UsageError(f"--interval takes seconds, not {interval}", "such as 15")
        return _watch(context, sandbox, options, interval, json)
    with (
        opened(context, sandbox) as machine,
        terminal.transfers(quiet=json) as progress,
    ):
        report = work(
            machine.sandbox,
            machine.project,
            dry_run=dry_run,
            by_machine=among_several(),
            on_progress=progress,
            **options,
        )
    return Answer.of(report, lambda: views.fetch(report))


def _watch(
    context: Context,
    sandbox: str,
    options: dict[str, Any],
    interval_s: float,
    json: bool,
) -> Answer:
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.text import formatting
    from sandbox_ops.workflows import fetch_watch

    def on_file(file: "MovedFile") -> None:
        if not json:
            terminal.tell(f"{file.path}  {formatting.size(file.size_bytes)}")

    with (
        opened(context, sandbox) as machine,
        terminal.transfers(quiet=json) as progress,
    ):
        report = fetch_watch.watch(
            machine.sandbox,
            machine.project,
            interval_s=interval_s,
            on_file=on_file,
            on_lost=lambda error, pause_s: say(
                f"{error.message}; it is asked again in {pause_s:.0f} s"
            ),
            on_progress=progress,
            **options,
        )
    return Answer.of(report, lambda: views.fetch(report))


def _push(
    context: Context,
    sandbox: str,
    job: str,
    choice: "FileChoice",
    most_bytes: int | None,
    dry_run: bool,
    json: bool,
) -> Answer:
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows import push_results

    with opened(context, sandbox) as machine, terminal.busy("pushing", quiet=json):
        report = push_results.push_results(
            machine.sandbox,
            machine.project,
            job=job,
            choice=choice,
            most_bytes=most_bytes or push_results.MOST_BYTES,
            dry_run=dry_run,
        )
    return Answer.of(report, lambda: views.push_results(report))


@verb(
    "changes",
    operand="PATH [DEST]",
    repeated=("path", "include", "exclude"),
    path="The file or folder here; a second word is --dest.",
    dest="Its new name there: absolute, ~/..., or below the project; with a / at its end"
    " the folder it goes into. Without it, its place in the clone.",
    dry_run="Only list the files and their sizes.",
    overwrite="Replace files there that differ.",
    include="Only what this pattern names; may be repeated.",
    exclude="Nothing that this pattern names; may be repeated.",
    max_size="Nothing larger than 8M, 500k, 2G.",
    limit_rate="At most so much a second: 500k, 8M.",
)
@on_several
def put(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    path: Sequence[str] | None = None,
    dest: str = "",
    dry_run: bool = False,
    overwrite: bool = False,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    max_size: str = "",
    limit_rate: str = "",
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Send a file or a folder to the machine, resumable, each checksum checked."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows import file_choice
    from sandbox_ops.workflows.put import put as work

    local, *more = path or ("",)
    if not local or len(more) > 1 or (more and dest):
        raise UsageError(
            "`put` takes one path here, and one there",
            NextStep("put", {"path": "data/cifar10"}, "For example"),
        )
    choice = _choice(include, exclude, max_size)
    bytes_per_s = file_choice.size_bytes(limit_rate, "--limit-rate")
    with (
        opened(context, sandbox) as machine,
        terminal.transfers(quiet=json) as progress,
    ):
        report = work(
            machine.sandbox,
            machine.project,
            path=local,
            dest=more[0] if more else dest,
            dry_run=dry_run,
            overwrite=overwrite,
            choice=choice,
            bytes_per_s=bytes_per_s,
            on_progress=progress,
        )
    return Answer.of(report, lambda: views.put(report))


@verb(
    "changes",
    operand="[PORT|LOGDIR]",
    port="The port there, on its own loopback; with --tensorboard the folder it shows.",
    local="The port here; the same one if not said, 0 for any that is free.",
    tensorboard="Use a TensorBoard that runs there, else start one, stopped at the end.",
    keep="Let the TensorBoard run on.",
    job="A job on a Slurm cluster: the port is one of the node that runs it.",
)
def tunnel(
    context: Context,
    *,
    port: str = "",
    local: str = "",
    tensorboard: bool = False,
    keep: bool = False,
    job: str = "",
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Have a port of the machine on this computer, until Ctrl-C."""
    from sandbox_ops.cli import tunneling

    wanted = tunneling.wanted(port, local, tensorboard=tensorboard, keep=keep, job=job)
    with opened(context, sandbox) as machine:
        return tunneling.hold(machine.sandbox, machine.project, wanted, as_json=json)


@verb(
    "changes",
    repeated=("leave",),
    command="What to run here then; without it on_idle of the sandbox in your config.toml.",
    into="A local folder for the results; without it the same paths in the local clone.",
    leave="A job whose results may be left there; may be repeated.",
    ignore_others="Other programs that seem to be at work on the machine.",
    interval="Seconds between two looks.",
    dry_run="Only show what is waited for, what would come home and what would be run.",
)
def on_idle(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    command: str = "",
    into: str = "",
    leave: Sequence[str] | None = None,
    ignore_others: bool = False,
    interval: float = 30.0,
    dry_run: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Wait until nothing runs there, bring all results home, then run a command here."""
    from sandbox_ops.cli import views
    from sandbox_ops.workflows.on_idle import on_idle as work

    if not interval > 0:
        raise UsageError(f"--interval takes seconds, not {interval}", "such as 30")
    with opened(context, sandbox) as machine:
        report = work(
            machine.sandbox,
            machine.project,
            command=command,
            into=into,
            leave=tuple(leave or ()),
            ignore_others=ignore_others,
            dry_run=dry_run,
            interval_s=interval,
            on_wait=None if json else views.waited_for,
        )
    code = report.exit_code or 0
    return Answer(
        value=report.as_json(), show=lambda: views.on_idle(report), exit_code=code
    )
