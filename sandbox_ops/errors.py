"""Every error of the product, as one tree, each with its kind and exit code.

The library raises; a face (command line, MCP) translates, by this table alone::

    SandboxError              internal         70   our bug
    |- ConfigError            config           78   EX_CONFIG
    |- UsageError             usage             2
    |- ConnectError           connect         255   unreachable, or not let in
    |  |- HostKeyError        host-key        255
    |  `- ConnectionLostError connection-lost 255   the outcome is unknown
    |- TimedOutError          timeout         124   as timeout(1)
    |- NotFoundError          not-found        66   EX_NOINPUT
    |- RefusedError           refused          75   EX_TEMPFAIL: change something, try again
    |- ProtocolError          protocol         76   EX_PROTOCOL
    `- DeniedError            denied           77   EX_NOPERM

A message says what failed and where; the hint says what to do next.
The numbers are those of sysexits.h, ssh(1) and timeout(1).
"""

from typing import ClassVar


class SandboxError(Exception):
    """The root of the tree.

    Args:
        message: What failed, and where, in the user's words.
        hint: The next step, often a command to type. Empty when there is none.
    """

    kind: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(SandboxError):
    """A configuration file, variable or argument is wrong; names it."""

    kind = "config"
    exit_code = 78


class UsageError(SandboxError):
    """A verb was called with arguments it does not take."""

    kind = "usage"
    exit_code = 2


class ConnectError(SandboxError):
    """The machine cannot be reached, or does not let us in."""

    kind = "connect"
    exit_code = 255


class HostKeyError(ConnectError):
    """The machine's host key is unknown, changed or revoked."""

    kind = "host-key"


class ConnectionLostError(ConnectError):
    """The link died and could not be healed; what became of the command is unknown."""

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
    """Permission, a foreign owner, or a read-only mode is in the way."""

    kind = "denied"
    exit_code = 77


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
    )
}
"""The table that a machine's answer (`error KIND`) is turned into an exception by."""
