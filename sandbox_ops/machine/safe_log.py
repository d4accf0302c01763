"""The log of a server of ours, made safe to read: errors quote what machines said."""

import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path

from sandbox_ops.text import remote_text


def begin(path: Path | None, face: str) -> None:
    """Log warnings to stderr; with a file, what happens there too.

    Args:
        path: The file.
        face: The package of the server, whose words are logged as the library's are.

    Raises:
        OSError: The file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.WARNING)
    if path is not None:
        handlers.append(_PrivateFile(path, encoding="utf-8"))
    formatter = _SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=handlers)
    logging.getLogger(face).setLevel(logging.INFO)
    logging.getLogger("sandbox_ops").setLevel(logging.INFO)


class _PrivateFile(logging.FileHandler):
    """A log that its owner alone can read, from its creation on."""

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o600)
        return TextIOWrapper(
            os.fdopen(descriptor, "ab"), encoding=self.encoding, errors=self.errors
        )


class _SafeFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return remote_text.safe(super().format(record))
