"""What stands in for a character that a terminal's or a pipe's encoding lacks. Pure.

A terminal or a pipe may take ASCII alone: what it cannot hold is replaced by the nearest
plain character of the same width, so that tables stay tables and no verb fails for it.
"""

import codecs
import unicodedata

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


def register() -> str:
    """Make the replacement known to Python; return the name that `errors=` takes."""
    codecs.register_error(_HANDLER, _replaced)
    return _HANDLER


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
