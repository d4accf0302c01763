"""What the program prints on stdout and stderr, whatever their encoding can hold.

A terminal or a pipe may take ASCII alone: what it cannot hold is replaced by the nearest
plain character of the same width, so that tables stay tables and no verb fails for it.
"""

import codecs
import contextlib
import json
import os
import select
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any

_HANDLER = "sandbox-ops-plain"
_RAW_BYTES = range(0xDC80, 0xDD00)  # where Python keeps bytes that are no UTF-8
_BOX = range(0x2500, 0x2580)
_BRAILLE = range(0x2800, 0x2900)
_PLAIN = str.maketrans(
    "\N{HORIZONTAL ELLIPSIS}\N{EM DASH}\N{EN DASH}\N{CHECK MARK}\N{BALLOT X}"
    "\N{RIGHTWARDS ARROW}\N{LEFTWARDS ARROW}\N{MULTIPLICATION SIGN}\N{BULLET}"
    "\N{DEGREE SIGN}\N{BOX DRAWINGS LIGHT HORIZONTAL}\N{BOX DRAWINGS HEAVY HORIZONTAL}"
    "\N{BOX DRAWINGS LIGHT VERTICAL}\N{BOX DRAWINGS HEAVY VERTICAL}"
    "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588",  # blocks, from low to full
    "~--+x><x* --||__--==##",
)


def accept_any_text() -> None:
    """Have stdout and stderr replace what their encoding cannot hold."""
    codecs.register_error(_HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=_HANDLER)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    piece = error.object[error.start : error.end]
    return "".join(map(plain, piece)), error.end


def plain(character: str) -> str:
    """The nearest ASCII for a character; `?` where there is none."""
    code = ord(character)
    if code in _RAW_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    near = character.translate(_PLAIN)
    if near.isascii():
        return near
    if code in _BOX:
        return "+"
    if code in _BRAILLE:
        return "*" if code > _BRAILLE.start else " "
    letter = unicodedata.normalize("NFKD", character)[:1]
    return letter if letter.isascii() and letter else "?"


def emit(value: Mapping[str, Any]) -> None:
    """Print the one JSON object of a call."""
    from sandbox_ops.text import formatting

    sys.stdout.write(json.dumps(formatting.finite(value), allow_nan=False) + "\n")
    sys.stdout.flush()


def write(text: str) -> None:
    """Print a text of our own as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say(words: str) -> None:
    """Tell people something that is not the answer: on stderr, also with --json."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(words + "\n")
        sys.stderr.flush()


def reader_gone() -> bool:
    """Whether whoever read our stdout or stderr has left (`... | head`)."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
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
