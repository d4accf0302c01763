"""What a command said, cut to what fits into an answer. Pure."""

from sandbox_ops.models import CommandResult, Output
from sandbox_ops.text import clean, formatting, marks
from sandbox_ops.text.step_words import StepWords

_SAMPLE = 4_000
_NUMBERS = 4_000
"""How much is shown of numbers that are too many: nobody reads them, all cost a lot."""


def shown(result: CommandResult, steps: StepWords, limit: int) -> str:
    """Return stdout, then stderr, which get half the room each where both are long.

    Args:
        result: Of the command.
        steps: How it is stdout what reads the rest.
        limit: How many characters there may be.
    """
    folder = result.job.log_path.rpartition("/")[0]
    out, err = _Stream(result.stdout), _Stream(result.stderr, folder)
    if len(out) + len(err) > limit and out.is_numbers:
        limit = _NUMBERS
    half = limit // 2
    room = max(half, limit - len(err))
    stdout = out.shown(room, result.job.log_path, steps)
    stderr = err.shown(max(half, limit - len(out)), result.job.stderr_path, steps)
    border = marks.note("stderr") if stdout and stderr else ""
    return marks.join(stdout, border, stderr)


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
            text = marks.remote(data)
            return text.replace(script, "line ") if script else text

        if self._whole:
            self._head, self._tail = text_of(output.head + output.tail), ""
        else:
            self._head, self._tail = text_of(output.head), text_of(output.tail)

    def __len__(self) -> int:
        return len(self._head) + len(self._tail)

    @property
    def is_numbers(self) -> bool:
        """Whether most of it is digits."""
        signs = "".join((self._head[:_SAMPLE] + self._tail[-_SAMPLE:]).split())
        return sum(map(str.isdigit, signs)) > len(signs) * 0.6

    def shown(self, room: int, path: str, steps: StepWords) -> str:
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
        more = steps.read_file(path, offset=head.count("\n") + 1) if path else ""
        gap = f"{formatting.size(lost)} left out here" + (
            f"; read on: {more}" if more else ""
        )
        return marks.join(head, marks.note(gap), tail)
