"""Why a connection could not be made, in the user's words."""

import paramiko

from sandbox_ops.errors import ConnectError


class DroppedError(ConnectError):
    """The server hung up early, as MaxStartups makes it do: worth another try."""


class LockedKeyError(ConnectError):
    """A key is encrypted, and its passphrase is not known yet."""


def explain(
    error: Exception,
    *,
    where: str,
    host: str,
    tried: str,
    proxy_said: str,
    early: bool,
) -> Exception:
    """Return the error to raise for what paramiko or the socket raised.

    Args:
        error: What was raised.
        where: `user@host:port`.
        host: The name the user knows the machine by.
        tried: Which keys were offered.
        proxy_said: What the ProxyCommand said, "" where there is none.
        early: Whether it came sooner than a machine that hangs would take.
    """
    if isinstance(error, ConnectError):
        return error
    nothing = "No authentication methods available"  # paramiko's, without a key at all
    if isinstance(error, paramiko.AuthenticationException) or nothing in str(error):
        return _not_let_in(error, where, host, tried)
    if proxy_said:
        return ConnectError(
            f"cannot reach {where}: {proxy_said}", f"Try it by hand: ssh {host} true"
        )
    if not isinstance(error, EOFError | OSError | paramiko.SSHException):
        return error
    if early:
        return DroppedError(
            f"{where} ended the connection before it was open: {error}",
            "Is it an SSH server? It may be starting, or refusing new clients.",
        )
    return ConnectError(
        f"{where} accepted the connection, then did not answer: {error}",
        "The machine is frozen or overloaded: look at its console.",
    )


def _not_let_in(error: Exception, where: str, host: str, tried: str) -> ConnectError:
    if isinstance(error, paramiko.PasswordRequiredException):
        return LockedKeyError(
            f"{where} does not let us in: a key is encrypted; tried {tried}",
            "Put it into the agent: ssh-add. Or name a program that asks: SSH_ASKPASS.",
        )
    return ConnectError(
        f"{where} does not let us in: tried {tried}",
        f"Is your public key in its ~/.ssh/authorized_keys? Try: ssh {host} true",
    )
