"""What a script of ours printed, as values. Pure.

A script answers in lines of `key=value`; a key may come more than once. It refuses
with a line `error=KIND message`, perhaps `item=...` lines and a `hint_code=` (see machine_errors) beside it,
and a non-zero exit. Names of files travel as git quotes them (`porcelain.unquote`),
so that a line is always one value.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox_ops.errors import (
    BY_KIND,
    ConnectionLostError,
    ProtocolError,
    RefusedError,
    SandboxError,
    TimedOutError,
)
from sandbox_ops.models import CommandResult, EndKind
from sandbox_ops.remote.machine_errors import SAYS, hint, machine_error

_LINE = re.compile(r"([a-z][a-z0-9_]{0,31})=(.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """The lines of one reply, in order."""

    lines: tuple[tuple[str, str], ...]

    def all(self, key: str) -> tuple[str, ...]:
        """Return every value of `key`, in order."""
        return tuple(value for name, value in self.lines if name == key)

    def get(self, key: str, default: str = "") -> str:
        """Return the last value of `key`, or `default`."""
        return (self.all(key) or (default,))[-1]

    def need(self, key: str) -> str:
        """Return the last value of `key`.

        Raises:
            ProtocolError: If there is none, or an empty one.
        """
        if value := self.get(key):
            return value
        raise ProtocolError(f"the machine's reply has no `{key}`")


def read(text: str) -> Reply:
    """Return the reply that `text` is.

    Raises:
        ProtocolError: If a line is not `key=value`; quotes it.
    """
    lines = []
    for line in text.split("\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ProtocolError(f"the machine answered {line[:200]!r}, not key=value")
        lines.append((match[1], match[2]))
    return Reply(tuple(lines))


def listed(message: str, items: tuple[str, ...], limit: int = 20) -> str:
    """Return `message` with one indented line an item, the first `limit` of them."""
    lines = [message, *(f"  {item}" for item in items[:limit])]
    if len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)


def failed(stderr: str) -> SandboxError:
    """Return the error of a script that failed without saying why itself."""
    lines = stderr.strip().splitlines() or ["it printed nothing"]
    return RefusedError("\n".join(lines[-8:]))


def parse_result(
    result: CommandResult,
    doing: str,
    explain: Callable[[str], SandboxError] = failed,
    workspace: str = "/workspace",
) -> Reply:
    """Return what the script said that ended as `result`.

    Args:
        result: How it ended.
        doing: What it was for, to begin an error with: "clone me/x on gpu1".
        explain: Makes an error of standard error, where no `error=` line was given.
        workspace: Of the machine, for hints.

    Raises:
        SandboxError: Of the kind that the script named.
        ConnectionLostError: If the outcome is not known.
        TimedOutError: If it did not end in its time.
    """
    if result.end is EndKind.CONNECTION_LOST:
        job = result.job.id  # "": the answer to its start was lost
        raise ConnectionLostError(
            f"cannot {doing}: the connection was lost, {job or 'it'} may still run",
            f"Look: sandbox-ops logs {job}" if job else "Look: sandbox-ops jobs --all",
        )
    if result.end is EndKind.TIMED_OUT:
        raise TimedOutError(f"cannot {doing}: it took too long and was stopped")
    if result.ok:
        return read(result.stdout.text)
    error = _refusal(result.stdout.text, workspace) or explain(result.stderr.text)
    message = error.message.removeprefix(SAYS)
    raise type(error)(f"cannot {doing}: {SAYS}{message}", *error.hints)


def _refusal(text: str, workspace: str) -> SandboxError | None:
    """Return the error that the `error=` line of `text` names, if it has one."""
    lines = [match for line in text.split("\n") if (match := _LINE.fullmatch(line))]
    reply = Reply(tuple((match[1], match[2]) for match in lines))
    kind, _, message = reply.get("error").partition(" ")
    if kind not in BY_KIND:
        return None
    error = machine_error(kind, listed(message, reply.all("item")))
    return type(error)(error.message, hint(reply.get("hint_code"), workspace))
