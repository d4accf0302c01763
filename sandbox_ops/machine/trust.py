"""Trusting a machine's host keys: look, compare, add. Never silently."""

import os
from dataclasses import dataclass

from sandbox_ops.errors import HostKeyError, RefusedError
from sandbox_ops.sandbox import Sandbox
from sandbox_ops.ssh import known_hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A host key that a machine shows, and what known_hosts says of it."""

    key_type: str
    key_base64: str
    fingerprint: str
    trust: known_hosts.Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustReport:
    """What was shown, and what was added where.

    Attributes:
        added: Fingerprints that were added; empty where all were on record.
    """

    host: str
    keys: tuple[ShownKey, ...]
    added: tuple[str, ...]
    file: str

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
        }


def look(sandbox: Sandbox) -> tuple[ShownKey, ...]:
    """Return the host keys that the machine shows now. No command is sent.

    Raises:
        ConnectError: It cannot be reached.
    """
    connection = sandbox.connection
    return tuple(
        ShownKey(
            key_type=key_type,
            key_base64=key,
            fingerprint=known_hosts.fingerprint(key),
            trust=connection.host_keys.verdict(key_type, key).trust,
        )
        for key_type, key in connection.shown_keys()
    )


def add(
    sandbox: Sandbox, shown: tuple[ShownKey, ...], fingerprint: str = ""
) -> TrustReport:
    """Add the shown keys that are unknown to known_hosts.

    Args:
        sandbox: Which machine.
        shown: What `look` returned and somebody has seen.
        fingerprint: Where given, one of the keys must have it.

    Raises:
        HostKeyError: No key has the fingerprint; or a key changed or is revoked, which
            adding another line must not paper over.
        RefusedError: known_hosts cannot be written.
    """
    if fingerprint and fingerprint not in {key.fingerprint for key in shown}:
        seen = ", ".join(f"{key.key_type} {key.fingerprint}" for key in shown)
        raise HostKeyError(
            f"no host key of {sandbox.config.host} has the fingerprint {fingerprint}; "
            f"it shows {seen}. Nothing was added.",
            "Ask whoever runs the machine for its fingerprint again; do not connect.",
        )
    connection = sandbox.connection
    for key in shown:
        if key.trust in {known_hosts.Trust.CHANGED, known_hosts.Trust.REVOKED}:
            connection.host_keys.check(key.key_type, key.key_base64)
    new = [key for key in shown if key.trust is known_hosts.Trust.UNKNOWN]
    lines = [
        known_hosts.known_hosts_line(
            connection.host,
            connection.port,
            key.key_type,
            key.key_base64,
            alias=connection.host_keys.alias,
        )
        for key in new
    ]
    _append(sandbox, lines)
    return TrustReport(
        host=sandbox.config.host,
        keys=shown,
        added=tuple(key.fingerprint for key in new),
        file=str(connection.host_keys.file),
    )


def _append(sandbox: Sandbox, lines: list[str]) -> None:
    path = sandbox.connection.host_keys.file
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
            "Add the key yourself, or name another file: `known_hosts` in sandbox.toml.",
        ) from error
