"""What the verbs about runs have in common: which runs, which machines to ask."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING

from invoke import Context

from sandbox_ops.cli import option_values
from sandbox_ops.cli.session import opened, opened_all, settings_here
from sandbox_ops.errors import NextStep, UsageError

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Project
    from sandbox_ops.workflows.run_query import RunQuery

RUN = "A run: its id, number or name, last, t1/3, or gpu1:remote-3."
QUERY = {
    "where": "Only runs for which it holds: 'lr<1e-3', 'loss<=0.5'; may be repeated.",
    "since": "Started since 90m, 8h, 2d, or a date: 2026-11-24.",
    "state": "Only those in this state; may be repeated.",
    "group": "Only those of this group; may be repeated.",
    "tag": "Only those with this tag; may be repeated.",
    "sort": "By a setting, a metric or a field, the best first; -NAME: the other way.",
    "limit": "At most so many; 0: all.",
    "local": "What this clone remembers; no machine is asked.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The machines to ask, whose project it is, and which an id belongs to."""

    sandboxes: "tuple[Sandbox, ...]"
    project: "Project"
    default: str = ""


@contextlib.contextmanager
def machines(context: Context, sandbox: str, *, local: bool) -> Iterator[Machines]:
    """Every machine that is configured, or the one that is named."""
    settings = settings_here()
    if local:
        yield Machines(sandboxes=(), project=settings.project)
        return
    with opened_all(context, sandbox) as sandboxes:
        yield Machines(sandboxes=sandboxes, project=settings.project)


@contextlib.contextmanager
def machines_of(
    context: Context, references: Sequence[str], sandbox: str, *, local: bool = False
) -> Iterator[Machines]:
    """The machines that references name, and else the one that is named, or the default."""
    settings = settings_here()
    named = [text.partition(":")[0] for text in references]
    names = {name for name in named if name in settings.sandbox_names}
    if len(names) < len(references) or not references:
        names.add(sandbox)
    with contextlib.ExitStack() as stack:
        machines = () if local else tuple(
            stack.enter_context(opened(context, name)) for name in sorted(names)
        )  # fmt: skip
        chosen = [m.sandbox.config.name for name, m in zip(sorted(names), machines, strict=False) if name == sandbox]  # fmt: skip
        yield Machines(
            sandboxes=tuple(machine.sandbox for machine in machines),
            project=settings.project,
            default=chosen[0] if chosen else sandbox,
        )


def needed(given: Sequence[str], count: int, name: str) -> Sequence[str]:
    """The runs that a verb takes.

    Raises:
        UsageError: They are fewer, or more.
    """
    if len(given) == count:
        return given
    wanted = "a run" if count == 1 else "two runs"
    example = ["remote-1", "remote-2"][:count]
    raise UsageError(
        f"`{name}` needs {wanted}, and got {len(given)}",
        NextStep(name, {"run": example if count > 1 else example[0]}, "For example"),
        NextStep("runs", purpose="They are listed by"),
    )


def query(
    where: Sequence[str] | None,
    since: str,
    state: Sequence[str] | None,
    group: Sequence[str] | None,
    tag: Sequence[str] | None,
    sort: str,
    limit: int,
    sandbox: str,
) -> "RunQuery":
    """The query that the options of a verb make: of one machine where one is named.

    Raises:
        UsageError: One of them cannot be read.
    """
    from sandbox_ops.workflows import run_query

    return run_query.query(
        where=where or (),
        started_after=option_values.since(since, time()),
        sandboxes=(sandbox,) if sandbox else (),
        states=state or (),
        groups=group or (),
        tags=tag or (),
        sort=sort,
        limit=limit,
    )
