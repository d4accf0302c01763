"""Key files on this machine: what is known of one without its passphrase."""

import base64
import binascii
import dataclasses
import os
import re
import shlex
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import paramiko

_MAGIC = b"openssh-key-v1\0"
_CLASSES: dict[str, type[paramiko.PKey]] = {
    "ssh-ed25519": paramiko.Ed25519Key,
    "ssh-rsa": paramiko.RSAKey,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
}
_LEGACY = {"RSA": paramiko.RSAKey, "EC": paramiko.ECDSAKey}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """An IdentityFile, as far as it can be read.

    Attributes:
        public: Its public half, as it travels on the wire; empty where unknown.
        reader: What opens its private half; None where nothing of ours does.
        locked: Whether a passphrase is wanted.
        unusable: Why its private half cannot be offered; "" where it can.
        cure: The command that makes it usable; "" where there is none.
    """

    path: str
    public: bytes = b""
    reader: type[paramiko.PKey] | None = None
    locked: bool = False
    unusable: str = ""
    cure: str = ""

    def open(self, passphrase: str | None = None) -> paramiko.PKey | None:
        """Return the private key; None where the passphrase or the file is wrong."""
        assert self.reader is not None  # noqa: S101  # only of those that are usable
        try:
            return self.reader.from_private_key_file(self.path, passphrase)
        except (paramiko.SSHException, OSError, ValueError, TypeError):
            return None


def read(path: str) -> KeyFile:
    """Say what a file is: a key of ours, a locked one, the public half of another."""
    try:
        text = Path(path).read_text("ascii", "replace")
    except FileNotFoundError:
        # ssh too takes KEY.pub for a key that the agent alone holds
        public = public_blob(f"{path}.pub")
        return KeyFile(path=path, public=public, unusable="no such file")
    except OSError as error:
        return KeyFile(path=path, unusable=f"cannot be read: {error.strerror}")
    if public := blob_of_line(text):
        return KeyFile(path=path, public=public, unusable="holds a public key only")
    key = _private(path, text)
    if not key.unusable and (mode := _too_open(path)):
        key = dataclasses.replace(
            key,
            unusable=f"others can read it (its mode is {mode:04o}); ssh refuses such a "
            "key too",
            cure=f"chmod 600 {shlex.quote(path)}",
        )
    return key


def _too_open(path: str) -> int:
    """Return the mode of a private key of ours that others may read; else 0.

    As ssh: a file of another owner is that owner's business.
    """
    facts = Path(path).stat()
    mode = stat.S_IMODE(facts.st_mode)
    return mode if facts.st_uid == os.getuid() and mode & 0o077 else 0


def public_blob(path: str) -> bytes:
    """Return what a .pub file holds, a certificate too; empty where it is none."""
    try:
        return blob_of_line(Path(path).read_text("ascii", "replace"))
    except OSError:
        return b""


def key_type(blob: bytes) -> str:
    """Return the name of the type that a public key or certificate begins with."""
    name, _ = wire_string(blob)
    return name.decode("ascii", "replace")


def rsa_bits(blob: bytes) -> int:
    """Return how long an RSA public key is; 0 for a key or certificate of another type."""
    if key_type(blob) != "ssh-rsa":
        return 0
    _, after_type = wire_string(blob)
    _, after_exponent = wire_string(after_type)
    modulus, _ = wire_string(after_exponent)
    return int.from_bytes(modulus, "big").bit_length()


def certifies(certificate: bytes, public: bytes) -> bool:
    """Say whether a certificate is one for that public key.

    It is the key's own fields behind a type and a random word (PROTOCOL.certkeys).
    """
    if not certificate or not public or key_type(certificate) == key_type(public):
        return False
    _, after_type = wire_string(certificate)
    _, fields = wire_string(after_type)
    _, wanted = wire_string(public)
    same = key_type(certificate).startswith(key_type(public).partition("@")[0])
    return same and fields.startswith(wanted)


def _private(path: str, text: str) -> KeyFile:
    match = re.search(
        r"-----BEGIN (\w+ )?PRIVATE KEY-----(.*?)-----END", text, re.DOTALL
    )
    kind = (match[1] or "").strip() if match else ""
    if match and kind == "OPENSSH":
        return _openssh(path, match[2])
    if match and kind in _LEGACY:  # their public half is in no other place
        return KeyFile(
            path=path,
            public=public_blob(f"{path}.pub"),
            reader=_LEGACY[kind],
            locked="ENCRYPTED" in match[2],
        )
    again = f"; convert it for OpenSSH: ssh-keygen -p -f {path}" if match else ""
    return KeyFile(
        path=path,
        public=public_blob(f"{path}.pub"),
        unusable=f"is in no format that can be read here{again}",
    )


def _openssh(path: str, body: str) -> KeyFile:
    """Read the head of PROTOCOL.key, which is not encrypted."""
    try:
        data = base64.b64decode("".join(body.split()))
        cipher, rest = wire_string(data.removeprefix(_MAGIC))
        for _ in range(2):  # the name and the options of its key derivation
            _, rest = wire_string(rest)
        public, _ = wire_string(rest[4:])
    except (binascii.Error, struct.error):
        return KeyFile(path=path, unusable="is damaged")
    name = key_type(public)
    return KeyFile(
        path=path,
        public=public,
        reader=_CLASSES.get(name),
        locked=cipher != b"none",
        unusable="" if name in _CLASSES else _foreign(path, name),
    )


def _foreign(path: str, name: str) -> str:
    if name.startswith("sk-"):
        return (
            "stands for a security key (FIDO), which only ssh and ssh-agent can ask; "
            f"let the agent do it: ssh-add {path}"
        )
    return f"is a key of a type that cannot be used here ({name})"


def blob_of_line(text: str) -> bytes:
    """Return the key of a line `TYPE BASE64 [COMMENT]`; empty where it is none."""
    fields = text.split(maxsplit=2)
    if len(fields) < 2 or not re.fullmatch(r"[a-z0-9@.-]+", fields[0]):  # noqa: PLR2004  # type and key
        return b""
    try:
        blob = base64.b64decode(fields[1], validate=True)
        return blob if key_type(blob) == fields[0] else b""
    except (binascii.Error, struct.error):
        return b""


def wire_string(data: bytes) -> tuple[bytes, bytes]:
    """Split a `string` of RFC 4251, section 5, from what follows it."""
    (length,) = struct.unpack_from(">I", data)
    return data[4 : 4 + length], data[4 + length :]
