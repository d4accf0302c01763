"""A verb with `--on`: done on several sandboxes at once, answered as one.

Each machine's part is the verb's own body, given the sandbox that is meant, and quiet;
what it would show is shown when all are done: rows of one table with a column for the
machine, or one block a machine. A dead machine is an error in its own row. So it is, too,
where a run over several machines is named, without `--on`.
"""

import contextvars
import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import next_steps, output, several
from sandbox_ops.cli.face import Answer, Body, failure_facts
from sandbox_ops.errors import CancelledError, NotFoundError, SandboxError, UsageError

if TYPE_CHECKING:
    from sandbox_ops.models.cancellation import CancelToken
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
        entry = None if on else several.meant(context, options)
        if not on and not entry:
            return body(context, **options)
        return _answer(body, context, on, options, entry)

    signature = inspect.signature(body)
    own = inspect.Parameter("on", inspect.Parameter.KEYWORD_ONLY, default="")
    parameters = [*signature.parameters.values(), own]
    where.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return where


def _answer(
    body: Body,
    context: Any,  # noqa: ANN401
    on: str,
    options: Mapping[str, Any],
    entry: "NodesEntry | None",
) -> Answer:
    """Do a verb on the sandboxes that `on` names, or on those of a run over several.

    Raises:
        UsageError: It cannot be done on several: with --sandbox, --watch, --follow or --any.
        ConfigError: One of them is not described.
    """
    from sandbox_ops.models.cancellation import CancelToken

    if options.get("sandbox"):
        raise UsageError("--sandbox names one machine, --on several", "leave out one")
    for name in _NOT_WITH:
        if options.get(name):
            raise _one_at_a_time(name, entry)
    token = CancelToken()
    parts = _on_all(body, context, on, options, entry, token)
    if entry and token.cancelled:  # the waits that were ended have nothing to say
        parts = {n: p for n, p in parts.items() if not isinstance(p, CancelledError)}
    of_run = {"name": entry.name} if entry else {}
    of_each = {name: _value(part) for name, part in parts.items()}
    return Answer(
        value={**of_run, "sandboxes": of_each},
        show=lambda: _show(parts),
        exit_code=next(filter(None, map(_code, _that_count(parts, options))), 0),
    )


def _on_all(
    body: Body,
    context: Any,  # noqa: ANN401
    on: str,
    options: Mapping[str, Any],
    entry: "NodesEntry | None",
    token: "CancelToken",
) -> "Mapping[str, _Part | SandboxError]":
    from sandbox_ops.cli import session
    from sandbox_ops.links.agent_files import MOST
    from sandbox_ops.workflows.fleet import on_each

    names = entry.machines if entry else session.settings_here().config.names(on)

    def one(name: str) -> _Part:
        own = contextvars.copy_context()
        own.run(session.cancelled_by, token)
        if len(names) > MOST:  # no processes for some of them; one way to a jump host
            own.run(session.connect_directly)
        own.run(session.one_of_several)
        quiet = {**options, "sandbox": name}
        if "json" in quiet:
            quiet["json"] = True
        if entry:
            quiet = several.on_machine(entry, name, quiet)
        answer = own.run(_on_one, body, context, name, quiet)
        if entry and (answer.value or {}).get("event") in _WAKES_UP:
            token.cancel()
        return _Part(answer, own)

    return on_each(names, one, cancel=token)


def _one_at_a_time(option: str, entry: "NodesEntry | None") -> UsageError:
    if entry:
        return UsageError(
            f"{entry.name} is on {', '.join(entry.machines)}, and --{option.rstrip('_')}"
            " looks at one machine",
            f"Name it: --sandbox {entry.machines[0]}",
        )
    return UsageError(
        f"--{option.rstrip('_')} looks at one machine, --on at several",
        "leave out one",
    )


def _that_count(
    parts: Mapping[str, _Part | SandboxError], options: Mapping[str, Any]
) -> list[_Part | SandboxError]:
    """Those that the exit code tells of: a job need not be on every machine, only on one."""
    count = [
        part
        for part in parts.values()
        if not (
            isinstance(part, NotFoundError)
            and any(map(options.get, several.NAMES_A_JOB))
        )
    ]
    return count or list(parts.values())


def _on_one(body: Body, context: Any, name: str, options: Mapping[str, Any]) -> Answer:  # noqa: ANN401
    next_steps.choose_sandbox(name)
    return body(context, **options)


def _value(part: _Part | SandboxError) -> Mapping[str, Any]:
    if isinstance(part, SandboxError):
        return failure_facts(part)
    return part.answer.value or {}


def _code(part: _Part | SandboxError) -> int:
    return part.exit_code if isinstance(part, SandboxError) else part.answer.exit_code


def _show(parts: Mapping[str, _Part | SandboxError]) -> None:
    """One table where all that answered have rows; else a block for each."""
    answered = {n: p for n, p in parts.items() if isinstance(p, _Part)}
    if answered and all(part.answer.rows for part in answered.values()):
        _show_table(answered)
    else:
        for name, part in answered.items():
            output.write(f"== {name}\n")
            part.context.run(part.answer.show)
    from sandbox_ops.text import formatting

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
