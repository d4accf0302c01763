"""What known_hosts says of a host key that a machine showed: a verdict, and the refusal.

Pure: lines of known_hosts (`known_hosts.Entry`) and a key in, a value or an error out.
What an authority (`@cert-authority`) certifies is checked where the connection is.
"""

import dataclasses
import enum
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox_ops.errors import HostKeyError, NextStep
from sandbox_ops.ssh import known_hosts
from sandbox_ops.ssh.known_hosts import AUTHORITY, REVOKED, Entry


class Trust(enum.StrEnum):
    """What the known_hosts files say of a key that a machine showed."""

    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the check of one host key.

    Attributes:
        name: The name that was looked for: `host`, `[host]:port` or the alias.
        fingerprint: Of the key that the machine showed.
        file: Where the line stands that decided it; "" where none did.
        line: Its number, from 1; 0 where there is none.
        expected_type: The type of the key that is on record, where it changed.
        expected_fingerprint: Its fingerprint.
        authority: `FILE:LINE` of an authority whose certificate would do.
    """

    trust: Trust
    name: str
    key_type: str
    fingerprint: str
    file: str = ""
    line: int = 0
    expected_type: str = ""
    expected_fingerprint: str = ""
    authority: str = ""

    @property
    def ok(self) -> bool:
        """Whether the machine may be spoken to."""
        return self.trust is Trust.TRUSTED

    def trusted(self) -> "Verdict":
        """Return the same of a key that a certificate speaks for."""
        return dataclasses.replace(self, trust=Trust.TRUSTED, authority="")


def check(
    entries: Iterable[Entry],
    host: str,
    port: int,
    key_type: str,
    key_base64: str,
    *,
    alias: str = "",
) -> Verdict:
    """Decide whether a key that a machine showed is the one on record.

    `entries` are those of all files, the first file first; `alias` (HostKeyAlias)
    stands for host and port. As OpenSSH does: a revoked key is refused wherever else it
    is listed; any other key on record for the name makes it `CHANGED`; where nothing is
    on record for `[host]:port`, the same key on record for `host` is good.

    Raises:
        ValueError: The key is not base64.
    """
    blob = known_hosts.decoded(key_base64)
    name = known_hosts.lookup_name(host, port, alias)
    entries = tuple(entries)
    named = [entry for entry in entries if known_hosts.names(entry, name)]
    bare = known_hosts.lookup_name(host, known_hosts.SSH_PORT, alias)

    def of_host(entry: Entry) -> bool:
        return known_hosts.names(entry, name) or known_hosts.names(entry, bare)

    same = [entry for entry in entries if entry.blob == blob and of_host(entry)]
    trust, line = _decide(named, same, key_type)
    changed = line if trust is Trust.CHANGED else None
    authorities = (e for e in entries if e.marker == AUTHORITY and of_host(e))
    authority = next((f"{e.file}:{e.line}" for e in authorities), "")
    return Verdict(
        trust=trust,
        name=name,
        key_type=key_type,
        fingerprint=known_hosts.fingerprint_of(blob),
        file=line.file if line else "",
        line=line.line if line else 0,
        expected_type=changed.key_type if changed else "",
        expected_fingerprint=known_hosts.fingerprint_of(changed.blob)
        if changed
        else "",
        authority=authority if trust is Trust.UNKNOWN else "",
    )


def _decide(
    named: list[Entry], same: list[Entry], key_type: str
) -> tuple[Trust, Entry | None]:
    """Decide by the entries for the name, and those for name or host with the key."""
    on_record = [entry for entry in named if not entry.marker]
    for entry in same:
        if entry.marker == REVOKED:
            return Trust.REVOKED, entry
    for entry in same:
        if not entry.marker and (entry in on_record or not on_record):
            return Trust.TRUSTED, entry
    if not on_record:
        return Trust.UNKNOWN, None
    # A key of the same type tells a reader more than one of another type.
    return Trust.CHANGED, min(on_record, key=lambda e: e.key_type != key_type)


def authorities(
    entries: Iterable[Entry], host: str, port: int, *, alias: str = ""
) -> tuple[bytes, ...]:
    """Return the keys of those whose certificates count for the machine, without revoked ones."""
    names = (
        known_hosts.lookup_name(host, port, alias),
        known_hosts.lookup_name(host, known_hosts.SSH_PORT, alias),
    )
    named = [e for e in entries if any(known_hosts.names(e, name) for name in names)]
    revoked = {entry.blob for entry in named if entry.marker == REVOKED}
    blobs = (entry.blob for entry in named if entry.marker == AUTHORITY)
    return tuple(blob for blob in blobs if blob not in revoked)


def refusal(
    verdict: Verdict, *, machine: str, trust: NextStep, certificate: str = ""
) -> HostKeyError:
    """Return the error for a key that is not trusted, with what to do about it.

    Args:
        verdict: What the check said.
        machine: The machine in the user's words.
        trust: The step that shows the key and trusts it.
        certificate: Why the certificate that it showed, if any, does not count.
    """
    shown = f"{verdict.key_type} {verdict.fingerprint}"
    place = f"{verdict.file}:{verdict.line}"
    if verdict.trust is Trust.REVOKED:
        return HostKeyError(
            f"{machine} showed a host key that is revoked at {place}: {shown}. "
            "Nothing was sent.",
            "Do not connect: the key is known to be stolen. Ask the "
            "administrator of the machine for its new key.",
        )
    if verdict.trust is Trust.CHANGED:
        return HostKeyError(
            f"the host key of {machine} changed: it showed {shown}, and {place} says "
            f"{verdict.expected_type} {verdict.expected_fingerprint} for "
            f"{verdict.name}. Nothing was sent.",
            "Somebody may stand between you and the machine. If you know that it was "
            "reinstalled, forget the old key and look at the new one:\n"
            f"    ssh-keygen -R {shlex.quote(verdict.name)} "
            f"-f {shlex.quote(verdict.file)}",
            trust,
        )
    return HostKeyError(
        f"the host key of {machine} is not known: it showed {shown}, and no "
        f"known_hosts file names {verdict.name}.{_authority(verdict, certificate)} "
        "Nothing was sent.",
        dataclasses.replace(
            trust,
            purpose="Compare the fingerprint with the machine's own, and trust it",
        ),
    )


def _authority(verdict: Verdict, certificate: str) -> str:
    """Say why an authority on record did not help; "" where there is none."""
    if not verdict.authority:
        return ""
    if not certificate:
        why = "it showed no certificate"
    else:
        why = f"of its certificate: {certificate}"
    return f" {verdict.authority} trusts an authority for it, but {why}."


def key_types_known(
    entries: Iterable[Entry], host: str, port: int, *, alias: str = ""
) -> tuple[str, ...]:
    """Return the types of the keys on record, in their order, each once.

    A client asks for these first: a machine that shows a type which is not on record
    cannot be told from an impostor. `ssh-rsa` stands for the key: its signatures may
    be rsa-sha2-512 or rsa-sha2-256.
    """
    entries = [entry for entry in entries if not entry.marker]
    for name in (
        known_hosts.lookup_name(host, port, alias),
        known_hosts.lookup_name(host, known_hosts.SSH_PORT, alias),
    ):
        types = [entry.key_type for entry in entries if known_hosts.names(entry, name)]
        if types:
            return tuple(dict.fromkeys(types))
    return ()
