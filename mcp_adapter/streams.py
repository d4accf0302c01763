"""What a command said, cut to what fits into an answer. Pure."""

from mcp_adapter.calls import Calls
from sandbox_ops.models import CommandResult, Output
from sandbox_ops.text import clean, formatting, marks


def shown(result: CommandResult, calls: Calls, limit: int) -> str:
    """Return stdout, then stderr, which get half the room each where both are long.

    Args:
        result: Of the command.
        calls: How the call is written that reads what is left out.
        limit: How many characters there may be.
    """
    folder = result.job.log_path.rpartition("/")[0]
    out, err = _Stream(result.stdout), _Stream(result.stderr, folder)
    half = limit // 2
    room = max(half, limit - len(err))
    said = out.shown(room, result.job.log_path, calls)
    complained = err.shown(max(half, limit - len(out)), result.job.stderr_path, calls)
    border = marks.note("stderr") if said and complained else ""
    return marks.join(said, border, complained)


class _Stream:
    """What a command said on one stream, as text.

    Args:
        output: All of it, or its two ends with a gap between.
        folder: Of the job, where its shell complains by the path of its script.
    """

    def __init__(self, output: Output, folder: str = "") -> None:
        self._size_bytes = output.size_bytes
        self._whole = not output.omitted_bytes
        # bash has the whole path before each complaint, which tells nothing
        script = f"{folder}/command: line " if folder else ""

        def text_of(data: bytes) -> str:
            said = marks.remote(data)
            return said.replace(script, "line ") if script else said

        if self._whole:
            self._head, self._tail = text_of(output.head + output.tail), ""
        else:
            self._head, self._tail = text_of(output.head), text_of(output.tail)

    def __len__(self) -> int:
        return len(self._head) + len(self._tail)

    def shown(self, room: int, path: str, calls: Calls) -> str:
        """Return it, or its two ends and between them how the rest is read."""
        if self._whole and len(self) <= room:
            return self._head
        if self._whole:
            head, _, tail = clean.head_tail(self._head, room)
            lost = len(self._head.encode()) - len(head.encode()) - len(tail.encode())
        else:
            head, tail = (
                clean.head(self._head, room // 2),
                clean.tail(self._tail, room // 2),
            )
            lost = self._size_bytes - len(head.encode()) - len(tail.encode())
        # A line of the text is a line of the file: nothing above adds or removes one.
        more = calls.read_file(path, offset=head.count("\n") + 1) if path else ""
        gap = f"{formatting.size(lost)} left out here" + (
            f"; read on: {more}" if more else ""
        )
        return marks.join(head, marks.note(gap), tail)
