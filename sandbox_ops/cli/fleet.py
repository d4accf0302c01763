"""A verb with `--on`: done on several sandboxes at once, answered as one.

Each machine's part is the verb's own body, given the sandbox that is meant, and quiet;
what it would show is shown when all are done: rows of one table with a column for the
machine, or one block a machine. A dead machine is an error in its own row.
Jobs that are named with their machine, `gpu1:remote-3`, lead there without `--on`.
"""

import contextvars
import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import next_steps, output
from sandbox_ops.cli.face import Answer, Body, failure_facts
from sandbox_ops.errors import SandboxError, UsageError

if TYPE_CHECKING:
    from sandbox_ops.workflows.fleet_totals import FleetTotals

_NOT_WITH = ("watch", "follow", "any_")
_NAMES_A_JOB = ("job", "group", "after")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one machine answered, and the context in which it is shown."""

    answer: Answer
    context: contextvars.Context


def on_several(body: Body) -> Body:
    """Give a verb the option `--on`: it is done on each sandbox that this names."""

    @functools.wraps(body)
    def where(context: Any, /, *, on: str = "", **options: Any) -> Answer:  # noqa: ANN401 - as Invoke calls it
        _check(on, options)
        targets = _targets(on, options)
        if on or len(targets) > 1:
            return _answer(body, context, targets, options, on=on)
        return body(context, **_aimed(targets, options))

    signature = inspect.signature(body)
    own = inspect.Parameter("on", inspect.Parameter.KEYWORD_ONLY, default="")
    parameters = [*signature.parameters.values(), own]
    where.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return where


def on_its_machine(body: Body) -> Body:
    """Let a verb take a job with its machine: `gpu1:remote-3`."""

    @functools.wraps(body)
    def where(context: Any, /, **options: Any) -> Answer:  # noqa: ANN401 - as Invoke calls it
        targets = _targets("", options)
        if len(targets) > 1:
            raise UsageError(
                f"these are jobs of {' and '.join(targets)}, and this takes those of one",
                "Name those of one machine.",
            )
        return body(context, **_aimed(targets, options))

    return where


_Targets = Mapping[str, tuple[str, ...]]


def _jobs_option(options: Mapping[str, Any]) -> str:
    """The option that names the jobs; "" where there is none, or nothing was named."""
    return next((name for name in _NAMES_A_JOB if options.get(name)), "")


def _targets(on: str, options: Mapping[str, Any]) -> _Targets:
    """Which machines are meant, each with the jobs there.

    Raises:
        ConfigError: One is not described.
        UsageError: The words do not go together.
    """
    from sandbox_ops.cli import session
    from sandbox_ops.config.targets import targets

    named = options.get(_jobs_option(options), ())
    jobs = (named,) if isinstance(named, str) else tuple(named)
    sandbox = options.get("sandbox", "")
    if not on and not any(":" in job for job in jobs):
        return {sandbox: jobs}  # nothing to look up
    return targets(session.settings_here().config, sandbox=sandbox, on=on, jobs=jobs)


def _aimed(targets: _Targets, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for the one machine that is meant."""
    ((name, jobs),) = targets.items()
    return {**options, **_of(name, jobs, options)}


def _of(name: str, jobs: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say which machine it is, and which jobs there."""
    chosen: dict[str, Any] = {"sandbox": name}
    if option := _jobs_option(options):
        is_text = isinstance(options[option], str)
        chosen[option] = jobs[0] if is_text else list(jobs)
    return chosen


def _check(on: str, options: Mapping[str, Any]) -> None:
    """Refuse what cannot be done on several.

    Raises:
        UsageError: It is asked for: --sandbox, --watch, --follow or --any.
    """
    if on and options.get("sandbox"):
        raise UsageError("--sandbox names one machine, --on several", "leave out one")
    for name in _NOT_WITH:
        if on and options.get(name):
            raise UsageError(
                f"--{name.rstrip('_')} looks at one machine, --on at several",
                "leave out one",
            )


def _answer(
    body: Body,
    context: Any,  # noqa: ANN401
    targets: _Targets,
    options: Mapping[str, Any],
    *,
    on: str,
) -> Answer:
    """Do a verb on several sandboxes.

    A wait for jobs that were named with their machines ends with the first, unless it is
    for all of them.
    """
    from sandbox_ops.cli import session
    from sandbox_ops.links.agent_files import MOST
    from sandbox_ops.models.cancellation import CancelToken
    from sandbox_ops.workflows.fleet import on_each, that_count

    names = tuple(targets)
    next_steps.choose_several(on or ",".join(names))  # of an end that is nobody's own
    token = CancelToken()

    def one(name: str) -> _Part:
        own = contextvars.copy_context()
        own.run(session.cancelled_by, token)
        if len(names) > MOST:  # no processes for some of them; one way to a jump host
            own.run(session.connect_directly)
        own.run(session.one_of_several)
        quiet = {**options, **_of(name, targets[name], options)}
        if "json" in quiet:
            quiet["json"] = True
        return _Part(own.run(_on_one, body, context, name, quiet), own)

    is_race = not on and not options.get("all_")
    parts = on_each(names, one, cancel=token, first=is_race)
    next_steps.forget_sandbox()
    named = bool(_jobs_option(options))
    totals = _totals(parts, named=named)
    values = {name: _value(part) for name, part in parts.items()}
    codes = (_code(parts[name]) for name in that_count(parts, named=named))
    return Answer(
        value={"sandboxes": values} | ({"totals": totals.as_json()} if totals else {}),
        show=lambda: _show(parts, totals.lines if totals else ()),
        exit_code=next(filter(None, codes), 0),
    )


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
        lines = (f"{name}: {error.message}", *(f"  {hint}" for hint in hints))
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
