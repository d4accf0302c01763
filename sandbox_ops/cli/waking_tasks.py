"""The verbs that wait, as Invoke tasks: `wait` and `events`."""

from collections.abc import Sequence

from invoke import Context

from sandbox_ops.cli import option_values
from sandbox_ops.cli.aiming import on_its_machine
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.fleet import on_several
from sandbox_ops.cli.session import opened, opened_all, settings_here
from sandbox_ops.errors import UsageError


@verb(
    "reads",
    operand="JOB...",
    repeated=("job",),
    job=f"{option_values.JOB} Several. Or a group: until all its jobs have ended.",
    any_="Of a group: until the first of its jobs ends, or looks wrong.",
    all_="Of several jobs: until all have ended.",
    for_="Also a line that matches this pattern (RE2); one written before counts.",
    timeout="Wait for 90, 90s, 30m, 8h, 2d or 1:30:00; then end with 124.",
    ignore_warnings="Wait on whatever looks wrong: NaN, a traceback, a stall.",
    notify="Notify what is set below [notify] in your own config.toml.",
)
@on_several
def wait(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    job: Sequence[str] | None = None,
    for_: str = "",
    timeout: str = "",
    any_: bool = False,
    all_: bool = False,
    ignore_warnings: bool = False,
    notify: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Wait until a job ends, says a line or looks wrong; end with the job's exit code.

    Of a group, until all its jobs have ended: with 0 where all succeeded, else with
    the exit code of the first that did not.
    """
    from sandbox_ops.cli import notifying, waking

    if any_ and all_:
        raise UsageError("--any is one job's end, --all is all", "leave out one")
    option_values.needed(job[0] if job else "", "wait")
    timeout_s = option_values.seconds(timeout, "--timeout")
    with (
        opened(context, sandbox) as machine,
        notifying.notifier(machine.settings, asked=notify) as telling,
    ):
        return waking.wait(
            machine.sandbox,
            job or (),
            pattern=for_,
            timeout_s=timeout_s,
            warnings=not ignore_warnings,
            for_all=True if all_ else False if any_ else None,
            quiet=json,
            notifier=telling,
        )


@verb(
    "reads",
    operand="[JOB...]",
    repeated=("job",),
    shorts={"follow": "f"},
    job=f"{option_values.JOB} Several. Or a group.",
    follow="Go on, for ever; a machine that cannot be reached is asked again.",
    since="The cursor of an event: what comes after it.",
    notify="Notify what is set below [notify] in your own config.toml.",
)
@on_its_machine
def events(
    context: Context,
    *,
    job: Sequence[str] | None = None,
    follow: bool = False,
    since: str = "",
    notify: bool = False,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Print a line when a job starts, ends, looks wrong, or a machine is unreachable.

    Of all sandboxes that are configured; with a job, of the default one.
    With --json an object a line.
    """
    from sandbox_ops.cli import notifying, waking

    if job:
        with (
            opened(context, sandbox) as machine,
            notifying.notifier(machine.settings, asked=notify) as telling,
        ):
            return waking.events(
                [machine.sandbox],
                references=job,
                follow=follow,
                since=since,
                as_json=json,
                notifier=telling,
            )
    with (
        opened_all(context, sandbox) as sandboxes,
        notifying.notifier(settings_here(), asked=notify) as telling,
    ):
        return waking.events(
            sandboxes,
            references=(),
            follow=follow,
            since=since,
            as_json=json,
            notifier=telling,
        )
