"""Logging in: offer one key after the other, and say what was tried where none will do.

Nothing here asks on a terminal: an MCP server has none, and a script waits for ever.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import paramiko
from paramiko.auth_strategy import AuthSource, AuthStrategy, SourceResult

from sandbox_ops.errors import AuthenticationError
from sandbox_ops.ssh import identities
from sandbox_ops.ssh.agent import Agent
from sandbox_ops.ssh.budget import Budget
from sandbox_ops.ssh.identities import Identities, Offer
from sandbox_ops.ssh.key_files import KeyFile
from sandbox_ops.ssh.resolved_host import ResolvedHost
from sandbox_ops.ssh.transport import Transport

_ANSWER_S = 1.0
"""What a server is left to answer in when the agent has taken its time."""
_MANY = 5
"""MaxAuthTries of sshd_config(5) is 6."""


class LockedKeyError(AuthenticationError):
    """No open key was accepted, and there are keys that want a passphrase.

    Attributes:
        files: Those keys.
    """

    files: tuple[KeyFile, ...] = ()


@dataclass(slots=True)
class Keyring:
    """What logs in to one machine, and keeps what was opened for the next time.

    A connection that is made again must not ask for a passphrase again.
    """

    resolved: ResolvedHost
    opened: dict[str, paramiko.PKey] = field(default_factory=dict)
    accepted: paramiko.PKey | None = None

    @property
    def asked_a_person(self) -> bool:
        """Whether the login took a passphrase, or a touch of a security key."""
        of_hardware = self.accepted is not None and self.accepted.get_name().startswith(
            "sk-"
        )
        return bool(self.opened) or of_hardware

    def log_in(
        self, transport: Transport, user: str, where: str, within_s: float
    ) -> None:
        """Offer what there is until one is accepted.

        Raises:
            LockedKeyError: None was accepted, and some were not offered.
            AuthenticationError: None was accepted; says what was tried.
            SSHException: The connection died, or nobody answered.
        """
        ends_at = time.monotonic() + within_s
        agent = Agent(self.resolved.identity_agent, within_s - _ANSWER_S)
        try:
            gathered = identities.gather(
                self.resolved, agent.keys, self.opened, transport.allowed.user_keys
            )
            tried = _offer(transport, user, gathered.offers, ends_at)
        except paramiko.SSHException as error:
            if agent.broken:  # it took the time that the server had to answer in
                raise AuthenticationError(
                    f"authentication failed at {where}: {agent.complaint}",
                    "Answer its question in time, or end it and start another: ssh-add "
                    "-l shows whether it answers.",
                ) from error
            raise
        finally:
            agent.close()
        self.accepted = tried.key
        if not tried.accepted:
            complaints = [*filter(None, [agent.complaint]), *gathered.unused]
            raise _refused(self.resolved, where, tried, gathered, complaints)

    def unlock(self, files: Sequence[KeyFile], ask: Callable[[str], str | None]) -> str:
        """Open keys with the passphrases that are answered; say which did not open.

        Args:
            files: Which keys.
            ask: Gets a path, returns a passphrase, or None where nobody answers.
        """
        wrong = ""
        for file in files:
            passphrase = ask(file.path)
            if passphrase is None:
                continue
            key = file.open(passphrase)
            if key is not None:
                self.opened[file.path] = key
                return ""
            wrong = f"SSH_ASKPASS gave a passphrase that does not open {file.path}"
        return wrong


class Strategy(AuthStrategy):
    """What paramiko calls when the host key was checked."""

    def __init__(self, keyring: Keyring, user: str, where: str, budget: Budget) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self._keyring = keyring
        self._user = user
        self._where = where
        self._budget = budget

    def authenticate(self, transport: Transport) -> list[SourceResult]:  # type: ignore[override]  # we made it
        """Log in, or say why not; see `Keyring.log_in`."""
        left_s = self._budget.left_s
        self._keyring.log_in(transport, self._user, self._where, left_s)
        return []

    def get_sources(self) -> Iterator[AuthSource]:
        """Nothing: the order depends on what the server answers."""
        return iter(())


@dataclass(slots=True)
class _Tried:
    """How far we came: what was tried, and what the server would take."""

    accepted: bool = False
    key: paramiko.PKey | None = None
    keys: list[str] = field(default_factory=list)
    methods: tuple[str, ...] = ()


def _offer(
    transport: paramiko.Transport, user: str, offers: Sequence[Offer], ends_at: float
) -> _Tried:
    tried = _Tried()
    for offer in offers:
        transport.auth_timeout = max(_ANSWER_S / 2, ends_at - time.monotonic())
        _try(
            tried,
            transport,
            functools.partial(transport.auth_publickey, user, offer.key),
            offer.description,
        )
        if tried.accepted:
            tried.key = offer.key
        if tried.accepted or not transport.is_active() or _no_keys(tried):
            return tried
    # some servers accept everybody who got so far, by the network's own identity
    _try(tried, transport, functools.partial(transport.auth_none, user), "")
    return tried


def _no_keys(tried: _Tried) -> bool:
    return bool(tried.methods) and "publickey" not in tried.methods


def _try(
    tried: _Tried,
    transport: paramiko.Transport,
    attempt: Callable[[], Sequence[str]],
    description: str,
) -> None:
    try:
        more = tuple(attempt())
    except paramiko.BadAuthenticationType as error:
        tried.methods = tried.methods or tuple(error.allowed_types)
    except paramiko.SSHException as error:
        _raise_if_gone(transport, error, len(tried.keys))
        tried.keys += filter(None, [description])
    else:
        tried.accepted, tried.methods = not more, more
        if more:
            tried.keys.append(f"{description} (which is right, and not enough)")


def _raise_if_gone(
    transport: paramiko.Transport, error: paramiko.SSHException, tried: int
) -> None:
    """Tell a refused key from a server that is gone, or frozen."""
    if "timeout" in str(error).lower():
        raise paramiko.SSHException("nothing came back to our key") from error
    if not transport.is_active() and tried < _MANY:
        raise paramiko.SSHException("it hung up while we logged in") from error


def _refused(
    resolved: ResolvedHost,
    where: str,
    tried: _Tried,
    identities_tried: Identities,
    complaints: list[str],
) -> AuthenticationError:
    locked = [f"{file.path} (which is encrypted)" for file in identities_tried.locked]
    reason = (
        f"authentication failed at {where}: tried {', '.join(tried.keys) or 'no key'}"
    )
    if locked:
        reason += f"; not tried {', '.join(locked)}"
    reason += "".join(f"; {complaint}" for complaint in complaints)
    if locked:
        error = LockedKeyError(
            reason,
            "Put the key into the agent: ssh-add. Or name a program that asks: "
            "SSH_ASKPASS.",
        )
        error.files = identities_tried.locked
        return error
    more, advice = _advice(resolved.alias, tried, identities_tried.cures)
    return AuthenticationError(reason + more, advice)


def _advice(alias: str, tried: _Tried, cures: Sequence[str]) -> tuple[str, str]:
    """What else is known of the refusal, and what to do about it."""
    if _no_keys(tried):
        return (
            f"; it wants {' or '.join(tried.methods)}, and we never ask for a password",
            f"Let it take a key alone. See what it says: ssh -v {alias} true",
        )
    if len(tried.keys) >= _MANY:
        return (
            "; most servers hang up after six keys",
            (
                f"Name the right one for Host {alias} in ssh_config: "
                "IdentityFile FILE, and IdentitiesOnly yes."
            ),
        )
    if not tried.keys and cures:
        return "", f"Close it to others: {' && '.join(cures)}"
    if not tried.keys:
        return (
            "",
            (
                f"Name a key that is there: IdentityFile for Host {alias} in ssh_config,"
                " `identity_file` in your own config.toml, or SSH_KEY_PATH. Or put one"
                " into the agent: ssh-add FILE"
            ),
        )
    return (
        "",
        f"Is your public key in its ~/.ssh/authorized_keys? Try: ssh {alias} true",
    )
