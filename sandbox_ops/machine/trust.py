"""Trusting a machine's host key: look, compare, add. Never silently.

One look is one connection and one key, and only the key whose fingerprint was confirmed
is added. The machine's other keys are added where the connection whose key was confirmed
proves that it has them. Jump hosts on the way come first, each with its own question.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sandbox_ops.errors import ConnectError, HostKeyError, RefusedError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.ssh import known_hosts
from sandbox_ops.ssh.connection import SandboxConnection
from sandbox_ops.ssh.host_key_check import Trust
from sandbox_ops.ssh.shown_keys import (
    HostKey,
    look,
    look_at_each_type,
    machines_on_the_way,
    prove,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A host key that a machine shows, and what known_hosts says of it.

    Attributes:
        machine: In the user's words: a host, or `the jump host NAME`.
        sandbox: The name of the sandbox that it is, or is on the way to.
    """

    machine: str
    sandbox: str
    key_type: str
    key_base64: str
    fingerprint: str
    trust: Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustReport:
    """What a machine showed and proved, and what was added where.

    Attributes:
        added: Fingerprints that were added; empty where all were on record.
        jump_hosts: The same of each machine on the way.
    """

    host: str
    keys: tuple[ShownKey, ...]
    added: tuple[str, ...]
    file: str
    jump_hosts: tuple["TrustReport", ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        """The report as `trust --json` shows it."""
        return {
            "host": self.host,
            "keys": [
                {
                    "type": k.key_type,
                    "fingerprint": k.fingerprint,
                    "trust": str(k.trust),
                }
                for k in self.keys
            ],
            "added": list(self.added),
            "file": self.file,
            "jump_hosts": [hop.as_json() for hop in self.jump_hosts],
        }


def trust(
    sandbox: Sandbox, agree: Callable[[ShownKey], None], *, fingerprint: str = ""
) -> TrustReport:
    """Add the host key of a machine, and of each jump host before it, once confirmed.

    Args:
        sandbox: Which machine.
        agree: Gets each key that is not known and was not confirmed by `fingerprint`;
            raises to refuse it.
        fingerprint: Of the first unknown key on the way: confirms it, and that one only.

    Raises:
        HostKeyError: No key of that machine has the fingerprint; or a key changed or is
            revoked, which adding another line must not paper over.
        RefusedError: known_hosts or the audit log cannot be written.
        DeniedError: The machine's mode does not allow it.
        ConnectError: A machine cannot be reached.
    """
    reports: list[TrustReport] = []
    unused = fingerprint
    for connection in machines_on_the_way(sandbox.ssh):
        report, used = _trust_one(sandbox, connection, agree, unused)
        unused = "" if used else unused
        reports.append(report)
    *before, last = reports
    seen = {key.fingerprint for report in reports for key in report.keys}
    if unused and unused not in seen:  # all were known: say that this is none of them
        _with_fingerprint(sandbox.ssh, last.keys[0], unused)
    return TrustReport(
        host=last.host,
        keys=last.keys,
        added=last.added,
        file=last.file,
        jump_hosts=tuple(before),
    )


def _trust_one(
    sandbox: Sandbox,
    connection: SandboxConnection,
    agree: Callable[[ShownKey], None],
    fingerprint: str,
) -> tuple[TrustReport, bool]:
    """Trust one machine; also say whether the fingerprint was needed for it."""
    name = sandbox.config.name
    shown = _shown_key(connection, name, look(connection))
    added: list[str] = []
    keys = [shown]
    if shown.trust is not Trust.TRUSTED:
        with sandbox.acting("trust", f"{shown.machine} {shown.fingerprint}"):
            if fingerprint:
                keys = [_with_fingerprint(connection, shown, fingerprint)]
            _refuse_bad(connection, keys[0])
            if not fingerprint:
                agree(shown)
            added += _add(connection, keys)
            proven = _proven(connection, name, keys[0])
            added += _add(connection, proven)
            keys += proven
    report = TrustReport(
        host=connection.route.config.host,
        keys=tuple(keys),
        added=tuple(added),
        file=str(connection.host_keys.file),
    )
    return report, bool(added)


def _shown_key(connection: SandboxConnection, name: str, key: HostKey) -> ShownKey:
    verdict = connection.host_keys.verdict(
        key.key_type, key.key_base64, key.certificate
    )
    return ShownKey(
        machine=connection.host_keys.machine,
        sandbox=name,
        key_type=key.key_type,
        key_base64=key.key_base64,
        fingerprint=verdict.fingerprint,
        trust=verdict.trust,
    )


def _with_fingerprint(
    connection: SandboxConnection, shown: ShownKey, fingerprint: str
) -> ShownKey:
    """Return the key that has the fingerprint: the one shown, or one of another type."""
    if shown.fingerprint == fingerprint:
        return shown
    seen = {shown.fingerprint: shown}
    for key in look_at_each_type(connection):
        each = _shown_key(connection, shown.sandbox, key)
        if each.fingerprint == fingerprint:
            return each
        seen[each.fingerprint] = each
    listed = ", ".join(f"{key.key_type} {key.fingerprint}" for key in seen.values())
    raise HostKeyError(
        f"no host key of {shown.machine} has the fingerprint {fingerprint}; it shows "
        f"{listed}. Nothing was added.",
        "Ask the machine's administrator for its fingerprint again; do not connect.",
    )


def _refuse_bad(connection: SandboxConnection, key: ShownKey) -> None:
    """Refuse what no confirmation makes good: changed, revoked, too short."""
    connection.host_keys.refuse_bad(key.key_type, key.key_base64)
    if key.trust in {Trust.CHANGED, Trust.REVOKED}:
        connection.host_keys.check(key.key_type, key.key_base64)


def _proven(
    connection: SandboxConnection, name: str, confirmed: ShownKey
) -> list[ShownKey]:
    """Return the other keys that the machine proves, over a connection to the confirmed.

    Where nobody may log in yet there are none: the confirmed key is enough to connect.

    Raises:
        HostKeyError: Somebody else answered than the machine that was confirmed.
    """
    try:
        keys = [_shown_key(connection, name, key) for key in prove(connection)]
    except HostKeyError:
        raise
    except ConnectError:
        return []
    # beside the confirmed key any other is a "changed" one to known_hosts
    return [
        key if key.trust is Trust.TRUSTED else replace(key, trust=Trust.UNKNOWN)
        for key in keys
        if key.fingerprint != confirmed.fingerprint and key.trust is not Trust.REVOKED
    ]


def _add(connection: SandboxConnection, keys: list[ShownKey]) -> list[str]:
    """Write a line for each key that is not on record; return their fingerprints."""
    new = [key for key in keys if key.trust is not Trust.TRUSTED]
    hashed = connection.host_keys.resolved.hash_known_hosts
    lines = [
        known_hosts.known_hosts_line(
            connection.host,
            connection.port,
            key.key_type,
            key.key_base64,
            alias=connection.host_keys.alias,
            salt=os.urandom(20) if hashed else b"",
        )
        for key in new
    ]
    if lines:
        _append(connection, lines)
    return [key.fingerprint for key in new]


def _append(connection: SandboxConnection, lines: list[str]) -> None:
    path = connection.host_keys.file
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a+b") as file:
            file.seek(0)
            whole = file.read()
            gap = b"" if not whole or whole.endswith(b"\n") else b"\n"
            file.write(gap + "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise RefusedError(
            f"cannot write {path}: {error.strerror}",
            "Add the key yourself, or name another file: UserKnownHostsFile in your "
            "ssh_config.",
        ) from error
