"""known_hosts, read as OpenSSH reads it: text in, verdicts out.

Tolerant: a line that cannot be read is passed over, as ssh(1) does, for one broken
line must not lock a user out of every machine, nor let anything in. What an authority
(`@cert-authority`) vouches for is checked where the connection is.
"""

import base64
import enum
import hashlib
import hmac
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox_ops.errors import HostKeyError, UsageError
from sandbox_ops.text import address

_SSH_PORT = 22
_REVOKED = "@revoked"
_AUTHORITY = "@cert-authority"
_MARKERS = frozenset({"", _REVOKED, _AUTHORITY})
_HASHED = "|1|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a known_hosts file that could be read.

    Attributes:
        file: Which file, for messages.
        line: Its number, from 1.
        marker: "", "@revoked" or "@cert-authority".
        hosts: The first field as written: patterns with commas, or a hash.
        blob: The public key in its wire form.
    """

    file: str
    line: int
    marker: str
    hosts: str
    key_type: str
    blob: bytes


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
        authority: `FILE:LINE` of an authority that may vouch for an unknown machine.
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


def read(text: str, file: str) -> tuple[Entry, ...]:
    """Return the entries of one known_hosts file; unreadable lines are passed over."""
    entries = (
        _entry(line.strip(" \t\r"), file, number)
        for number, line in enumerate(text.split("\n"), start=1)
    )
    return tuple(entry for entry in entries if entry)


def _entry(line: str, file: str, number: int) -> Entry | None:
    fields = [field for field in line.replace("\t", " ").split(" ") if field]
    marker = fields.pop(0) if line.startswith("@") else ""
    if line.startswith("#") or marker not in _MARKERS:
        return None
    try:
        hosts, key_type, key = fields[:3]
        blob, own_type = _decoded(key), key_type.encode()
    except ValueError:  # too few fields, not base64, not UTF-8
        return None
    # The key's own first field is its type: a line that contradicts itself is broken.
    if not blob.startswith(len(own_type).to_bytes(4, "big") + own_type):
        return None
    return Entry(
        file=file,
        line=number,
        marker=marker,
        hosts=hosts,
        key_type=key_type,
        blob=blob,
    )


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
    blob = _decoded(key_base64)
    name = lookup_name(host, port, alias)
    entries = tuple(entries)
    named = [entry for entry in entries if _names(entry, name)]
    bare = lookup_name(host, _SSH_PORT, alias)
    same = [e for e in entries if e.blob == blob and (e in named or _names(e, bare))]
    trust, line = _decide(named, same, key_type)
    changed = line if trust is Trust.CHANGED else None
    authority = next(
        (
            f"{entry.file}:{entry.line}"
            for entry in entries
            if entry.marker == _AUTHORITY
            and (_names(entry, name) or _names(entry, bare))
        ),
        "",
    )
    return Verdict(
        trust=trust,
        name=name,
        key_type=key_type,
        fingerprint=_fingerprint(blob),
        file=line.file if line else "",
        line=line.line if line else 0,
        expected_type=changed.key_type if changed else "",
        expected_fingerprint=_fingerprint(changed.blob) if changed else "",
        authority=authority if trust is Trust.UNKNOWN else "",
    )


def _decide(
    named: list[Entry], same: list[Entry], key_type: str
) -> tuple[Trust, Entry | None]:
    """Decide by the entries for the name, and those for name or host with the key."""
    on_record = [entry for entry in named if not entry.marker]
    for entry in same:
        if entry.marker == _REVOKED:
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
    """Return the keys of those that may vouch for the machine, without revoked ones."""
    names = (lookup_name(host, port, alias), lookup_name(host, _SSH_PORT, alias))
    named = [e for e in entries if any(_names(e, name) for name in names)]
    revoked = {entry.blob for entry in named if entry.marker == _REVOKED}
    blobs = (entry.blob for entry in named if entry.marker == _AUTHORITY)
    return tuple(blob for blob in blobs if blob not in revoked)


def refusal(
    verdict: Verdict, *, machine: str, trust_command: str, certificate: str = ""
) -> HostKeyError:
    """Return the error for a key that is not trusted, with what to do about it.

    Args:
        verdict: What the check said.
        machine: The machine in the user's words.
        trust_command: What to type to see the key and trust it.
        certificate: Why the certificate that it showed, if any, does not count.
    """
    shown = f"{verdict.key_type} {verdict.fingerprint}"
    place = f"{verdict.file}:{verdict.line}"
    if verdict.trust is Trust.REVOKED:
        return HostKeyError(
            f"{machine} showed a host key that is revoked at {place}: {shown}. "
            "Nothing was sent.",
            "Do not connect: the key is known to be in wrong hands. Ask whoever runs "
            "the machine for its new key.",
        )
    if verdict.trust is Trust.CHANGED:
        return HostKeyError(
            f"the host key of {machine} changed: it showed {shown}, and {place} says "
            f"{verdict.expected_type} {verdict.expected_fingerprint} for "
            f"{verdict.name}. Nothing was sent.",
            "Somebody may stand between you and the machine. If you know that it was "
            "reinstalled, forget the old key and look at the new one:\n"
            f"    ssh-keygen -R {shlex.quote(verdict.name)} "
            f"-f {shlex.quote(verdict.file)}\n"
            f"    {trust_command}",
        )
    authority = (
        f" {verdict.authority} trusts an authority for it, but "
        + (
            f"of its certificate: {certificate}."
            if certificate
            else "it showed no certificate."
        )
        if verdict.authority
        else ""
    )
    return HostKeyError(
        f"the host key of {machine} is not known: it showed {shown}, and no "
        f"known_hosts file names {verdict.name}.{authority} Nothing was sent.",
        f"Compare the fingerprint with the machine's own, and trust it:\n"
        f"    {trust_command}",
    )


def key_types_known(
    entries: Iterable[Entry], host: str, port: int, *, alias: str = ""
) -> tuple[str, ...]:
    """Return the types of the keys on record, in their order, each once.

    A client asks for these first: a machine that shows a type which is not on record
    cannot be told from an impostor. `ssh-rsa` stands for the key: its signatures may
    be rsa-sha2-512 or rsa-sha2-256.
    """
    entries = [entry for entry in entries if not entry.marker]
    for name in (lookup_name(host, port, alias), lookup_name(host, _SSH_PORT, alias)):
        types = [entry.key_type for entry in entries if _names(entry, name)]
        if types:
            return tuple(dict.fromkeys(types))
    return ()


def lookup_name(host: str, port: int, alias: str = "") -> str:
    """Return the name under which known_hosts keeps a machine's keys."""
    if alias:
        return alias.lower()
    return host.lower() if port == _SSH_PORT else f"[{host.lower()}]:{port}"


