"""The verbs, as Invoke tasks: read options, call the library, answer.

Here are the workflows, in job_tasks.py what is about one job or command. A new verb is a
function and its name in `ns`. Under `sandbox-ops` a job and a command may stand on the
line as they are (`logs remote-1`, `run -- nvidia-smi`); under plain `inv` they are
`--job` and `--command`. (Over 250 lines: half of it is the help that users read.)
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import lean_invoke  # noqa: F401 - before Invoke, and what imports it

# isort: split
from invoke import Collection, Context

from sandbox_ops.cli import next_steps, option_values, output, queue_options
from sandbox_ops.cli.agent_tasks import agent, kept_connections
from sandbox_ops.cli.aiming import on_its_machine
from sandbox_ops.cli.audit_tasks import allow_list, audit
from sandbox_ops.cli.face import INTERRUPTED, Answer, say, verb
from sandbox_ops.cli.fleet import on_several
from sandbox_ops.cli.install_tasks import mcp_install, plugin_install
from sandbox_ops.cli.job_tasks import (
    jobs,
    logs,
    move,
    pin,
    run,
    stop,
)
from sandbox_ops.cli.label_tasks import note, rerun, tag, untag
from sandbox_ops.cli.machine_tasks import login, logout, sandboxes, shell
from sandbox_ops.cli.run_tasks import diff, export, plot, runs, show
from sandbox_ops.cli.session import opened
from sandbox_ops.cli.transfer_tasks import fetch, on_idle, put, tunnel
from sandbox_ops.cli.waking_tasks import events, wait
from sandbox_ops.errors import ConnectError, NextStep, UsageError

if TYPE_CHECKING:
    from sandbox_ops.workflows.monitor import MonitorReport


@verb(
    "changes",
    via="ssh: send the first clone's commits over the connection, ask no git server.",
)
@on_several
def setup(
    context: Context, *, via: str = "", sandbox: str = "", json: bool = False
) -> Answer:
    """Clone the project there, install its environment, check both."""
    from sandbox_ops.cli import views
    from sandbox_ops.workflows.setup import setup as work

    with opened(context, sandbox) as machine:
        on_step = None if json else views.step
        report = work(machine.sandbox, machine.project, via=via, on_step=on_step)
    return Answer.of(report, lambda: views.setup(report, with_steps=json))


@verb(
    "changes",
    push="Push the local branch first, if it needs that.",
    via="ssh: send the commits over the connection, ask no git server.",
    dirty="Also what is not committed, with untracked files, as a commit on no branch.",
)
@on_several
def sync(
    context: Context,
    *,
    push: bool = False,
    via: str = "",
    dirty: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Bring the machine to the local commit, by way of the git remote."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows.sync import sync as work

    with opened(context, sandbox) as machine, terminal.busy("syncing", quiet=json):
        report = work(machine.sandbox, machine.project, push=push, via=via, dirty=dirty)
    return Answer.of(report, lambda: views.sync(report))


@verb(
    "changes",
    repeated=("set_", "force", "env", "after"),
    rest="--command",
    command="What to run, as a shell line; without it what sandbox.toml says.",
    name="A name for the job, or for the sweep.",
    set_="NAME=VALUE for a {NAME} in the command; may be repeated. Of a list (1e-3,1e-4)"
    " or a range (1..5) each value is a job: a sweep.",
    time="End it after 90, 90s, 30m, 8h, 2d or 1:30:00.",
    gpus="How many GPUs it takes.",
    env="Give it this variable of yours, by its name; may be repeated.",
    env_file="Give it the variables of this file: NAME=VALUE lines.",
    own_tree="In a tree of its own, which no sync changes.",
    no_env="Without what `setup` made there, and the project's variables.",
    force="Go on in spite of a refusal, by the name that it gave; may be repeated.",
    watch="Follow its log, and end with its exit code.",
    again="Of a sweep: start also the cells that are done.",
    failed="Of a sweep: start also the cells that ended without success.",
    dry_run="Only show the jobs that would be started, and those that would be skipped.",
    then="Of a sweep: run this shell line on the machine when all its jobs have ended.",
    queue="Wait in the machine's queue where it cannot start now.",
    share="So many jobs may have its GPU at once.",
    min_free_mem="Wait until so much memory of its GPU is free: 20G, 512M.",
    slots="So many jobs of the queue may run at once; as many as cores without it.",
    after="Wait for the success of this job, JOB:any for its end; may be repeated.",
    priority="Higher ones come first in the queue, -999 to 999.",
    retries="So many attempts more where it fails.",
    retry_on="After which ends: exit, exit=75, signal, oom, lost; all of them without it.",
    resume_from="Checkpoints, such as 'ckpt/*.pt': the newest is {resume} in a retry.",
    notify="Have the machine itself post its end to your [notify] webhook; with --watch"
    " tell all of [notify].",
    nodes="Over so many nodes of a Slurm cluster; with --on over all of those sandboxes.",
    torchrun="Have torchrun run it, a process for each GPU; with --on over all of those"
    " sandboxes.",
    port="Where the processes of several sandboxes meet on the first, and the next one;"
    " free ones without it.",
    on="On the first of these sandboxes that can take it: names or groups with commas"
    " between, or any. A sweep: on all of them.",
)
@on_its_machine
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
    own_tree: bool = False,
    no_env: bool = False,
    watch: bool = False,
    again: bool = False,
    failed: bool = False,
    dry_run: bool = False,
    then: str = "",
    queue: bool = False,
    share: str = "",
    min_free_mem: str = "",
    slots: str = "",
    after: Sequence[str] | None = None,
    priority: str = "",
    retries: str = "",
    retry_on: str = "",
    resume_from: str = "",
    notify: bool = False,
    nodes: str = "",
    torchrun: bool = False,
    port: str = "",
    on: str = "",
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Start the training in the background, once all is right for it.

    With lists in --set: a sweep, a job for each combination in the queue there.
    With --nodes or --torchrun: over several machines, on all of them or on none.
    """
    from sandbox_ops.cli import node_options, setting_values, training
    from sandbox_ops.cli.train_wish import Wish

    settings = setting_values.read(option_values.assignments(set_ or (), "--set"))
    is_sweep = setting_values.is_sweep(settings) or again or failed or bool(then)
    if watch and (is_sweep or dry_run):
        raise UsageError(
            "--watch follows one job",
            NextStep("monitor", {"job": name or "t1", "watch": True}, "Watch a sweep"),
        )
    time_s = option_values.seconds(time, "--time")
    values = option_values.environment(env or (), env_file, os.environ)
    n_gpus = option_values.gpu_count(gpus)
    options: dict[str, Any] = {
        "command": command,
        "name": name,
        "env": values,
        "no_env": no_env,
        "own_tree": own_tree,
        "time_s": time_s,
        "gpus": n_gpus,
        "force": tuple(force or ()),
        "queue": queue_options.read(
            queue=queue, share=share, min_free_mem=min_free_mem, slots=slots,
            after=after or (), priority=priority, retries=retries, retry_on=retry_on,
            resume_from=resume_from,
        ),
    }  # fmt: skip
    wish = Wish(
        settings=settings,
        options=options,
        is_sweep=is_sweep,
        sweep_options={"again": again, "failed": failed, "then": then},
        dry_run=dry_run,
        watch=watch,
        notify=notify,
        as_json=json,
        nodes=node_options.read(nodes, torchrun=torchrun, port=port, is_sweep=is_sweep),
    )
    if not on:
        return training.start(context, sandbox, wish)
    training.check_on(on, sandbox=sandbox, after=after or ())
    return training.start_on(context, on, wish)


