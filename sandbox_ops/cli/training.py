"""How `train` starts what was asked for: a training or a sweep, on one machine or several."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import (
    following,
    node_training,
    notifying,
    session,
    setting_values,
    spread_views,
    sweep_views,
    terminal,
    views,
)
from sandbox_ops.cli.face import Answer, say
from sandbox_ops.cli.train_wish import Wish
from sandbox_ops.errors import UsageError

if TYPE_CHECKING:
    from sandbox_ops.workflows.placement import PlacementReport


def start(context: Any, sandbox: str, wish: Wish) -> Answer:  # noqa: ANN401 - Invoke's or Fabric's
    """Start it on one machine.

    Raises:
        SandboxError: As the workflows have it.
    """
    from sandbox_ops.workflows import first_second
    from sandbox_ops.workflows.sweep import sweep
    from sandbox_ops.workflows.train import train

    with (
        session.opened(context, sandbox) as machine,
        notifying.notifier(machine.settings, asked=wish.notify) as telling,
    ):
        armed = telling if wish.notify else None
        with terminal.busy("looking before the start", quiet=wish.as_json):
            if wish.is_sweep or wish.dry_run:
                swept = sweep(
                    machine.sandbox,
                    machine.project,
                    setting_values.lists(wish.settings),
                    dry_run=wish.dry_run,
                    nodes=wish.nodes.count,
                    by_torchrun=wish.nodes.torchrun,
                    **wish.sweep_options,
                    **wish.options,
                )
                notifying.arm(machine, swept.jobs, armed)
                return sweep_views.answer(swept)
            report = train(
                machine.sandbox,
                machine.project,
                settings=setting_values.single(wish.settings),
                nodes=wish.nodes.count,
                by_torchrun=wish.nodes.torchrun,
                **wish.options,
            )
        notifying.arm(machine, (report.job,), armed)
        if not wish.watch:
            with terminal.busy("waiting for its first second", quiet=wish.as_json):
                report = first_second.look(machine.sandbox, report)
            return Answer.of(report, lambda: views.train(report))
        if not wish.as_json:
            views.train(report)
        return following.to_the_end(
            machine.sandbox,
            report.job,
            quiet=wish.as_json,
            value=report.as_json(),
            ended=partial(telling.ended, machine.sandbox) if telling else None,
        )


def check_on(on: str, *, sandbox: str, after: Sequence[str]) -> None:
    """Refuse what does not go with `--on`.

    Raises:
        UsageError: It does not; says what to leave out.
        ConfigError: A sandbox of `on` is not described.
    """
    if sandbox:
        raise UsageError("--sandbox names one machine, --on several", "leave out one")
    if after and len(session.settings_here().config.names(on)) > 1:
        raise UsageError(
            "--after names a job of one machine, --on several machines",
            "Name its machine: --sandbox NAME instead of --on.",
        )


def start_on(context: Any, on: str, wish: Wish) -> Answer:  # noqa: ANN401 - Invoke's or Fabric's
    """Start a training on one of several machines, or a sweep on all of them.

    Raises:
        RefusedError: None of them can be taken.
        SandboxError: As the workflows have it.
    """
    if wish.is_sweep:
        return _spread(on, wish)
    if node_training.is_over_several(on, wish):
        return node_training.start(on, wish)
    placement = _place(on, wish)
    answer = start(context, placement.sandbox, wish)
    if answer.value is None:
        return answer
    return replace(answer, value={**answer.value, "placement": placement.as_json()})


def _place(on: str, wish: Wish) -> "PlacementReport":
    """Choose the machine of one training, and make it ready; say which, and why."""
    from sandbox_ops.guard.reliability import ReliabilityFile
    from sandbox_ops.workflows import placement

    queue = wish.options["queue"]
    with session.opened_on(on) as fleet:
        report = placement.place(
            fleet.sandboxes,
            fleet.settings.project,
            gpus=wish.options["gpus"],
            may_wait=queue is not None and queue.waits,
            force=wish.options["force"],
            dry_run=wish.dry_run,
            memory=ReliabilityFile(os.environ),
            on_step=say,
        )
    for line in report.lines:
        say(line)
    return report


def _spread(on: str, wish: Wish) -> Answer:
    """Hand out the cells of a sweep; each thing that is done is a line on stderr."""
    from sandbox_ops.guard.reliability import ReliabilityFile
    from sandbox_ops.workflows.spread import spread

    with (
        session.opened_on(on) as fleet,
        notifying.notifier(fleet.settings, asked=wish.notify) as telling,
    ):
        try:
            report = spread(
                fleet.sandboxes,
                fleet.settings.project,
                setting_values.lists(wish.settings),
                dry_run=wish.dry_run,
                memory=ReliabilityFile(os.environ),
                other_machine=fleet.open_other,
                on_step=say,
                nodes=wish.nodes.count,
                by_torchrun=wish.nodes.torchrun,
                **wish.sweep_options,
                **wish.options,
            )
        except KeyboardInterrupt:
            say("what a machine got goes on; the same command again hands out the rest")
            raise
        by_name = {sandbox.config.name: sandbox for sandbox in fleet.sandboxes}
        for share in report.shares:
            one = session.Session(
                sandbox=by_name[share.sandbox], settings=fleet.settings
            )
            notifying.arm(one, share.jobs, telling if wish.notify else None)
    report = replace(report, on="all" if on == "any" else on)
    code = report.error.exit_code if report.error else 0
    return Answer(
        value=report.as_json(),
        show=lambda: spread_views.started(report),
        exit_code=code,
    )
