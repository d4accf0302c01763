"""Why a connection could not be made, in the user's words.

Tells the network from the machine, an SSH server from something else that listens, and
a server that drops new clients from one with which no algorithm is shared.
"""

import errno
from dataclasses import dataclass

import paramiko

from sandbox_ops.errors import ConnectError
from sandbox_ops.ssh.algorithms import Mismatch


class DroppedError(ConnectError):
    """The server hung up early, as MaxStartups makes it do: worth another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is known of an attempt to connect that failed.

    Attributes:
        where: `user@host:port`.
        host: The name the user knows the machine by.
        proxy_complaint: What the ProxyCommand said, "" where there is none.
        early: Whether it failed sooner than a machine that hangs would take.
        unacknowledged: Whether bytes that we sent never arrived; None: not known.
        jump_host: The host that carries the bytes, "" where none does.
        first_line: What the server said first, "" where nothing.
        mismatches: The kinds of algorithms of which nothing is shared.
    """

    where: str
    host: str
    proxy_complaint: str = ""
    early: bool = False
    unacknowledged: bool | None = None
    jump_host: str = ""
    first_line: str = ""
    mismatches: tuple[Mismatch, ...] = ()


def explain(error: Exception, attempt: Attempt) -> Exception:
    """Return the error to raise for what paramiko or the socket raised."""
    known = (ConnectError, EOFError, OSError, paramiko.SSHException)
    if isinstance(error, ConnectError) or not isinstance(error, known):
        return error
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return _incompatible(error, attempt)
    if attempt.proxy_complaint:
        return ConnectError(
            f"cannot reach {attempt.where}: {attempt.proxy_complaint}",
            f"Try it by hand: ssh {attempt.host} true",
        )
    if not attempt.first_line.startswith(("SSH-", *_SSHD_DROPS)) and attempt.first_line:
        return ConnectError(
            f"{attempt.where} is not an SSH server: it answered "
            f"{attempt.first_line.strip()[:80]!r}",
            "Is the port right? SSH_PORT, `port` of the sandbox, or Port in ssh_config.",
        )
    return _ended(error, attempt)


def _ended(error: Exception, attempt: Attempt) -> ConnectError:
    """The link ended, or nothing came any more."""
    if getattr(error, "errno", None) in _NETWORK_ERRORS:
        return _network(attempt)
    if attempt.early:
        return DroppedError(
            f"{attempt.where} closed the connection before it was open: "
            f"{_plain(error, attempt.first_line)}",
            "Is it an SSH server? It may be starting, or refusing new clients "
            "(MaxStartups).",
        )
    return _silent(attempt)


def _silent(attempt: Attempt) -> ConnectError:
    """Nothing came any more: tell whose fault it is, as far as that can be known."""
    where = attempt.where
    if attempt.jump_host:
        return ConnectError(
            f"{where} did not answer through the jump host {attempt.jump_host}",
            f"Is it running? Try it there: ssh {attempt.jump_host}",
        )
    if attempt.unacknowledged:
        return _network(attempt)
    if attempt.unacknowledged is None:
        return ConnectError(
            f"{where} accepted the connection, then did not answer",
            "The machine is frozen or overloaded, or the network lost it (VPN, "
            "firewall): look at its console.",
        )
    return ConnectError(
        f"{where} accepted the connection, then did not answer",
        "The machine is frozen or overloaded (its kernel still takes what we send): "
        "look at its console.",
    )


_NETWORK_ERRORS = {
    errno.ETIMEDOUT,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
}


def _network(attempt: Attempt) -> ConnectError:
    return ConnectError(
        f"the network to {attempt.where} no longer carries data: what we sent after "
        "the connection was made never arrived",
        "Is the VPN up, does a firewall or a link with a smaller MTU stand in between? "
        "The machine itself may be well.",
    )


_KINDS_OF_SERVERS = ("KexAlgorithms", "Ciphers", "MACs")


def _incompatible(error: Exception, attempt: Attempt) -> ConnectError:
    if not attempt.mismatches:
        return ConnectError(
            f"{attempt.where} speaks another version of the protocol: {error}",
            f"It may be very old. What it offers: ssh -vv {attempt.host} true",
        )
    shown = "; ".join(map(str, attempt.mismatches))
    first = attempt.mismatches[0]
    if first.directive in _KINDS_OF_SERVERS:
        way = (
            f"Let the server offer one of ours too, in its sshd_config:\n"
            f"{first.directive} +{first.ours[0]}"
        )
    else:
        way = "Give the server a host key of one of these types: there, sudo ssh-keygen -A."
    return ConnectError(
        f"{attempt.where} and we have no algorithm in common. {shown}",
        f"{way}\nIf ssh_config names {first.directive} for it, allow one that the server "
        f"offers.\nWhat ssh itself can do with it: ssh {attempt.host}",
    )


_SSHD_DROPS = ("Exceeded MaxStartups", "Not allowed at this time")
"""What sshd says to a client that it drops before its banner."""


def _plain(error: Exception, first_line: str) -> str:
    """Return paramiko's words for it, without those that only it understands."""
    text = str(error).removeprefix("Error reading SSH protocol banner").strip()
    if first_line.startswith(_SSHD_DROPS):
        text = first_line.strip()
    return text or "it said nothing"