def known_hosts_line(
    host: str,
    port: int,
    key_type: str,
    key_base64: str,
    *,
    alias: str = "",
    salt: bytes = b"",
) -> str:
    """Return the line, without its end, that trusts the key from now on.

    A `salt` of 20 random bytes hides the name, as HashKnownHosts asks for.

    Raises:
        UsageError: The name would mean more than one machine, or would not be read.
    """
    name = lookup_name(host, port, alias)
    if set(name) & set(" \t\r\n,*?!|#@") or not name.isprintable():
        raise UsageError(
            f"cannot write {name!r} to known_hosts: it is not one machine's name",
            "Give the machine a plain HostName or HostKeyAlias in your ssh_config.",
        )
    if salt:
        name = _hashed(name, salt)
    return f"{name} {key_type} {key_base64}"


def fingerprint(key_base64: str) -> str:
    """Return the key's fingerprint as `ssh-keygen -l` prints it: `SHA256:...`.

    Raises:
        ValueError: The key is not base64.
    """
    return _fingerprint(_decoded(key_base64))


def _fingerprint(blob: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(blob).digest())
    return "SHA256:" + digest.decode().rstrip("=")


def _names(entry: Entry, name: str) -> bool:
    """Whether the entry's first field stands for the name."""
    if not entry.hosts.startswith(_HASHED):
        return address.matches(entry.hosts.split(","), name)
    try:
        salt = _decoded(entry.hosts.removeprefix(_HASHED).partition("|")[0])
    except ValueError:
        return False
    return entry.hosts == _hashed(name, salt)


def _hashed(name: str, salt: bytes) -> str:
    digest = hmac.digest(salt, name.encode("utf-8", "surrogateescape"), "sha1")
    salted, hashed = (base64.b64encode(data).decode() for data in (salt, digest))
    return f"{_HASHED}{salted}|{hashed}"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"not base64: {text[:40]!r}") from error
