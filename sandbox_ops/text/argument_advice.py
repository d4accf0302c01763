"""What does what an argument would do that a tool does not have. Pure."""

import difflib
from collections.abc import Sequence

from sandbox_ops.errors import NextStep

_LONGEST = 80
_ADVICE: tuple[tuple[frozenset[str], str, str | NextStep], ...] = (
    (frozenset({"env", "environment"}), "command",
     "Begin the command with it: export NAME=VALUE; ..."),
    (frozenset({"stdin", "input"}), "command",
     "Standard input is empty; give it in the command: ... <<'EOF'"),
    (frozenset({"kill", "stop", "terminate"}), "",
     NextStep("stop", {"job": "JOB"}, "To end a job")),
    (frozenset({"tail", "last", "head"}), "since",
     "Without `since` it gives the end of the output; `limit` says how many lines."),
    (frozenset({"tail", "last"}), "limit", "`limit` alone gives the last lines."),
    (frozenset({"wait", "block"}), "run_in_background",
     "It waits for the end, unless `run_in_background` is true."),
)  # fmt: skip
"""Names of such arguments; the argument that a tool must have for the advice to hold
("": any tool); the advice."""
_SECONDS = frozenset({"timeout_s", "timeout_sec", "timeout_secs", "timeout_seconds"})
_MEANT = {
    "bg": "run_in_background", "background": "run_in_background", "cmd": "command",
    "script": "command", "dir": "cwd", "directory": "cwd", "workdir": "cwd",
    "working_directory": "cwd", "block": "wait", "follow": "wait", "watch": "wait",
    "file": "file_path", "path": "file_path", "id": "bash_id", "job": "bash_id",
    "job_id": "bash_id", "shell_id": "bash_id", "task_id": "bash_id",
    "lines": "limit", "max_lines": "limit", "pattern": "filter",
    "timeout_ms": "timeout", "time": "timeout", "yes": "confirm",
}  # fmt: skip


def on(name: str, value: object, known: Sequence[str]) -> tuple[str | NextStep, ...]:
    """Return what to do instead of sending this argument; nothing where nobody knows.

    Args:
        name: Of an argument that the tool does not have.
        value: What was sent for it.
        known: The arguments that the tool has.
    """
    name = name.lower()[:_LONGEST]
    if name in _SECONDS and "timeout" in known:
        return (
            f"Did you mean `timeout`? It is in milliseconds{_milliseconds(value)}.",
        )
    for names, needed, instead in _ADVICE:
        if name in names and (needed in known or not needed):
            return (instead,)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    guess = _MEANT.get(name, "")
    guess = guess if guess in known else next(iter(near), "")
    return (f"Did you mean `{guess}`?",) if guess else ()


def _milliseconds(seconds: object) -> str:
    try:
        return f": timeout={round(float(str(seconds)) * 1000)}"
    except (ValueError, OverflowError):
        return ""
