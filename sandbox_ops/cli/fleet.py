"""A verb with `--on`: done on several sandboxes at once, answered as one.

Each machine's part is the verb's own body, given the sandbox that is meant, and quiet;
what it would show is shown when all are done: rows of one table with a column for the
machine, or one block a machine. A dead machine is an error in its own row. So it is, too,
without `--on`, where a run over several machines is named, or jobs of several.
"""

import contextvars
import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import aiming, next_steps, output, several
from sandbox_ops.cli.aiming import Targets
from sandbox_ops.cli.face import Answer, Body, failure_facts
from sandbox_ops.errors import CancelledError, SandboxError, UsageError

if TYPE_CHECKING:
    from sandbox_ops.models.cancellation import CancelToken
    from sandbox_ops.workflows.fleet_totals import FleetTotals
    from sandbox_ops.workflows.nodes_list import NodesEntry

_NOT_WITH = ("watch", "follow", "any_")
_WAKES_UP = ("match", "warning", "timeout")
"""Events of a wait that are news of the whole run: the waits on its other machines end."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one machine answered, and the context in which it is shown."""

    answer: Answer
    context: contextvars.Context


def on_several(body: Body) -> Body:
    """Give a verb the option `--on`: it is done on each sandbox that this names."""

    @functools.wraps(body)
    def where(context: Any, /, *, on: str = "", **options: Any) -> Answer:  # noqa: ANN401 - as Invoke calls it
        if on:
            _check(options)
        targets = aiming.targets(on, options)
        entry = None if on else several.meant(context, options)
        if entry:
            targets = {
                each: (entry.jobs.get(each, entry.name),) for each in entry.machines
            }
        if on or len(targets) > 1:
            return _answer(body, context, targets, options, on, entry)
        return body(context, **aiming.aimed(targets, options))

    signature = inspect.signature(body)
    own = inspect.Parameter("on", inspect.Parameter.KEYWORD_ONLY, default="")
    parameters = [*signature.parameters.values(), own]
    where.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return where


def _check(options: Mapping[str, Any], entry: "NodesEntry | None" = None) -> None:
    """Refuse what cannot be done on several machines.

    Raises:
        UsageError: It is asked for: --sandbox, --watch, --follow or --any.
    """
    if options.get("sandbox"):
        raise UsageError("--sandbox names one machine, --on several", "leave out one")
    for name in filter(options.get, _NOT_WITH):
        option = f"--{name.rstrip('_')}"
        if entry is None:
            raise UsageError(
                f"{option} looks at one machine, --on at several", "leave out one"
            )
        raise UsageError(
            f"{entry.name} is on {', '.join(entry.machines)}, and {option} looks at one "
            "machine",
            f"Name it: --sandbox {entry.machines[0]}",
        )


def _answer(
    body: Body,
    context: Any,  # noqa: ANN401
    targets: Targets,
    options: Mapping[str, Any],
    on: str,
    entry: "NodesEntry | None",
) -> Answer:
    """Do a verb on several sandboxes: those of `on`, of a run over several, or of the jobs.

    Raises:
        UsageError: It cannot be done on several.
    """
    from sandbox_ops.models.cancellation import CancelToken
    from sandbox_ops.workflows.fleet import that_count

    if entry:
        _check(options, entry)
    next_steps.choose_several(on or ",".join(targets))  # of an end that is nobody's own
    token = CancelToken()
    parts = _on_all(body, context, targets, options, token, is_run=bool(entry), on=on)
    next_steps.forget_sandbox()
    if entry and token.cancelled:  # the waits that were ended have nothing to say
        parts = {n: p for n, p in parts.items() if not isinstance(p, CancelledError)}
    named = aiming.names_jobs(options)
    totals = _totals(parts, named=named)
    of_run = {"name": entry.name} if entry else {}
    of_each = {name: _value(part) for name, part in parts.items()}
    of_all = {"totals": totals.as_json()} if totals else {}
    codes = (_code(parts[name]) for name in that_count(parts, named=named))
    return Answer(
        value={**of_run, "sandboxes": of_each, **of_all},
        show=lambda: _show(parts, totals.lines if totals else ()),
        exit_code=next(filter(None, codes), 0),
    )


