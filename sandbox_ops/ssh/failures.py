"""Why a connection could not be made, in the user's words."""

import paramiko

from sandbox_ops.errors import ConnectError


class DroppedError(ConnectError):
    """The server hung up early, as MaxStartups makes it do: worth another try."""


def explain(
    error: Exception,
    *,
    where: str,
    host: str,
    proxy_said: str,
    early: bool,
) -> Exception:
    """Return the error to raise for what paramiko or the socket raised.

    Args:
        error: What was raised.
        where: `user@host:port`.
        host: The name the user knows the machine by.
        proxy_said: What the ProxyCommand said, "" where there is none.
        early: Whether it came sooner than a machine that hangs would take.
    """
    if isinstance(error, ConnectError):
        return error
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return ConnectError(
            f"{where} and we have no way of talking in common: {error}",
            f"It may be very old, or very strict. What it offers: ssh -vv {host} true",
        )
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
