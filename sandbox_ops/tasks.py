"""The verbs, as Invoke tasks: read options, call the library, answer.

Here are the workflows, in job_tasks.py what is about one job or command. A new verb is a
function and its name in `ns`. Under `sandbox-ops` a job and a command may stand on the
line as they are (`logs remote-1`, `run -- nvidia-smi`); under plain `inv` they are
`--job` and `--command`. (Over 250 lines: half of it is the help that users read.)
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops.cli import lean_invoke  # noqa: F401 - before Invoke, and what imports it

# isort: split
from invoke import Collection, Context

from sandbox_ops.cli import next_steps, option_values, output
from sandbox_ops.cli.agent_tasks import agent
from sandbox_ops.cli.audit_tasks import allow_list, audit
from sandbox_ops.cli.face import INTERRUPTED, Answer, say, verb
from sandbox_ops.cli.install_tasks import mcp_install, plugin_install
from sandbox_ops.cli.job_tasks import jobs, logs, pin, run, stop
from sandbox_ops.cli.session import opened
from sandbox_ops.cli.waking_tasks import events, wait
from sandbox_ops.errors import ConnectError, UsageError

if TYPE_CHECKING:
    from sandbox_ops.workflows.monitor import MonitorReport


@verb("changes")
def setup(context: Context, *, sandbox: str = "", json: bool = False) -> Answer:
    """Clone the project there, install its environment, check both."""
    from sandbox_ops.cli import views
    from sandbox_ops.workflows.setup import setup as work

    with opened(context, sandbox) as machine:
        on_step = None if json else views.step
        report = work(machine.sandbox, machine.project, on_step=on_step)
    return Answer.of(report, lambda: views.setup(report))


@verb("changes", push="Push the local branch first, if it needs that.")
def sync(
    context: Context, *, push: bool = False, sandbox: str = "", json: bool = False
) -> Answer:
    """Bring the machine to the local commit, by way of the git remote."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows.sync import sync as work

    with opened(context, sandbox) as machine, terminal.busy("syncing", quiet=json):
        report = work(machine.sandbox, machine.project, push=push)
    return Answer.of(report, lambda: views.sync(report))


