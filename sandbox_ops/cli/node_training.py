"""How `train` starts a training over several sandboxes, and what people read of it."""

import os
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import (
    merged_logs,
    next_steps,
    notifying,
    session,
    setting_values,
    terminal,
)
from sandbox_ops.cli.face import Answer, say
from sandbox_ops.cli.terminal import tell
from sandbox_ops.cli.train_wish import Wish
from sandbox_ops.errors import UsageError
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from sandbox_ops.workflows.nodes import NodesReport

_ANY = "any"
_FIRST_LINES = 5


def is_over_several(on: str, wish: Wish) -> bool:
    """Whether it goes over all sandboxes of `--on`, and not to one of them.

    Raises:
        UsageError: As many nodes as there are sandboxes cannot be.
    """
    options = wish.nodes
    if not options.any_given:
        return False
    names = session.settings_here().config.names(on)
    if options.count > 1 and (on == _ANY or options.count != len(names)):
        place = "--on any takes one" if on == _ANY else f"--on names {len(names)}"
        raise UsageError(
            f"{options.count} nodes are wanted, and {place}",
            "Name as many sandboxes as it takes: --on gpu1,gpu2",
        )
    return on != _ANY and len(names) > 1 and options.count != 1


def start(on: str, wish: Wish) -> Answer:
    """Start it on all of them, or on none.

    Raises:
        UsageError: An option that does not go with it.
        SandboxError: As `workflows.nodes.start` has it.
    """
    from sandbox_ops.guard.reliability import ReliabilityFile
    from sandbox_ops.models.cancellation import CancelToken
    from sandbox_ops.workflows import nodes

    options: dict[str, Any] = dict(wish.options)
    if options.pop("queue") is not None:
        raise UsageError(
            "a training over several sandboxes starts on all at once: it waits in no"
            " queue, and is not tried again by a machine of its own",
            "Leave out --queue, --after, --slots, --retries and their like.",
        )
    with (
        session.opened_on(on) as fleet,
        notifying.notifier(fleet.settings, asked=wish.notify) as telling,
    ):
        report = nodes.start(
            fleet.sandboxes,
            fleet.settings.project,
            settings=setting_values.single(wish.settings),
            by_torchrun=wish.nodes.torchrun,
            port=wish.nodes.port,
            dry_run=wish.dry_run,
            memory=ReliabilityFile(os.environ),
            on_step=say,
            cancel=CancelToken(),
            **options,
        )
        if report.nodes and wish.notify:
            first = session.Session(sandbox=fleet.sandboxes[0], settings=fleet.settings)
            notifying.arm(first, (report.nodes[0].job,), telling)
        if not (wish.watch and report.nodes):
            if report.nodes:
                with terminal.busy("waiting for its first second", quiet=wish.as_json):
                    report = nodes.first_second(fleet.sandboxes, report)
            return Answer.of(report, lambda: _show(report))
        if not wish.as_json:
            _show(report)
        jobs = {
            merged_logs.Source(
                sandbox=sandbox,
                job=node.job.id,
                prefix=merged_logs.prefix(node.rank, node.sandbox),
            ): node.job
            for sandbox, node in zip(fleet.sandboxes, report.nodes, strict=True)
        }
        return merged_logs.to_the_end(
            jobs, {}, quiet=wish.as_json, value=report.as_json(), with_code=True
        )


def _show(report: "NodesReport") -> None:
    """The node on each machine, and how to see the run again."""
    tell(*(f"warning: {warning}" for warning in report.warnings))
    if not report.nodes:
        tell(f"{report.name} would be started: {report.command}")
        for rank, name in enumerate(report.machines):
            needs = report.did.get(name, ())
            first = f" ({' and '.join(needs)} first)" if needs else ""
            tell(f"rank {rank} on {name}{first}")
        return
    tell(
        f"started {report.name} on {len(report.nodes)} machines;"
        f" they meet at {report.master}",
        *(
            f"rank {node.rank} on {node.sandbox}: {formatting.job_line(node.job)}"
            for node in report.nodes
        ),
        *(
            merged_logs.prefix(node.rank, node.sandbox) + line
            for node in report.nodes
            for line in node.first_lines[-_FIRST_LINES:]
        ),
    )
    if not report.ok:
        tell(f"it failed at once: {next_steps.command('logs', job=report.name)}")
        return
    tell(
        f"follow it: {next_steps.command('logs', job=report.name, follow=True)}",
        f"wait for it: {next_steps.command('wait', job=report.name)}",
        f"end it: {next_steps.command('stop', job=report.name)}",
    )
