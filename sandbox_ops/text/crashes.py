"""What a log says of how a program died: its traceback, exhausted GPU memory. Pure."""

import re
from collections.abc import Iterator

from sandbox_ops.text.log_warnings import LogWarning

_TRACEBACK = "Traceback (most recent call last)"
_OUT_OF_MEMORY = ("CUDA out of memory", "torch.OutOfMemoryError", "CUDA_ERROR_OUT_OF")
_LAUNCHERS = ("torch.distributed.elastic", "subprocess.CalledProcessError")
_UNFINISHED = "its end is not in the log yet"
_MAX_WARNING = 300
_MAX_TRACEBACKS = 50
_FRAMES = re.compile(r"\s|\.\.\.|[-|+ ]{3,}")


def warnings(text: str) -> tuple[LogWarning, ...]:
    """Return a warning for the last traceback, and one for exhausted GPU memory.

    A launcher's own traceback, which says only that a process of it failed, is reported
    only where there is no other.
    """
    objections = []
    exceptions = list(_exceptions(text))
    if exceptions:
        own = [each for each in exceptions if not each.startswith(_LAUNCHERS)]
        last = (own or exceptions)[-1]
        objections.append(
            LogWarning(
                "traceback",
                f"traceback: {last}"[:_MAX_WARNING],
                last.partition(":")[0][:_MAX_WARNING],
            )
        )
    if any(phrase in text for phrase in _OUT_OF_MEMORY):
        objections.append(LogWarning("out-of-memory", "CUDA out of memory"))
    return tuple(objections)


def _exceptions(text: str) -> Iterator[str]:
    """Yield the exception that ends each of the last tracebacks."""
    *before, _ = parts = text.rsplit(_TRACEBACK, _MAX_TRACEBACKS)
    for ahead, after in zip(before, parts[1:], strict=True):
        prefix = ahead[max(ahead.rfind("\n"), ahead.rfind("\r")) + 1 :]
        yield _exception(prefix, after)  # the prefix: torchrun's `[rank0]: `


def _exception(prefix: str, after: str) -> str:
    """Return the first line after a traceback's indented ones."""
    for line in re.split(r"[\r\n]", after)[1:]:
        text = line.removeprefix(prefix).rstrip()
        if text and not _FRAMES.match(text):
            return text
    return _UNFINISHED
