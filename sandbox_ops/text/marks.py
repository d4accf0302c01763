"""What is ours in an answer, and what is the machine's: no agent may take one for the other.

Our own lines begin with `[sandbox-ops:`; a line of the machine that begins so, or with
characters that look so, gets a backslash in front. That costs no token where nobody
cheats, and cannot be forged, even where a caller forgets something: until the exit, `shown`, a note of
ours carries a secret of this process, and there every line without it is the machine's.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from sandbox_ops.text import clean, paging, remote_text

# What a reader takes for these characters, beside their full-width forms.
_ALIKE = {
    "[": "\u3010\u3014\u301a\u27e6\u2772\u2045",
    "-": "\u2010-\u2015\u2212 _",
    "a": "\u0430\u0251",
    "b": "\u044c",
    "c": "\u0441",
    "d": "\u0501",
    "e": "\u0435",
    "i": "\u0456\u0131",
    "n": "\u0578",
    "o": "\u043e\u03bf",
    "p": "\u0440\u03c1",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "x": "\u0445\u03c7",
}


def alike(text: str) -> str:
    """Return a pattern of what can be taken for these words, in lower case and ASCII."""
    return "".join(
        f"[{re.escape(each)}{_ALIKE.get(each, '')}{chr(ord(each) + 0xFEE0)}]"
        if "!" <= each <= "~"
        else r"\s+"
        for each in text
    )


_POSING = re.compile(
    rf"^[^\S\n]*{alike('[')}[^\S\n]?{alike('sandbox-ops')}",
    re.MULTILINE | re.IGNORECASE,
)


_COMPARED = 64
_OURS = f"\0{secrets.token_hex(8)}\0"


def note(text: str) -> str:
    """Return a line of our own; `shown` takes its secret off."""
    return f"{_OURS}[sandbox-ops: {text}]"


def remote(data: bytes | str) -> str:
    """Return what a machine said, safe to show: the same number of lines."""
    return _guarded(paging.shown(data))


def shown(text: str) -> str:
    """Return an answer as it leaves: the one exit of this face.

    What a machine said is made safe here, if that was not done before, and no line of
    it begins as a note of ours does.
    """
    first, *notes = text.split(_OURS)
    parts = [remote(first)]
    for part in notes:
        ours, newline, rest = paging.shown(part).partition("\n")
        parts.append(f"{ours}{newline}{_guarded(rest)}")
    return "".join(parts)


def _guarded(text: str) -> str:
    text = _POSING.sub(r"\\\g<0>", text)
    if text.isascii():
        return text
    return "\n".join(map(_guarded_line, text.split("\n")))


def _guarded_line(line: str) -> str:
    """Put a backslash before a line that begins as ours do, once it is made plain.

    Unicode has each letter many times over: bold, circled, with accents. They are
    compared as NFKC and NFKD have them.
    """
    beginning = line[:_COMPARED]
    if beginning.isascii():
        return line
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", beginning)
        if not unicodedata.combining(character)
    )
    return f"\\{line}" if _POSING.match(plain) else line


def join(*parts: str) -> str:
    """Return the parts that say something, each on lines of its own."""
    return "\n".join(part.removesuffix("\n") for part in parts if part)


_GAP = 100  # room for the note about what is left out


def fitted(text: str, limit: int) -> str:
    """Return an answer that was made safe by `shown`, its middle left out where it is longer."""
    begin, left_out, end = clean.head_tail(text, max(limit, 4 * _GAP) - _GAP)
    if not left_out:
        return text
    return join(begin, shown(note(f"{left_out:,} characters left out here")), end)


def of_several(texts: Mapping[str, str], headline: Sequence[str], limit: int) -> str:
    """Return what several machines answered, each below a note of ours with its name.

    Args:
        texts: By the machine's name; each was made safe by `shown`.
        headline: What is said of all of them first, in words of ours.
        limit: So many characters at most; each machine has its share.
    """
    first = shown(join(*map(note, headline)))
    room = (limit - len(first)) // max(1, len(texts))
    names = {name: shown(note(name)) for name in texts}
    blocks = (
        join(names[name], fitted(text, room - len(names[name]) - 2))
        for name, text in texts.items()
    )
    return join(first, *blocks)


def cut(line: str, limit: int) -> str:
    """Return a line, or its beginning and how much is left out."""
    line = remote_text.masked(line)
    if len(line) <= limit:
        return line
    return f"{line[:limit]} {note(f'{len(line) - limit:,} characters left out')}"


def that_fit(lines: Iterable[str], room: int) -> list[str]:
    """Return the first lines, as many as fit into so many characters."""
    fitting: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        fitting.append(line)
    return fitting
