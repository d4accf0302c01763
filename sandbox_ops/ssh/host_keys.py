"""Host keys on a connection: what is on record, and whether a key that is shown counts."""

import base64
import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import paramiko

from sandbox_ops.errors import HostKeyError, NextStep
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import (
    algorithms,
    certificates,
    host_key_check,
    key_files,
    known_hosts,
    revoked_keys,
)
from sandbox_ops.ssh.resolved_host import ResolvedHost


def own_file() -> Path:
    """Return the known_hosts file of ours, for where ssh_config names none that keeps."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "sandbox-ops" / "known_hosts"


def _keeps_lines(path: Path) -> bool:
    """Whether what is added to a file can be read again: not so for /dev/null."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # it is not there yet


@dataclass(frozen=True, slots=True)
class HostKeys:
    """What known_hosts says of one machine. Files are read when they are asked about.

    Attributes:
        config: How the machine is called by its users.
        resolved: Where it is, and which files count.
        is_hop: Whether it is on the way to the machine that `config` names.
    """

    config: SandboxConfig
    resolved: ResolvedHost
    is_hop: bool = False

    @property
    def file(self) -> Path:
        """The known_hosts file that a trusted key is added to.

        The first of ssh_config that keeps what is written to it. Where there is none
        (`UserKnownHostsFile /dev/null`, or `none`) it is `own_file`.
        """
        files = (Path(f).expanduser() for f in self.resolved.user_known_hosts_files)
        return next(filter(_keeps_lines, files), own_file())

    @property
    def entries(self) -> tuple[known_hosts.Entry, ...]:
        """The lines of every known_hosts file that counts for the machine."""
        users = tuple(self.resolved.user_known_hosts_files)
        if self.file == own_file():
            users = (*users, str(own_file()))
        entries: list[known_hosts.Entry] = []
        for name in (*users, *self.resolved.global_known_hosts_files):
            path = Path(name).expanduser()
            if not _keeps_lines(path):  # a FIFO would wait, /dev/zero never end
                continue
            with contextlib.suppress(OSError):
                text = path.read_text("utf-8", "replace")
                entries += known_hosts.read(text, str(path))
        return tuple(entries)

    @property
    def machine(self) -> str:
        """The machine in the user's words."""
        name = self.config.host
        return f"the jump host {name}" if self.is_hop else name

    @property
    def alias(self) -> str:
        """HostKeyAlias of ssh_config(5), or ""."""
        return self.resolved.host_key_alias

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """The keys of those whose certificates count for the machine."""
        return host_key_check.authorities(
            self.entries, self.resolved.hostname, self.resolved.port, alias=self.alias
        )

    def verdict(
        self, key_type: str, key_base64: str, certificate: bytes = b""
    ) -> host_key_check.Verdict:
        """Say what known_hosts holds against a key, or for it."""
        return self._judge(key_type, key_base64, certificate)[0]

    def check(self, key_type: str, key_base64: str, certificate: bytes = b"") -> None:
        """Refuse a key that known_hosts does not name.

        Args:
            key_type: Of the plain key.
            key_base64: It.
            certificate: What an authority says of it, if the machine showed that. One
                that does not count is as none: then the plain key decides.

        Raises:
            HostKeyError: Unknown, changed, revoked, or an RSA key that is too short.
        """
        self.refuse_bad(key_type, key_base64, certificate)
        verdict, objection = self._judge(key_type, key_base64, certificate)
        if not verdict.ok:
            raise host_key_check.refusal(
                verdict,
                machine=self.machine,
                trust=NextStep("trust", {"sandbox": self.config.name}),
                certificate=objection,
            )

    def refuse_bad(
        self, key_type: str, key_base64: str, certificate: bytes = b""
    ) -> None:
        """Refuse a key that nobody may trust: revoked by ssh_config, or too short.

        Raises:
            HostKeyError: It is one of these.
        """
        blob = base64.b64decode(key_base64)
        shown = [(key_type, blob)]
        if certificate:
            shown.append((key_files.key_type(certificate), certificate))
            with contextlib.suppress(ValueError):
                authority = certificates.read(certificate).authority
                shown.append((key_files.key_type(authority), authority))
        files = self.resolved.revoked_host_keys_files
        revoked_keys.refuse_revoked(files, shown, machine=self.machine)
        bits, least = key_files.rsa_bits(blob), self.resolved.required_rsa_bits
        if 0 < bits < least:
            raise HostKeyError(
                f"{self.machine} showed an RSA host key of {bits} bits, and "
                f"RequiredRSASize of ssh_config is {least}. Nothing was sent.",
                "Give the machine a longer key or one of another type: there, sudo "
                "ssh-keygen -A",
            )

    def _judge(
        self, key_type: str, key_base64: str, certificate: bytes
    ) -> tuple[host_key_check.Verdict, str]:
        """Return the verdict, and why the certificate, if any, does not count."""
        verdict = host_key_check.check(
            self.entries, self.resolved.hostname, self.resolved.port,
            key_type, key_base64, alias=self.alias,
        )  # fmt: skip
        if not certificate or verdict.trust is host_key_check.Trust.REVOKED:
            return verdict, ""
        counts, objection = certificates.verify_certificate(
            certificate, self.authorities, self.alias or self.resolved.hostname
        )
        return (verdict.trusted() if counts else verdict), objection

    def order(self, host_keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return which of the allowed algorithms to ask the machine for, and in order."""
        known = host_key_check.key_types_known(
            self.entries, self.resolved.hostname, self.resolved.port, alias=self.alias
        )
        return algorithms.host_key_order(
            host_keys, known, certificates=bool(self.authorities)
        )


class CheckedPolicy(paramiko.MissingHostKeyPolicy):
    """Asks our reader of known_hosts; paramiko's own raises on lines it cannot read."""

    def __init__(self, check: Callable[[str, str, bytes], None]) -> None:
        self._check = check

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Refuse the key if known_hosts does not name it."""
        del client, hostname
        self._check(key.get_name(), key.get_base64(), certificate_of(key))


def certificate_of(key: paramiko.PKey) -> bytes:
    """Return the certificate that a key came with; empty where with none."""
    shown = getattr(key, "public_blob", None)
    return shown.key_blob if shown is not None else b""
