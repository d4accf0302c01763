"""What wakes people and agents: a wait that ends, and events, a line each as they come."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sandbox_ops.cli import notifying, output, terminal
from sandbox_ops.cli.face import Answer
from sandbox_ops.errors import ConnectError
from sandbox_ops.models import JobState
from sandbox_ops.models.events import Event, EventKind
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models.waiting import WaitReport
    from sandbox_ops.workflows.notify import Notifier


def wait(
    sandbox: "Sandbox",
    references: Sequence[str],
    *,
    pattern: str,
    timeout_s: float | None,
    warnings: bool,
    for_all: bool | None,
    quiet: bool,
    notifier: "Notifier | None" = None,
) -> Answer:
    """Wait for the first thing that happens to one of the jobs, or for all their ends."""
    from sandbox_ops.machine import waiting
    from sandbox_ops.workflows import group_jobs

    wanted = waiting.WaitFor(
        pattern=pattern,
        timeout_s=timeout_s,
        warnings=warnings and not for_all,
        for_all=for_all,
    )
    with terminal.busy("waiting", quiet=quiet):
        report = waiting.wait(sandbox, references, wanted)
        report = group_jobs.with_warnings(sandbox, references, report)
    notifying.after_wait(notifier, sandbox, report)
    return Answer(
        value=report.as_json(),
        show=lambda: _show(report),
        exit_code=report.exit_code,
    )


def _show(report: "WaitReport") -> None:
    from sandbox_ops.text import command_words

    if report.jobs:  # of all: how many ended how, and the first that went wrong
        terminal.tell(report.line, *command_words.wait_warnings(report))
        if report.job.state is not JobState.SUCCEEDED:
            terminal.tell(formatting.job_line(report.job))
        return
    line = f": {formatting.one_line(report.line, 2000)}" if report.line else ""
    terminal.tell(f"{report.event}{line}", formatting.job_line(report.job))


def events(
    sandboxes: Sequence["Sandbox"],
    *,
    references: Sequence[str],
    follow: bool,
    since: str,
    as_json: bool,
    notifier: "Notifier | None" = None,
) -> Answer:
    """Print events as they come, until there are no more, or their reader is gone."""
    from sandbox_ops.machine import groups, jobs
    from sandbox_ops.workflows import events as telling

    named = groups.expand(sandboxes[0], references) if references else ()
    only = [jobs.get(sandboxes[0], each).id for each in named]
    unreachable: set[str] = set()
    by_name = {sandbox.config.name: sandbox for sandbox in sandboxes}
    for event in telling.events(
        sandboxes, since=since, follow=follow, only=only, on_idle=_check_reader
    ):
        if as_json:
            output.write_json(event.as_json())
        else:
            terminal.tell(event_line(event))
        if notifier is not None:
            notifier.tell(by_name[event.sandbox], event)
        if event.kind is EventKind.UNREACHABLE:
            unreachable.add(event.sandbox)
    none_reachable = len(unreachable) == len(sandboxes)
    return Answer(value=None, exit_code=ConnectError.exit_code if none_reachable else 0)


def event_line(event: Event) -> str:
    """An event in one line: `22:41:07 gpu1 remote-3 "night" ended: failed (...)`.

    What did not happen today has its date, too.
    """
    when = datetime.fromtimestamp(event.at).astimezone()
    today = when.date() == datetime.now().astimezone().date()
    at = when.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
    name = f'"{formatting.one_line(event.name, 40)}"' if event.name else ""
    columns = (at, event.sandbox, event.job or "", name, str(event.kind))
    head = " ".join(filter(None, columns))
    message = formatting.one_line(event.message, 1000)
    return f"{head}: {message}" if message else head


def _check_reader() -> None:
    """End quietly where the reader of our lines is gone.

    Raises:
        BrokenPipeError: It is gone.
    """
    if output.reader_gone("stdout"):
        raise BrokenPipeError
