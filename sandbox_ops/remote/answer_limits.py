"""How many bytes an answer may have: what was asked for, and room for what goes with it.

Pure. What a machine sends beyond that is no answer of ours, and its memory is not ours to
give: the link is closed.
"""

from collections.abc import Sequence

from sandbox_ops.remote.stream import PIECE_BYTES

START_UP_BYTES = 16 << 20
"""So much may start-up files print before our shell says its first word."""

_ROOM_BYTES = 4 << 20
_LOOK_BYTES = 64 << 20
_QUERY_WORDS = 6
_STARTED_BYTES = 64 << 10


def limit_bytes(verb: str, arguments: Sequence[str]) -> int:
    """Return how much the answer to a request may hold.

    Args:
        verb: As a worker has it: `do_VERB`.
        arguments: As they are sent.
    """
    if verb == "read":
        return _ROOM_BYTES + _number(arguments, 3)
    if verb == "bytes":
        return _ROOM_BYTES + _number(arguments, 2)
    if verb == "poll":
        return sum(
            _ROOM_BYTES + _number(arguments, at + 3) + _number(arguments, at + 5)
            for at in range(0, max(1, len(arguments)), _QUERY_WORDS)
        )
    if verb == "start":
        return _ROOM_BYTES + 2 * PIECE_BYTES
    if verb == "start_all":
        return _ROOM_BYTES + len(arguments) * _STARTED_BYTES
    return _LOOK_BYTES if verb == "look" else _ROOM_BYTES


def _number(arguments: Sequence[str], at: int) -> int:
    return int(arguments[at]) if at < len(arguments) else 0
