"""known_hosts, read and written as OpenSSH does: its lines, and the names in them. Pure.

Tolerant: a line that cannot be read is passed over, as ssh(1) does, for one broken
line must not lock a user out of every machine, nor let anything in. What the lines say
of a key is decided in `host_key_check`.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from sandbox_ops.errors import UsageError
from sandbox_ops.text import address

SSH_PORT = 22
REVOKED = "@revoked"
AUTHORITY = "@cert-authority"
_MARKERS = frozenset({"", REVOKED, AUTHORITY})
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
        blob, own_type = decoded(key), key_type.encode()
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


def lookup_name(host: str, port: int, alias: str = "") -> str:
    """Return the name under which known_hosts keeps a machine's keys."""
    if alias:
        return alias.lower()
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


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
    return fingerprint_of(decoded(key_base64))


def fingerprint_of(blob: bytes) -> str:
    """Return the same for a key in its wire form."""
    digest = base64.b64encode(hashlib.sha256(blob).digest())
    return "SHA256:" + digest.decode().rstrip("=")


def names(entry: Entry, name: str) -> bool:
    """Whether the entry's first field stands for the name, plain, pattern or hash."""
    if not entry.hosts.startswith(_HASHED):
        return address.matches(entry.hosts.split(","), name)
    try:
        salt = decoded(entry.hosts.removeprefix(_HASHED).partition("|")[0])
    except ValueError:
        return False
    return entry.hosts == _hashed(name, salt)


def _hashed(name: str, salt: bytes) -> str:
    digest = hmac.digest(salt, name.encode("utf-8", "surrogateescape"), "sha1")
    salted, hashed = (base64.b64encode(data).decode() for data in (salt, digest))
    return f"{_HASHED}{salted}|{hashed}"


def decoded(text: str) -> bytes:
    """Return the wire form of a key that is written in base64.

    Raises:
        ValueError: It is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"not base64: {text[:40]!r}") from error
