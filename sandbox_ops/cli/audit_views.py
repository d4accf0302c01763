"""What people read of the audit log."""

import time
from collections.abc import Sequence
from pathlib import Path

from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import draw, table, tell
from sandbox_ops.guard.audit import Entry, Verification
from sandbox_ops.text import formatting

_AUDIT_COLUMNS = (
    Column(name="TIME"),
    Column(name="WHO", least=4, optional=True),
    Column(name="SANDBOX", least=6, wraps=True),
    Column(name="ACTION"),
    Column(name="OUTCOME", least=8),
    Column(name="WHAT", least=10),
)


def entries(logged: Sequence[Entry]) -> None:
    """Acts, a row each: an intent without its outcome is still at it, or was killed."""
    if not logged:
        tell("the audit log has no such entry")
        return
    outcomes = {each.id: each.outcome for each in logged if each.event == "outcome"}
    draw(
        table(
            _AUDIT_COLUMNS,
            (
                (
                    time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.at)),
                    " ".join(filter(None, (each.face, each.client))),
                    each.sandbox,
                    each.action,
                    outcomes.get(each.id, "no outcome"),
                    formatting.one_line(each.summary, 1000),
                )
                for each in logged
                if each.event == "intent"
            ),
        )
    )


def verdict(answer: Verification, path: Path) -> None:
    """Whether the log is whole."""
    for line in answer.broken:
        tell(f"changed: {line}")
    state = "whole" if answer.ok else "not whole"
    tell(f"{path}: {answer.entries} lines, {state}")
    if answer.open_intents:
        tell(f"{answer.open_intents} actions have no outcome: under way, or killed")
