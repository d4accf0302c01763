"""A program at a terminal of its own, of a given size, as somebody sits before it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from waiting import wait_until

_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])")
_HOME = b"\x1b[H"  # how a screen begins that is redrawn


class Terminal:
    """A program whose stdin, stdout and stderr are one terminal."""

    def __init__(
        self,
        *command: str,
        cwd: Path,
        columns: int = 80,
        lines: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._ours, self._theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self._output = bytearray()
        self.resize(columns, lines, signalled=False)
        kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            cwd=cwd,
            env={**kept, "TERM": "xterm", **(env or {})},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        os.close(self._ours)
        os.close(self._theirs)

    def resize(self, columns: int, lines: int, *, signalled: bool = True) -> None:
        """Change the size, as dragging a window's corner does."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._ours if signalled else self._theirs, termios.TIOCSWINSZ, size)

    def types(self, keys: bytes | str) -> None:
        os.write(self._ours, keys if isinstance(keys, bytes) else keys.encode())

    def output(self) -> bytes:
        """All that was written so far, escape sequences too."""
        try:
            while piece := os.read(self._ours, 65536):
                self._output += piece
        except OSError:  # nothing now, or nobody there any more
            pass
        return bytes(self._output)

    def text(self) -> str:
        """All that was written so far, without escape sequences."""
        return _text(self.output())

    def screen(self) -> str:
        """What a full-screen program has drawn last."""
        return _text(self.output().rpartition(_HOME)[2])

    def shows(self, *texts: str, timeout_s: float = 30) -> None:
        """Wait until all of this was written."""
        for text in texts:
            wait_until(lambda: text in self.text(), timeout_s, what=text)  # noqa: B023

    def shown(self, text: str, *, within_s: float) -> bool:
        """Whether this is written within some seconds."""
        try:
            self.shows(text, timeout_s=within_s)
        except AssertionError:
            return False
        return True

    def end(self, timeout_s: float = 30) -> int:
        """Wait for the program's end; return its exit code."""
        wait_until(lambda: self.output() is not None and self._ended(), timeout_s)
        return self._process.wait(1)

    def _ended(self) -> bool:
        return self._process.poll() is not None


def _text(output: bytes) -> str:
    plain = _ESCAPES.sub(b"", output).decode("utf-8", "replace")
    return plain.replace("\r\n", "\n")


def lines_of(text: str, *starts: str) -> Sequence[str]:
    """The lines that begin with one of these."""
    return [line for line in text.splitlines() if line.startswith(starts)]
