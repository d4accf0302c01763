"""Who is notified of what a verb sees: the user's `[notify]`, where it is asked for."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from sandbox_ops.cli.face import say
from sandbox_ops.models.events import Event, EventKind
from sandbox_ops.models.waiting import WaitEvent

if TYPE_CHECKING:
    from sandbox_ops.cli.session import Session
    from sandbox_ops.config.discover import Settings
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Job
    from sandbox_ops.models.waiting import WaitReport
    from sandbox_ops.workflows.monitor import MonitorReport
    from sandbox_ops.workflows.notify import Notifier


@contextlib.contextmanager
def notifier(settings: "Settings", *, asked: bool) -> "Iterator[Notifier | None]":
    """Give what tells, where that was asked for, here or in the configuration.

    Raises:
        ConfigError: It was asked for, and no target is configured.
    """
    notify = settings.config.notify
    if not (asked or (notify.always and notify.is_configured)):
        yield None
        return
    from sandbox_ops.workflows.notify import Notifier

    with Notifier(notify, say) as telling:
        yield telling


def after_wait(
    telling: "Notifier | None", sandbox: "Sandbox", report: "WaitReport"
) -> None:
    """Tell of what ended a wait: jobs that ended, or a warning."""
    if telling is None:
        return
    if report.event is WaitEvent.WARNING:
        telling.tell(sandbox, _warning(sandbox, report))
    for job in report.jobs or (report.job,):
        telling.ended(sandbox, job)


def _warning(sandbox: "Sandbox", report: "WaitReport") -> Event:
    return Event(
        at=time.time(),
        kind=EventKind.WARNING,
        sandbox=sandbox.config.name,
        job=report.job.id,
        name=report.job.name or None,
        state=str(report.job.state),
        message=report.line,
    )


def telling_look(
    look: "Callable[[], MonitorReport]",
    telling: "Notifier | None",
    sandbox: "Sandbox",
) -> "Callable[[], MonitorReport]":
    """Return the look as one that also tells of jobs that ended since the last."""
    if telling is None:
        return look
    lived: set[str] = set()

    def looking() -> "MonitorReport":
        report = look()
        for view in report.jobs:
            if not view.job.state.ended:
                lived.add(view.job.id)
            elif view.job.id in lived:
                lived.discard(view.job.id)
                telling.ended(sandbox, view.job)
        return report

    return looking


def arm(machine: "Session", jobs: "Sequence[Job]", telling: "Notifier | None") -> None:
    """Have the machine itself tell of the ends of jobs; say where it cannot.

    One that has ended by now is notified from here.
    """
    if telling is None:
        return
    from sandbox_ops.errors import SandboxError
    from sandbox_ops.machine import jobs as nouns
    from sandbox_ops.workflows import notify

    sandbox = machine.sandbox
    for job in jobs:
        try:
            why = notify.arm(sandbox, job, machine.settings.config.notify)
            if why == notify.ENDED:
                telling.ended(sandbox, nouns.get(sandbox, job.id))
                continue
        except SandboxError as error:  # the job runs, whatever becomes of its message
            why = error.message
        if why:
            say(f"the machine itself will not notify of {job.id}: {why}")
            return
