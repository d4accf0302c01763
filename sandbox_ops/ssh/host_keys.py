"""Host keys on a connection: what is on record, what the machine shows."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import certificates, known_hosts
from sandbox_ops.ssh.openssh_config import ResolvedHost
from sandbox_ops.ssh.runner import Transport

_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


def on_record(resolved: ResolvedHost) -> tuple[known_hosts.Entry, ...]:
    """Return the lines of every known_hosts file that counts for the machine."""
    entries: list[known_hosts.Entry] = []
    for name in (*resolved.user_known_hosts_files, *resolved.global_known_hosts_files):
        path = Path(name).expanduser()
        with contextlib.suppress(OSError):
            entries += known_hosts.read(path.read_text("utf-8", "replace"), str(path))
    return tuple(entries)


@dataclass(frozen=True, slots=True)
class HostKeys:
    """What known_hosts says of one machine.

    Attributes:
        config: How the machine is called by its users.
        resolved: Where it is, and which files count.
        trusted: The lines of these files.
    """

    config: SandboxConfig
    resolved: ResolvedHost
    trusted: tuple[known_hosts.Entry, ...]

    @classmethod
    def of(cls, config: SandboxConfig, resolved: ResolvedHost) -> "HostKeys":
        """Read the files."""
        return cls(config, resolved, on_record(resolved))

    def verdict(self, key_type: str, key_base64: str) -> known_hosts.Verdict:
        """Say what known_hosts holds against a key, or for it."""
        return known_hosts.check(
            self.trusted, self.resolved.hostname, self.resolved.port,
            key_type, key_base64, alias=self.alias,
        )  # fmt: skip

    def check(self, key_type: str, key_base64: str, certificate: bytes = b"") -> None:
        """Refuse a key that known_hosts does not vouch for.

        Args:
            key_type: Of the plain key.
            key_base64: It.
            certificate: What an authority says of it, if the machine showed that. One
                that does not count is as none: then the plain key decides.

        Raises:
            HostKeyError: Unknown, changed or revoked.
        """
        verdict = self.verdict(key_type, key_base64)
        why = ""
        if certificate and verdict.trust is not known_hosts.Trust.REVOKED:
            name = self.alias or self.resolved.hostname
            good, why = certificates.vouched(certificate, self.authorities, name)
            if good:
                return
        if not verdict.ok:
            raise known_hosts.refusal(
                verdict,
                machine=self.config.host,
                trust_command=f"sandbox-ops trust --sandbox {self.config.name}",
                certificate=why,
            )

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """The keys of those that may vouch for the machine by a certificate."""
        return known_hosts.authorities(
            self.trusted, self.resolved.hostname, self.resolved.port, alias=self.alias
        )

    def prefer_known(self, transport: Transport) -> None:
        """Ask for a certificate if an authority is on record, then for types that are."""
        known = known_hosts.key_types_known(
            self.trusted, self.resolved.hostname, self.resolved.port, alias=self.alias
        )
        prefer(transport, known)
        transport.certificates_first = bool(self.authorities)

    @property
    def file(self) -> Path:
        """The known_hosts file that a trusted key is added to."""
        return Path(self.resolved.user_known_hosts_files[0]).expanduser()

    @property
    def alias(self) -> str:
        """HostKeyAlias of ssh_config(5), or ""."""
        return self.resolved.host_key_alias


def prefer(transport: Transport, types: tuple[str, ...]) -> None:
    """Ask for these key types first.

    A machine that shows a type which is not on record cannot be told from an impostor.
    """
    wanted = [each for key in types for each in (_RSA if key == "ssh-rsa" else (key,))]
    options = transport.get_security_options()
    first = [each for each in wanted if each in options.key_types]
    rest = [each for each in options.key_types if each not in first]
    options.key_types = first + rest


def shown(sock: Any, key_type: str, timeout_s: float) -> tuple[str, str] | None:  # noqa: ANN401
    """Return type and base64 of the key of that type which a machine shows, if any.

    Nothing is sent besides the key exchange: no user name, no command.
    """
    transport = Transport(sock)
    transport.banner_timeout = timeout_s
    try:
        prefer(transport, (key_type,))
        transport.start_client(timeout=timeout_s)
        key = transport.get_remote_server_key()
        return key.get_name(), key.get_base64()
    except (paramiko.SSHException, EOFError, OSError):
        return None
    finally:
        transport.close()


class CheckedPolicy(paramiko.MissingHostKeyPolicy):
    """Asks our reader of known_hosts; paramiko's own raises on lines it cannot read."""

    def __init__(self, check: Callable[[str, str, bytes], None]) -> None:
        self._check = check

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Refuse the key if known_hosts does not vouch for it."""
        del client, hostname
        shown = getattr(key, "public_blob", None)  # where it came with a certificate
        certificate = shown.key_blob if shown is not None else b""
        self._check(key.get_name(), key.get_base64(), certificate)
