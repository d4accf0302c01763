"""The forms in which a known secret can stand in a text: as it is, or encoded.

Pure. A secret of several lines (a private key) is known by each of its lines, for a log
shows lines.
"""

import base64
import json
import urllib.parse
from collections.abc import Iterable

from sandbox_ops.errors import ConfigError

SHORTEST = 8
"""A shorter secret would mask half of every log: it is refused."""

_BASE64_LINE = 76


def forms(name: str, secret: str) -> frozenset[bytes]:
    """Return the byte strings that give a secret away.

    Args:
        name: What it is called, for the error.
        secret: Its value.

    Raises:
        ConfigError: It is too short to be masked.
    """
    if len(secret.strip()) < SHORTEST:
        raise ConfigError(
            f"the secret {name} is shorter than {SHORTEST} characters: to mask it would "
            "mask much else",
            "Take it from the list of secrets, or make it longer.",
        )
    raw = secret.encode()
    encodings: set[bytes] = set()
    for line in {secret.strip(), *secret.splitlines()}:
        encodings.update(_written(line.strip()))
    encodings.update(_base64(raw.strip()))
    encodings.update(_base64(secret.strip().encode()))
    return frozenset(
        each for each in encodings if len(each) >= SHORTEST and b"\n" not in each
    )


def _written(line: str) -> Iterable[bytes]:
    """Yield a line as it is, as in a URL, and as in JSON."""
    yield line.encode()
    yield urllib.parse.quote(line, safe="").encode()
    yield urllib.parse.quote(line).encode()
    yield urllib.parse.quote_plus(line).encode()
    yield json.dumps(line)[1:-1].encode()
    yield json.dumps(line, ensure_ascii=False)[1:-1].encode()


def _base64(raw: bytes) -> Iterable[bytes]:
    """Yield what base64 makes of it, wherever it begins in what was encoded.

    Three bytes are four characters: of the first and the last group those characters are
    left out that depend on the neighbours.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            text = encode(b"\0" * shift + raw)
            begin = (shift * 8 + 5) // 6
            end = (shift + len(raw)) * 8 // 6
            yield text[begin:end]
        whole = encode(raw)
        for at in range(0, len(whole), _BASE64_LINE):  # as base64(1) wraps it
            yield whole[at : at + _BASE64_LINE].rstrip(b"=")
