"""The verbs about what agents do and may do: the audit log, and rules for their hosts."""

import time

from invoke import Context

from sandbox_ops.cli import option_values, output
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.errors import UsageError

_STEP = "script "  # what our own verbs do there, step by step
_BROKEN = 1  # the exit code of a log that was changed


@verb(
    "reads",
    since="Only the last 90, 90s, 30m, 8h or 2d.",
    action="Only acts of this kind: run, start, stop, sync, ...",
    all_="Also the steps that our own verbs take there: script ...",
    verify="Check that no line was changed or removed.",
)
def audit(
    context: Context,  # noqa: ARG001 - Invoke's
    *,
    since: str = "",
    action: str = "",
    all_: bool = False,
    verify: bool = False,
    sandbox: str = "",
    json: bool = False,  # noqa: ARG001 - as every verb has it
) -> Answer:
    """Show what was done on machines from here, by whom, and what came of it."""
    from sandbox_ops.cli import audit_views
    from sandbox_ops.guard import acts
    from sandbox_ops.guard import audit as audit_log

    path = acts.log_path()
    if verify:
        verdict = audit_log.verify(path)
        return Answer(
            value=verdict.as_json(),
            show=lambda: audit_views.verdict(verdict, path),
            exit_code=0 if verdict.ok else _BROKEN,
        )
    span_s = option_values.seconds(since, "--since")
    entries = tuple(
        entry
        for entry in audit_log.entries(path)
        if (span_s is None or entry.at >= time.time() - span_s)
        and entry.action.startswith(action)
        and (all_ or action or not entry.action.startswith(_STEP))
        and sandbox in {"", entry.sandbox}
    )
    return Answer(
        value={"path": str(path), "entries": [entry.as_json() for entry in entries]},
        show=lambda: audit_views.entries(entries),
    )


@verb("reads", host="Which agent: claude, codex or gemini.")
def allow_list(
    context: Context,  # noqa: ARG001 - Invoke's
    *,
    host: str = "claude",
    json: bool = False,  # noqa: ARG001 - as every verb has it
) -> Answer:
    """Print an agent's own rules that let it use the verbs which only read."""
    from sandbox_ops.cli import allow_rules

    if host not in allow_rules.HOSTS:
        raise UsageError(
            f"there are no rules for `{host}`: {', '.join(allow_rules.HOSTS)}"
        )
    text, where = allow_rules.rules(host)
    return Answer(
        value={"host": host, "file": where, "rules": text},
        show=lambda: output.write(text),
    )
