"""Host certificates: a key that an authority of known_hosts has signed.

The form is that of PROTOCOL.certkeys of OpenSSH; the checks are those of ssh(1): a host's
certificate, for this name, valid now, signed by the authority, nothing critical in it.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import paramiko

_OF_A_HOST = 2
_FOR_EVER = (1 << 64) - 1
# strings and numbers between the nonce and the serial number: the key itself
_KEY_FIELDS = {"ssh-ed25519": 1, "ssh-rsa": 2, "ecdsa-sha2-": 2}
_AUTHORITIES: dict[str, type[paramiko.PKey]] = {
    "ssh-ed25519": paramiko.Ed25519Key,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
    "ssh-rsa": paramiko.RSAKey,
}
_SHA1 = b"ssh-rsa"  # as a way of signing; CASignatureAlgorithms leaves it out


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a certificate says, before anybody has checked it."""

    kind: int
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: bytes
    authority: bytes
    signature: bytes
    signed: bytes


class _Fields:
    """Reads a wire form (RFC 4251, 5) field by field; paramiko's pads what is cut off."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise ValueError("it is cut off")
        self._at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        return self.take(self.number(4))

    @property
    def so_far(self) -> bytes:
        return self._data[: self._at]

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def end(self) -> None:
        if self.left:
            raise ValueError("it goes on after its end")


def read(blob: bytes) -> Certificate:
    """Take a certificate apart.

    Raises:
        ValueError: It is none, or is cut off.
    """
    fields = _Fields(blob)
    key_type = fields.string().decode("ascii")
    plain = key_type.removesuffix("-cert-v01@openssh.com")
    own = [n for name, n in _KEY_FIELDS.items() if plain.startswith(name)]
    if plain == key_type or not own:
        raise ValueError(f"it is of a type that we do not know: {key_type[:60]}")
    for _ in range(1 + own[0]):  # the nonce, then the key
        fields.string()
    fields.number(8)  # serial number
    kind = fields.number(4)
    fields.string()  # the authority's own note
    names = _Fields(fields.string())
    principals = []
    while names.left:
        principals.append(names.string().decode("utf-8"))
    after, before = fields.number(8), fields.number(8)
    critical = fields.string()
    fields.string()  # extensions
    fields.string()  # reserved
    authority = fields.string()
    signed = fields.so_far
    signature = fields.string()
    fields.end()
    return Certificate(
        kind=kind,
        principals=tuple(principals),
        valid_after=after,
        valid_before=before,
        critical=critical,
        authority=authority,
        signature=signature,
        signed=signed,
    )


def objection(certificate: Certificate, name: str, now: float) -> str:
    """Return why it does not stand for the machine of that name; "" where it does.

    Its signature is another matter: `is_signed`.
    """
    if certificate.kind != _OF_A_HOST:
        return "it is no host's certificate"
    if certificate.critical:
        return "it has conditions that we do not know"
    if now < certificate.valid_after:
        return "it is not valid yet"
    before = certificate.valid_before
    if before != _FOR_EVER and now >= before:
        return "it has expired"
    names = certificate.principals
    if names and name.lower() not in names:  # `*` is no pattern to ssh(1) here either
        return f"it is for {', '.join(names)}"
    return ""


def is_signed(certificate: Certificate) -> bool:
    """Whether the authority that it names has signed it."""
    try:
        authority_type = _Fields(certificate.authority).string().decode("ascii")
        signature = _Fields(certificate.signature)
        way = signature.string()
        signature.string()
        signature.end()
        if way == _SHA1 or authority_type not in _AUTHORITIES:
            return False
        key = _AUTHORITIES[authority_type](data=certificate.authority)  # type: ignore[arg-type]
        parts = paramiko.Message(certificate.signature)
        return bool(key.verify_ssh_sig(certificate.signed, parts))
    except (paramiko.SSHException, ValueError):
        return False


def verify_certificate(
    blob: bytes, authorities: Iterable[bytes], name: str
) -> tuple[bool, str]:
    """Decide on a certificate that a machine showed.

    Args:
        blob: As it came.
        authorities: The keys of the authorities whose certificates count for the machine.
        name: As the user calls it, without the port, or HostKeyAlias.

    Returns:
        Whether it is good, and else why not.
    """
    try:
        certificate = read(blob)
    except ValueError as error:
        return False, str(error)
    if certificate.authority not in set(authorities):
        return False, "its authority is not one of known_hosts"
    why = objection(certificate, name, time.time())
    if not why and not is_signed(certificate):
        why = "its signature is wrong"
    return not why, why