@verb(
    "changes",
    repeated=("set_", "force", "env"),
    rest="--command",
    command="What to run, as a shell line; without it what sandbox.toml says.",
    name="A name for the job.",
    set_="NAME=VALUE for a {NAME} in the configured command; may be repeated.",
    time="End it after 90, 90s, 30m, 8h, 2d or 1:30:00.",
    gpus="How many GPUs it takes.",
    env="Give it this variable of yours, by its name; may be repeated.",
    env_file="Give it the variables of this file: NAME=VALUE lines.",
    force="Go on in spite of a refusal, by the name that it gave; may be repeated.",
    watch="Follow its log, and end with its exit code.",
)
def train(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    command: str = "",
    name: str = "",
    set_: Sequence[str] | None = None,
    time: str = "",
    gpus: str = "",
    force: Sequence[str] | None = None,
    env: Sequence[str] | None = None,
    env_file: str = "",
    watch: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Start the training in the background, once all is right for it."""
    from sandbox_ops.cli import following, terminal, views
    from sandbox_ops.workflows import first_second
    from sandbox_ops.workflows.train import train as work

    settings = option_values.assignments(set_ or (), "--set")
    time_s = option_values.seconds(time, "--time")
    values = option_values.environment(env or (), env_file, os.environ)
    n_gpus = option_values.gpu_count(gpus)
    with opened(context, sandbox) as machine:
        with terminal.busy("looking before the start", quiet=json):
            report = work(
                machine.sandbox,
                machine.project,
                command=command,
                name=name,
                settings=settings,
                env=values,
                time_s=time_s,
                gpus=n_gpus,
                force=tuple(force or ()),
            )
        if not watch:
            with terminal.busy("waiting for its first second", quiet=json):
                report = first_second.look(machine.sandbox, report)
            return Answer.of(report, lambda: views.train(report))
        if not json:
            views.train(report)
        return following.to_the_end(
            machine.sandbox, report.job, quiet=json, value=report.as_json()
        )


@verb(
    "reads",
    watch="Look again and again, until q or Ctrl-C.",
    interval="Seconds between two looks.",
)
def monitor(
    context: Context,
    *,
    watch: bool = False,
    interval: float = 5.0,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Show jobs with their progress, GPUs, disk, and what looks wrong."""
    from sandbox_ops.cli import dashboard, watching
    from sandbox_ops.workflows.monitor import monitor as work

    if watch and json:
        raise UsageError("--json is one look, --watch is many", "leave out one of them")
    if not interval > 0:
        raise UsageError(f"--interval takes seconds, not {interval}", "such as 5")
    with opened(context, sandbox) as machine:

        def look() -> "MonitorReport":
            return work(machine.sandbox, machine.known_project)

        if watch:
            ended_by_key = watching.watch(
                look, machine=machine.sandbox.config.label, interval_s=interval
            )
            again = next_steps.command("monitor", watch=True)
            say(f"jobs go on; see them again: {again}")
            return Answer(value={}, exit_code=0 if ended_by_key else INTERRUPTED)
        report = look()
        label = machine.sandbox.config.label
    return Answer(
        value=report.as_json(),
        show=lambda: dashboard.monitor(report, label),
        exit_code=0 if report.reachable else ConnectError.exit_code,
    )


@verb("changes", dry_run="Only show what would be done.")
def reset(
    context: Context, *, dry_run: bool = False, sandbox: str = "", json: bool = False
) -> Answer:
    """Stop our jobs, rescue edits made there, go back to upstream."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows.reset import reset as work

    with opened(context, sandbox) as machine, terminal.busy("resetting", quiet=json):
        report = work(machine.sandbox, machine.project, dry_run=dry_run)
    return Answer.of(report, lambda: views.reset(report))


@verb(
    "changes",
    operand="[JOB|PATH]",
    repeated=["path"],
    job="Also the log and run record of this job; with a slash in it, a path there.",
    path="This file or folder there instead, * as in a shell; may come often.",
    into="A local folder; without it the same paths in the local clone.",
    dry_run="Only list the files and their sizes.",
    overwrite="Replace local files that differ.",
)
def fetch(
    context: Context,
    *,
    job: str = "",
    path: Sequence[str] | None = None,
    into: str = "",
    dry_run: bool = False,
    overwrite: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Bring the declared outputs, or what is named, home, each checksum checked."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows.fetch import fetch as work

    paths = [*(path or ()), *([job] if "/" in job else ())]

    with (
        opened(context, sandbox) as machine,
        terminal.transfers(quiet=json) as progress,
    ):
        report = work(
            machine.sandbox,
            machine.project,
            paths=paths,
            job="" if paths else job,
            into=into,
            dry_run=dry_run,
            overwrite=overwrite,
            on_progress=progress,
        )
    return Answer.of(report, lambda: views.fetch(report))


@verb("reads")
def doctor(context: Context, *, sandbox: str = "", json: bool = False) -> Answer:
    """Check everything that a training needs, and say how to fix it."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows.doctor import doctor as work

    with opened(context, sandbox) as machine, terminal.busy("checking", quiet=json):
        origins = machine.settings.config.origins_of(machine.sandbox.config.name)
        report = work(machine.sandbox, machine.known_project, origins)
    return Answer.of(report, lambda: views.doctor(report))


@verb("changes", fingerprint="Add the key that has it, without a question: SHA256:...")
def trust(
    context: Context, *, fingerprint: str = "", sandbox: str = "", json: bool = False
) -> Answer:
    """Show the machine's host key, and trust it if you say so."""
    from sandbox_ops.cli import views
    from sandbox_ops.machine.trust import trust as work

    with opened(context, sandbox) as machine:
        report = work(
            machine.sandbox,
            lambda shown: views.agree_to_trust(shown, ask=not json),
            fingerprint=fingerprint,
        )
    return Answer(value=report.as_json(), show=lambda: views.trust(report))


@verb(
    "changes",
    forget="Take it back.",
    yes="Do not ask: for a script of your own; without it a terminal is needed.",
)
def allow(
    context: Context,  # noqa: ARG001 - Invoke's
    *,
    forget: bool = False,
    yes: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Let this project use the machine that its own files name."""
    from sandbox_ops.cli import views
    from sandbox_ops.cli.session import settings_here

    settings = settings_here()
    name = settings.config.sandbox(sandbox).name
    asked = settings.unconfirmed(name)
    if asked and not (forget or yes):
        views.agree_to_allow(asked, name, ask=not json)
    machine = settings.allow(name, forget=forget)
    value = {
        "sandbox": name,
        "host": machine.address if machine else settings.config.sandbox(name).host,
        "project": machine.project if machine else "",
        "allowed": machine is None or not forget,
    }
    return Answer(value=value, show=lambda: views.allow(value))


@verb("changes")
def shell(context: Context, *, sandbox: str = "") -> Answer:
    """Open a terminal on the machine, in the project's folder."""
    from sandbox_ops.ssh import interactive

    with opened(context, sandbox) as machine:
        code = interactive.enter(machine.sandbox.config, machine.folder(""))
    return Answer(value={}, exit_code=code)


@verb(
    "changes", keep="A folder to play in that stays; without it nothing is left behind."
)
def demo(context: Context, *, keep: str = "") -> Answer:  # noqa: ARG001 - Invoke's
    """Show it all on this computer: no machine, no account, one minute."""
    from sandbox_ops.demo import extras

    extras.require()
    from sandbox_ops.demo.story import tell

    return Answer(value={}, exit_code=tell(Path(keep) if keep else None))


@verb(  # noqa: S604 - the help of an option of that name
    "reads",
    operand="SHELL",
    shell="bash, zsh or fish.",
)
def completion(context: Context, *, shell: str = "") -> Answer:  # noqa: ARG001 - Invoke's
    """Print the script that completes verbs, options, jobs and names in a shell."""
    from sandbox_ops.cli import completion as completing

    if shell not in completing.SHELLS:
        problem = f"there is no completion for `{shell}`" if shell else "name a shell"
        raise UsageError(
            f"{problem}: bash, zsh or fish",
            'for example, in ~/.bashrc: eval "$(sandbox-ops completion bash)"',
        )
    script = completing.script(shell)
    return Answer(value={}, show=lambda: output.write(script))


ns = Collection(
    *(setup, sync, train, monitor, reset, fetch),
    *(jobs, logs, wait, events, stop, pin, run),
    *(doctor, trust, allow, shell, demo),
    *(audit, allow_list, mcp_install, plugin_install, completion, agent),
)


def main() -> None:
    """Run the verbs as the program `sandbox-ops`, and exit with their code."""
    from sandbox_ops.cli import program

    program.main(ns)