def _on_all(  # each is one fact
    body: Body,
    context: Any,  # noqa: ANN401
    targets: Targets,
    options: Mapping[str, Any],
    token: "CancelToken",
    *,
    is_run: bool,
    on: str,
) -> "Mapping[str, _Part | SandboxError]":
    """Do it on each. A wait for jobs of several machines ends with the first, or with all."""
    from sandbox_ops.cli import session
    from sandbox_ops.links.agent_files import MOST
    from sandbox_ops.workflows.fleet import on_each

    def one(name: str) -> _Part:
        own = contextvars.copy_context()
        own.run(session.cancelled_by, token)
        if len(targets) > MOST:  # no processes for some of them; one way to a jump host
            own.run(session.connect_directly)
        own.run(session.one_of_several)
        quiet = aiming.on_machine(name, targets[name], options)
        if "json" in quiet:
            quiet["json"] = True
        answer = own.run(_on_one, body, context, name, quiet)
        if is_run and (answer.value or {}).get("event") in _WAKES_UP:
            token.cancel()
        return _Part(answer, own)

    is_race = not (on or is_run or options.get("all_"))
    return on_each(tuple(targets), one, cancel=token, first=is_race)


def _totals(
    parts: Mapping[str, _Part | SandboxError], *, named: bool
) -> "FleetTotals | None":
    """What is said of all machines together; None where there is nothing."""
    from sandbox_ops.workflows import fleet_totals

    reports = {
        name: part.answer.report if isinstance(part, _Part) else None
        for name, part in parts.items()
    }
    return fleet_totals.of_reports(reports, of_job=named)


def _on_one(body: Body, context: Any, name: str, options: Mapping[str, Any]) -> Answer:  # noqa: ANN401
    next_steps.choose_sandbox(name)
    return body(context, **options)


def _value(part: _Part | SandboxError) -> Mapping[str, Any]:
    if isinstance(part, SandboxError):
        return failure_facts(part)
    return part.answer.value or {}


def _code(part: _Part | SandboxError) -> int:
    return part.exit_code if isinstance(part, SandboxError) else part.answer.exit_code


def _show(
    parts: Mapping[str, _Part | SandboxError], totals: Sequence[str] = ()
) -> None:
    """One table where all that answered have rows; else a block for each. Totals last."""
    from sandbox_ops.text import formatting

    answered = {n: p for n, p in parts.items() if isinstance(p, _Part)}
    if answered and all(part.answer.rows for part in answered.values()):
        _show_table(answered)
    else:
        for name, part in answered.items():
            output.write(f"== {name}\n")
            part.context.run(part.answer.show)
    failed = {n: p for n, p in parts.items() if isinstance(p, SandboxError)}
    for name, error in failed.items():
        next_steps.choose_sandbox(name)
        hints = map(next_steps.on_chosen_sandbox, error.hints)
        lines = (
            f"{name}: {error.message}",
            *(
                f"  {line}"
                for hint in hints
                for line in formatting.hint_lines(hint, 78)
            ),
        )
        output.write("".join(f"{line}\n" for line in lines), "stderr")
    next_steps.forget_sandbox()
    output.write("".join(f"{line}\n" for line in totals))


def _show_table(parts: Mapping[str, _Part]) -> None:
    from sandbox_ops.cli.layout import Column
    from sandbox_ops.cli.terminal import draw, table, tell

    first = next(iter(parts.values())).answer.rows
    columns: Sequence[Column] = first.columns if first else ()
    rows = [
        (name, *row)
        for name, part in parts.items()
        for row in (part.answer.rows.rows if part.answer.rows else ())
    ]
    if rows:
        draw(table((Column(name="SANDBOX"), *columns), rows))
    for name, part in parts.items():
        if part.answer.rows and not part.answer.rows.rows:
            tell(f"{name}: {part.answer.rows.none}")
        for line in part.answer.rows.notes if part.answer.rows else ():
            tell(f"{name}: {line}")
    if rows and first and first.are_jobs:
        one = next_steps.command("logs", job=f"{rows[0][0]}:{rows[0][1]}")
        tell(f"one of them: {one}")
