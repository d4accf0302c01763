r"""The one exit: whatever a machine said passes `safe` before any face shows it.

Each face writes in one place (`cli/output.py`, `mcp_adapter/marks.py`), and that place
calls this module, so no verb and no tool can forget it. To pass twice does no harm. What
holds for all remote text (no terminal and no reader is deceived, no secret leaves) is done
in `safe` and nowhere else.
"""

import codecs
from collections.abc import Mapping
from typing import Any

from sandbox_ops.text import clean, key_lines
from sandbox_ops.text.redaction import RedactingStream, Redactor

_LONG_BYTES = 1 << 14
_BLOCK_BYTES = 1 << 16
_redactor = Redactor()
_secrets: dict[str, str] = {}


def protect(secrets: Mapping[str, str]) -> None:
    """Mask these values too from now on, beside what looks like a token.

    Args:
        secrets: Values by the name that the mask says.

    Raises:
        ConfigError: A secret is too short to be masked.
    """
    global _redactor  # noqa: PLW0603 - a secret is one for the whole process
    if not secrets.items() <= _secrets.items():
        redactor = Redactor({**_secrets, **secrets})
        _secrets.update(secrets)
        _redactor = redactor


def masked(text: str) -> str:
    """Return text of ours, or of a caller, without the secrets in it."""
    return _redactor.mask_text(text)


def masking_stream() -> RedactingStream:
    """Return what takes secrets out of a stream of bytes, and leaves the rest as it is."""
    return RedactingStream(_redactor)


def held_bytes(data: bytes) -> int:
    """Return how many of the last bytes are to be shown with what follows, not before."""
    return max(clean.unfinished(data), _redactor.held_bytes(data))


def rest_bytes(data: bytes) -> int:
    """Return how many of the first bytes are not shown, where data begins in a line."""
    return _redactor.rest_bytes(data)


def safe(data: bytes | str) -> str:
    """Return remote text as any face may show it; a mask in the place of each secret."""
    if isinstance(data, bytes) and len(data) > _LONG_BYTES:
        return _safe_lines(data)
    return _redactor.mask_text(clean.clean(data))


def _safe_lines(data: bytes) -> str:
    """Return the same of a long text: most of a log is plain lines, as one search tells.

    From a notable line on, the more lines are looked at the closer the notable ones are.
    """
    redactor = _redactor
    parts: list[str] = []
    done, size = 0, 1
    while notable_span := redactor.find_notable(data, done):
        begin = max(data.rfind(b"\n", done, notable_span[0]) + 1, done)
        size = min(2 * size, _BLOCK_BYTES) if begin - done < 2 * size else 1
        end = data.find(b"\n", max(notable_span[1], begin + size) - 1) + 1 or len(data)
        end = key_lines.end_of_run(data, end)
        block = clean.clean(data[begin:end])
        if (
            "-----BEGIN" in block or "PRIVATE KEY" in block
        ):  # lines that belong together
            return redactor.mask_text(clean.clean(data))
        parts += (_plain(data[done:begin]), redactor.mask_text(block))
        size, done = max(size, end - begin), end
    return "".join((*parts, _plain(data[done:])))


def _plain(lines: bytes) -> str:
    """Return lines that have nothing notable: at most bytes that are not UTF-8."""
    return lines.decode("utf-8", "backslashreplace")


def safe_line(data: bytes | str) -> str:
    """Return remote text on one line: what ends or redraws a line becomes a blank."""
    return safe(data).replace("\n", " ").replace("\r", " ")


def safe_value(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value for JSON with each text in it safe, the names of fields too."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, dict):
        return {safe_value(key): safe_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [safe_value(inner) for inner in value]
    return value


class SafeStream:
    """Makes a stream of bytes safe piece by piece: the same text as all of it at once.

    What a piece leaves open (half a character, a terminal sequence) waits for the next.
    """

    def __init__(self) -> None:
        self._open = b""
        self._masking = masking_stream()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """Return what can be shown now."""
        data = self._masking.take() + self._open + data  # to clean twice does no harm
        plain = _redactor.plain_lines(data)
        data = data[len(plain) :]
        end = len(data) - clean.unfinished(data)
        self._open = data[end:]
        rest = self._decoder.decode(self._masking.feed(_cleaned(data[:end])))
        return _plain(plain) + rest

    def finish(self) -> str:
        """Return what was still open at the end."""
        rest, self._open = self._open, b""
        last = self._masking.feed(_cleaned(rest)) + self._masking.finish()
        return self._decoder.decode(last, final=True)


def _cleaned(data: bytes) -> bytes:
    return clean.clean(data).encode()
