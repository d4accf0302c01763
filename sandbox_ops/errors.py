"""Every error of the product, as one tree, each with its kind and exit code.

The library raises; a face (command line, MCP) translates, by this table alone::

    SandboxError              internal         70   our bug
    |- ConfigError            config           78   EX_CONFIG
    |- UsageError             usage             2
    |- ConnectError           connect         255   unreachable, or authentication failed
    |  |- HostKeyError        host-key        255
    |  `- ConnectionLostError connection-lost 255   the outcome is unknown
    |- TimedOutError          timeout         124   as timeout(1)
    |- NotFoundError          not-found        66   EX_NOINPUT
    |- RefusedError           refused          75   EX_TEMPFAIL: change something, try again
    |- ProtocolError          protocol         76   EX_PROTOCOL
    |- DeniedError            denied           77   EX_NOPERM
    `- CancelledError         cancelled       130   as a shell after Ctrl-C

A message says what failed and where; the hint says what to do next.
The numbers are those of sysexits.h, ssh(1) and timeout(1).
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next: a verb and its arguments, which each face says in its own way.

    Attributes:
        verb: As every layer names it: `sync`, `logs`, `run`.
        arguments: By the name of the option, without dashes: `{"push": True}`,
            `{"job": "remote-3"}`, `{"command": "df -h"}`; a tuple repeats the option, a
            mapping gives it as `NAME=VALUE`.
        purpose: What it is good for: `Push it first`; "" where that is plain.
    """

    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    purpose: str = ""

    @property
    def given(self) -> dict[str, Any]:
        """The arguments that say something, by names without the underscores of Python."""
        return {
            name.strip("_").replace("-", "_"): value
            for name, value in self.arguments.items()
            if value is not None and value is not False
        }

    @property
    def command(self) -> str:
        """The step as a command to type: `sandbox-ops sync --push`."""
        return " ".join(("sandbox-ops", self.verb, *self._arguments_as_typed()))

    def __str__(self) -> str:
        return f"{self.purpose}: {self.command}" if self.purpose else self.command

    def _arguments_as_typed(self) -> Iterator[str]:
        for named in ("job", "run"):
            value = self.arguments.get(named) or ()
            for each in value if isinstance(value, (tuple, list)) else (value,):
                yield shlex.quote(str(each))
        for name, value in self.arguments.items():
            if name not in {"job", "run", "command"}:
                yield from _option(f"--{name.strip('_').replace('_', '-')}", value)
        if command := self.arguments.get("command"):
            yield f"-- {command}"


def _option(flag: str, value: object) -> Iterator[str]:
    if value is True:
        yield flag
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield f"{flag} {shlex.quote(f'{name}={each}')}"
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield f"{flag} {shlex.quote(str(each))}"
    elif value is not False and value is not None:
        yield f"{flag} {shlex.quote(str(value))}"


class SandboxError(Exception):
    """The root of the tree.

    Args:
        message: What failed, and where, in the user's words.
        hints: What to do next, in words or as a `NextStep`; none where nothing helps.

    Attributes:
        reason: A machine's own word for the case (`directory`), for the caller that asked
            to say more of it; "" if it gave none.
    """

    kind: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *hints: str | NextStep) -> None:
        super().__init__(message)
        self.message = message
        self.hints = tuple(hint for hint in hints if hint)
        self.reason = ""

    @property
    def hint(self) -> str:
        """The hints as text, a line each, with steps as commands to type."""
        return "\n".join(map(str, self.hints))

    @property
    def next_steps(self) -> tuple[NextStep, ...]:
        """Those of the hints that are steps."""
        return tuple(hint for hint in self.hints if isinstance(hint, NextStep))

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hints else self.message


class ConfigError(SandboxError):
    """A configuration file, variable or argument is wrong; names it."""

    kind = "config"
    exit_code = 78


class UsageError(SandboxError):
    """A verb was called with arguments it does not take."""

    kind = "usage"
    exit_code = 2


class ConnectError(SandboxError):
    """The machine cannot be reached, or refuses the connection."""

    kind = "connect"
    exit_code = 255


class AuthenticationError(ConnectError):
    """The machine is there, and accepts none of our keys or passwords."""


class HostKeyError(ConnectError):
    """The machine's host key is unknown, changed or revoked."""

    kind = "host-key"


class ConnectionLostError(ConnectError):
    """The link died and did not come back; what became of the command is unknown."""

    kind = "connection-lost"


class TimedOutError(SandboxError):
    """A deadline passed."""

    kind = "timeout"
    exit_code = 124


class NotFoundError(SandboxError):
    """There is no such job, file, directory or clone."""

    kind = "not-found"
    exit_code = 66


class RefusedError(SandboxError):
    """We will not do that as things stand; nothing was changed."""

    kind = "refused"
    exit_code = 75


class ProtocolError(SandboxError):
    """The machine answered what we do not understand."""

    kind = "protocol"
    exit_code = 76


class DeniedError(SandboxError):
    """Permission, or a foreign owner, is in the way."""

    kind = "denied"
    exit_code = 77


class CancelledError(SandboxError):
    """The caller cancelled it; what was begun is stopped or finished."""

    kind = "cancelled"
    exit_code = 130


BY_KIND: dict[str, type[SandboxError]] = {
    error.kind: error
    for error in (
        SandboxError,
        ConfigError,
        UsageError,
        ConnectError,
        HostKeyError,
        ConnectionLostError,
        TimedOutError,
        NotFoundError,
        RefusedError,
        ProtocolError,
        DeniedError,
        CancelledError,
    )
}
"""The table that a machine's answer (`error KIND`) is turned into an exception by."""
