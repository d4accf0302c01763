"""RevokedHostKeys of ssh_config: keys that no machine may show, as text or as a KRL.

A list that cannot be read refuses every machine, as ssh does: a key that is in wrong
hands must not pass because a file is missing.
"""

import base64
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from sandbox_ops.errors import HostKeyError
from sandbox_ops.ssh import key_files

_KRL = b"SSHKRL\n\0"
_KEYGEN_S = 10
_IS_REVOKED = 1


def refuse_revoked(
    files: Iterable[str], keys: Sequence[tuple[str, bytes]], *, machine: str
) -> None:
    """Refuse keys that one of the files lists.

    Args:
        files: Each a list of public keys, a line each, or a KRL of ssh-keygen(1).
        keys: Types and wire forms: the key that was shown, its certificate, the key of
            the authority that signed it.
        machine: In the user's words.

    Raises:
        HostKeyError: A key is revoked, or a file cannot be read.
    """
    for file in files:
        try:
            data = Path(file).expanduser().read_bytes()
            is_krl = data.startswith(_KRL)
            revoked = _in_krl(file, keys) if is_krl else _in_text(data, keys)
        except (OSError, subprocess.SubprocessError) as error:
            raise HostKeyError(
                f"cannot check the host key of {machine}: RevokedHostKeys {file} of "
                f"ssh_config cannot be read ({error}). Nothing was sent.",
                "Make the file readable, or take the directive out of your ssh_config.",
            ) from error
        if revoked:
            raise HostKeyError(
                f"{machine} showed a host key that is revoked by RevokedHostKeys "
                f"{file} of ssh_config: {revoked}. Nothing was sent.",
                "Do not connect: the key is known to be stolen. Ask the "
                "administrator of the machine for its new key.",
            )


def _in_text(data: bytes, keys: Sequence[tuple[str, bytes]]) -> str:
    lines = data.decode("utf-8", "replace").splitlines()
    listed = {key_files.blob_of_line(line.strip()) for line in lines} - {b""}
    return next((key_type for key_type, blob in keys if blob in listed), "")


def _in_krl(file: str, keys: Sequence[tuple[str, bytes]]) -> str:
    """Ask ssh-keygen: the format has serial numbers, ranges and hashes of keys."""
    for key_type, blob in keys:
        with tempfile.NamedTemporaryFile("w", suffix=".pub") as public:
            public.write(f"{key_type} {base64.b64encode(blob).decode()}\n")
            public.flush()
            command = ["ssh-keygen", "-Q", "-f", str(Path(file).expanduser())]
            done = subprocess.run(
                [*command, public.name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_KEYGEN_S,
                check=False,
            )
        if done.returncode == _IS_REVOKED and b"REVOKED" in done.stdout.upper():
            return key_type
        if done.returncode != 0:
            stderr = done.stderr.decode("utf-8", "replace").strip()
            raise OSError(f"ssh-keygen -Q: {stderr or f'exit {done.returncode}'}")
    return ""
