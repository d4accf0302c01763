"""How `train` starts a training over several sandboxes, and what people read of it."""

import os
from dataclasses import replace
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
from sandbox_ops.models.nodes import log_prefix
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox_ops.workflows.nodes import NodesReport
    from sandbox_ops.workflows.run_again import FoundRun


def is_over_several(on: str, wish: Wish) -> bool:
    """Whether it goes over all sandboxes of `--on`, and not to one of them.

    Raises:
        UsageError: As many nodes as there are sandboxes cannot be.
    """
    if not wish.nodes.any_given:
        return False
    settings = session.settings_here()
    names = settings.config.names(on)
    are_clusters = all(settings.sandbox(name).by_slurm for name in names)
    return wish.nodes.are_machines(on, names, are_clusters=are_clusters)


def start(on: str, wish: Wish) -> Answer:
    """Start it on all of them, or on none.

    Raises:
        UsageError: An option that does not go with it.
        SandboxError: As `workflows.nodes.start` has it.
    """
    from sandbox_ops.guard.reliability import ReliabilityFile
    from sandbox_ops.models.cancellation import CancelToken
    from sandbox_ops.workflows import nodes

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
            **wish.options,
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
                prefix=log_prefix(node.rank, node.sandbox),
            ): node.job
            for sandbox, node in zip(fleet.sandboxes, report.nodes, strict=True)
        }
        return merged_logs.to_the_end(
            jobs, {}, quiet=wish.as_json, value=report.as_json(), with_code=True
        )


def rerun(found: "FoundRun", options: "Mapping[str, Any]", *, quiet: bool) -> Answer:
    """Start a run over several machines again, on all of them or on none.

    Raises:
        ConfigError: One of its machines is not described here.
        SandboxError: As `workflows.rerun_nodes.rerun` has it.
    """
    from sandbox_ops.guard.reliability import ReliabilityFile
    from sandbox_ops.models.cancellation import CancelToken
    from sandbox_ops.workflows import nodes, rerun_nodes

    with session.opened_on(",".join(found.machines)) as fleet:
        next_steps.forget_sandbox()  # its name is all of its machines
        report = rerun_nodes.rerun(
            fleet.sandboxes,
            fleet.settings.project,
            found,
            memory=ReliabilityFile(os.environ),
            on_step=say,
            cancel=CancelToken(),
            **options,
        )
        with terminal.busy("waiting for its first second", quiet=quiet):
            seen = nodes.first_second(fleet.sandboxes, report.started)
    report = replace(report, started=seen)

    def show() -> None:
        _show(report.started)
        tell(
            f"started again on {len(report.started.nodes)} machines, as {report.of.job.name} at {formatting.short(report.of.commit)}"
            + ("" if report.differs else ": nothing is known to differ"),
            *(f"differs: {line}" for line in report.differs),
        )

    return Answer.of(report, show)


def _show(report: "NodesReport") -> None:
    """The node on each machine, and how to see the run again."""
    from sandbox_ops.workflows import nodes_lines

    tell(*(f"warning: {warning}" for warning in report.warnings))
    tell(*nodes_lines.lines(report))
    if not report.nodes:
        return
    if not report.ok:
        tell(f"it failed at once: {next_steps.command('logs', job=report.name)}")
        return
    tell(
        f"follow it: {next_steps.command('logs', job=report.name, follow=True)}",
        f"wait for it: {next_steps.command('wait', job=report.name)}",
        f"end it: {next_steps.command('stop', job=report.name)}",
    )
