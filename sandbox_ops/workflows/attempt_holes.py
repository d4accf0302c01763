"""`{attempt}` and `{resume}` in a training command: filled on the machine, at each attempt.

Pure. `{resume}` is the newest checkpoint, as one word; before there is one it is no word at
all. `{resume:--resume %}` is those words with the checkpoint for `%`, or nothing. Words that
were typed come here in single quotes, in which no shell expands anything: so the quotes end
before such a hole, and begin again after it.
"""

import re

_HOLE = re.compile(r"(?<![\$\{])\{(attempt|resume)(?::([^{}]*))?\}(?!\})")
_PIECE = re.compile(rf"'([^']*)'|\\.|\"(?:\\.|[^\"\\])*\"|{_HOLE.pattern}", re.DOTALL)


def fill(command: str) -> str:
    """Return the command with these holes as expansions of the shell."""
    return _PIECE.sub(_piece, command) if _HOLE.search(command) else command


def _piece(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _unquoted(match[1]) if _HOLE.search(match[1]) else match[0]
    return _HOLE.sub(_expansion, match[0])


def _unquoted(text: str) -> str:
    """Return the text in single quotes but for its holes."""
    pieces, end = [], 0
    for hole in _HOLE.finditer(text):
        pieces += [_quoted(text[end : hole.start()]), _expansion(hole)]
        end = hole.end()
    return "".join((*pieces, _quoted(text[end:])))


def _quoted(text: str) -> str:
    return f"'{text}'" if text else ""


def _expansion(match: re.Match[str]) -> str:
    if match[1] == "attempt":
        return "${SANDBOX_ATTEMPT:-1}"
    option_text = match[2] if match[2] is not None else "%"
    return "${SANDBOX_RESUME:+" + option_text.replace("%", '"$SANDBOX_RESUME"') + "}"
