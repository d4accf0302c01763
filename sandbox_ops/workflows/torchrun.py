"""torchrun: a command as torchrun runs it. Pure.

Over several nodes torchrun is told by variables of its own (`PET_...`) where the others are and
how many processes it starts: so a command that calls it already stays as it is.
"""

import re
import shlex

from sandbox_ops.errors import UsageError

_CALLS_IT = re.compile(r"(^|[\s/])torchrun\s|torch\.distributed\.(run|launch)\b")
_RUNNERS = "uv|poetry|pdm|hatch|pixi|rye|conda|mamba|micromamba"
_BEFORE = re.compile(
    rf"(?:exec\s+)?(?:env\s+)?(?:\w+=\S*\s+)*(?:(?:{_RUNNERS})\s+run\s+)?"
)
_PYTHON = re.compile(r"(?:\S*/)?python[\d.]*(?:\s+-(?:[bBdEIOPqsSuv]+|[WX]\s*\S+))*\s+")
_OPERATORS = "();<>|&\n"


def command(line: str, options: str = "") -> str:
    """Return the command that has torchrun run what a line runs.

    Args:
        line: `train.py` or `python train.py`, also behind `uv run` or variables; options of
            torchrun may stand first. A line that calls it already stays as it is.
        options: Of torchrun.

    Raises:
        UsageError: It is a line of several commands, and none of them is torchrun.
    """
    if _CALLS_IT.search(line):
        return line
    if _is_several(line):
        raise UsageError(
            f"--torchrun runs one command, and this is a line of several: {line}",
            "Write torchrun in it where it belongs, without options of its own.",
        )
    before = _BEFORE.match(line)
    begin = before.end() if before else 0
    if python := _PYTHON.match(line, begin):
        call, rest = line[: python.end()], line[python.end() :]
        return f"{call}-m torch.distributed.run {options}{rest}"
    return f"{line[:begin]}torchrun {options}{line[begin:]}"


def _is_several(line: str) -> bool:
    words = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    words.whitespace = " \t\r"
    try:
        return any(set(word) <= set(";|&\n") for word in words)
    except ValueError:  # a quote that is not closed: the shell will say so
        return False


def processes(gpus: int | None) -> int:
    """Return how many processes it starts on each machine: one a GPU."""
    return max(1, gpus or 0)


def alone(gpus: int | None) -> str:
    """Return torchrun's options on one machine: a free port, a process for each GPU."""
    return f"--standalone --nproc_per_node={processes(gpus)} "