@verb(
    "reads",
    operand="[JOB]",
    job="Only this job (gpu1:remote-3 on that machine), or the jobs of this group.",
    metric="What makes a run the best of its group: loss, max:accuracy, min:error.",
    watch="Look again and again, until q or Ctrl-C.",
    interval="Seconds between two looks.",
    notify="With --watch: notify what is set below [notify] in your own config.toml.",
)
@on_several
def monitor(
    context: Context,
    *,
    job: str = "",
    metric: str = "",
    watch: bool = False,
    interval: float = 5.0,
    notify: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Show jobs with their progress, GPUs, disk, and what looks wrong."""
    from sandbox_ops.cli import dashboard, notifying, watching
    from sandbox_ops.workflows.monitor import monitor as work

    if watch and json:
        raise UsageError("--json is one look, --watch is many", "leave out one of them")
    if not interval > 0:
        raise UsageError(f"--interval takes seconds, not {interval}", "such as 5")
    with opened(context, sandbox) as machine:

        def look() -> "MonitorReport":
            return work(machine.sandbox, machine.known_project, job=job, metric=metric)

        if watch:
            label = machine.sandbox.config.label
            with notifying.notifier(machine.settings, asked=notify) as telling:
                look = notifying.telling_look(look, telling, machine.sandbox)
                ended_by_key = watching.watch(look, machine=label, interval_s=interval)
            again = next_steps.command("monitor", job=job, watch=True)
            say(f"jobs go on; see them again: {again}")
            return Answer(value={}, exit_code=0 if ended_by_key else INTERRUPTED)
        report = look()
        label = machine.sandbox.config.label
    return Answer(
        value=report.as_json(),
        show=lambda: dashboard.monitor(report, label),
        rows=dashboard.rows(report, label),
        report=report,
        exit_code=0 if report.reachable else ConnectError.exit_code,
    )


@verb("changes", dry_run="Only show what would be done.")
@on_several
def reset(
    context: Context, *, dry_run: bool = False, sandbox: str = "", json: bool = False
) -> Answer:
    """Stop our jobs, rescue edits made there, go back to upstream."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows.reset import reset as work

    with opened(context, sandbox) as machine, terminal.busy("resetting", quiet=json):
        report = work(machine.sandbox, machine.project, dry_run=dry_run)
    return Answer.of(report, lambda: views.reset(report))


@verb("reads")
@on_several
def doctor(context: Context, *, sandbox: str = "", json: bool = False) -> Answer:
    """Check everything that a training needs, and say how to fix it."""
    from sandbox_ops.cli import terminal, views
    from sandbox_ops.workflows.doctor import doctor as work

    with opened(context, sandbox) as machine, terminal.busy("checking", quiet=json):
        origins = machine.settings.config.origins_of(machine.sandbox.config.name)
        report = work(machine.sandbox, machine.known_project, origins)
    aimed = (check.aimed(next_steps.on_chosen_sandbox) for check in report.checks)
    report = replace(report, checks=(*aimed, kept_connections()))
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
    *(setup, sync, train, monitor, reset, fetch, put, tunnel, on_idle),
    *(jobs, logs, wait, events, stop, move, pin, run),
    *(runs, show, diff, plot, rerun, note, tag, untag, export),
    *(sandboxes, doctor, trust, allow, shell, login, logout, demo),
    *(audit, allow_list, mcp_install, plugin_install, completion, agent),
)


def main() -> None:
    """Run the verbs as the program `sandbox-ops`, and exit with their code."""
    from sandbox_ops.cli import program

    program.main(ns)
