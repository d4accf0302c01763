"""Runs one of our scripts there, and reads what it reports."""

from collections.abc import Callable, Mapping

from sandbox_ops.errors import SandboxError
from sandbox_ops.git.runner import GIT_ENV
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.remote import script_replies
from sandbox_ops.remote.script_replies import Reply

_TIMEOUT_S = 60.0


def ask(
    sandbox: Sandbox,
    script: str,
    *arguments: str,
    doing: str,
    timeout_s: float = _TIMEOUT_S,
    env: Mapping[str, str] | None = None,
    explain: Callable[[str], SandboxError] = script_replies.failed,
) -> Reply:
    """Run `SCRIPT.sh` there, on record, and return what it reports.

    Args:
        sandbox: The machine.
        script: The name of the script.
        *arguments: Data for it.
        doing: What it is for, to begin an error with: "clone me/x".
        timeout_s: When it is stopped.
        env: Variables for it, beside git's: what is no argument, for it is a secret.
        explain: Makes an error of standard error, where the script names none.

    Raises:
        SandboxError: Of the kind that the script named.
        ConnectionLostError: The outcome is not known.
        TimedOutError: It did not end in its time.
    """
    result = sandbox.script(
        script,
        *arguments,
        env={**GIT_ENV, **(env or {})},
        timeout_s=timeout_s,
        description=doing,
    )
    label = sandbox.config.label
    return script_replies.parse_result(
        result, f"{doing} on {label}", explain, sandbox.config.workspace
    )
