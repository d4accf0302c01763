"""The one place where the command line writes, and makes safe what it writes.

Nothing else in the command line touches stdout or stderr (held by
tests/unit/test_one_exit.py), so what a machine said has no way around
`text.remote_text` (imported where something is written, as `--list` need not pay for
it). Bytes go through as they are only where somebody asked for a command's own output,
into a pipe or a file.
"""

import contextlib
import json
import os
import select
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

from sandbox_ops.cli import encoding

if TYPE_CHECKING:
    from rich.console import Console

Stream = Literal["stdout", "stderr"]
_UNBOUNDED = 10_000  # columns, in a pipe: its reader wants every word


def _stream(name: Stream) -> TextIO:
    return sys.stdout if name == "stdout" else sys.stderr


def _put(stream: TextIO, text: str) -> None:
    """Write text; what the stream's encoding lacks (LANG=C), `encoding` replaces."""
    stream.write(text)
    stream.flush()


def accept_any_text() -> None:
    """Have stdout and stderr replace what their encoding cannot hold."""
    errors = encoding.register()
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=errors)


def terminal_size() -> tuple[int, int]:
    """Columns and lines of the terminal that stdout is; zeros where it is none."""
    with contextlib.suppress(OSError, ValueError):
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        return columns, lines
    return 0, 0


def is_terminal(name: Stream = "stdout") -> bool:
    """Whether somebody looks at it."""
    return _stream(name).isatty()


def write(text: str, name: Stream = "stdout") -> None:
    """Write text, made safe."""
    from sandbox_ops.text import remote_text

    _put(_stream(name), remote_text.safe(text))


def write_bytes(data: bytes, name: Stream = "stdout") -> None:
    """Write what a machine said, made safe; carriage returns still redraw a line."""
    from sandbox_ops.text import remote_text

    _put(_stream(name), remote_text.safe(data))


def write_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object on a line, each text in it made safe."""
    from sandbox_ops.text import formatting, remote_text

    json_value = formatting.finite(remote_text.safe_value(value))
    _put(sys.stdout, json.dumps(json_value, allow_nan=False) + "\n")


def write_exact(data: bytes, name: Stream) -> None:
    """Write the bytes of a command as they are: for a pipe, a file, or on request."""
    stream = _stream(name)
    stream.flush()
    stream.buffer.write(data)
    stream.buffer.flush()


def write_drawn(drawn: str) -> None:
    """Write what `console` drew, whose colours have to stay."""
    _put(sys.stdout, drawn)


def console(name: Stream = "stdout") -> "Console":
    """What we draw on. In a pipe nothing is coloured, wrapped or cut."""
    from sandbox_ops.text.console import SafeConsole

    stream = _stream(name)
    width = None if stream.isatty() else _UNBOUNDED
    return SafeConsole(
        file=stream, width=width, markup=False, highlight=False, emoji=False
    )


def reader_gone(*names: Stream) -> bool:
    """Whether the reader of one of these streams has left (`... | head`); of none given, any."""
    poll = select.poll()
    for stream in map(_stream, names or ("stdout", "stderr")):
        with contextlib.suppress(OSError, ValueError):
            poll.register(stream.fileno(), select.POLLOUT)
    gone = select.POLLERR | select.POLLHUP | select.POLLNVAL
    return any(event & gone for _, event in poll.poll(0))


def silence_stdout() -> None:
    """Let what is still buffered go nowhere, so that the interpreter ends quietly."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def flush() -> None:
    """See to it that what was written is out."""
    sys.stdout.flush()
