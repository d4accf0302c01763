r"""The one exit: whatever a machine said passes `safe` before any face shows it.

Each face writes in one place (`cli/output.py`, `mcp_adapter/marks.py`), and that place
calls this module, so no verb and no tool can forget it. To pass twice does no harm. What
holds for all remote text (today: that no terminal and no reader is deceived) is done in
`safe` and nowhere else.
"""

from typing import Any

from sandbox_ops.text import clean


def safe(data: bytes | str) -> str:
    """Return remote text as any face may show it; as many lines as before."""
    return clean.clean(data)


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

    def feed(self, data: bytes) -> str:
        """Return what can be shown now."""
        data = self._open + data
        end = len(data) - clean.unfinished(data)
        self._open = data[end:]
        return safe(data[:end])

    def finish(self) -> str:
        """Return what was still open at the end."""
        rest, self._open = self._open, b""
        return safe(rest)
