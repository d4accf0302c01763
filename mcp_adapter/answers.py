"""What goes back to the model: text with an exit of its own; errors, as calls say them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcp_adapter.calls import Calls
from sandbox_ops.errors import AuthenticationError, NextStep, SandboxError
from sandbox_ops.models import CommandResult
from sandbox_ops.text import command_words, marks, remote_text
from sandbox_ops.text.command_words import LIMIT

KEEP_BYTES = 1 << 18
"""How much of each end of a command's output is worth bringing here."""

_DEFAULT = Calls()
_ERROR_LINE = 2_000  # an error quotes what was sent, however long that is


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What goes back to the model, and the exit that its text passes on the way.

    There is none whose text was not made safe, or is longer than `LIMIT`.

    Attributes:
        report: What the text says, as a value, or the error; None: there is none.
    """

    text: str
    is_error: bool = False
    report: object = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Make the text safe, and cut its middle out where it is too long."""
        object.__setattr__(self, "text", marks.fitted(marks.shown(self.text), LIMIT))


def of_several(
    parts: Mapping[str, ToolAnswer], headline: Sequence[str], *, ok: bool
) -> ToolAnswer:
    """Return what several machines answered as one answer."""
    answer = ToolAnswer("", is_error=not ok)
    texts = {name: part.text for name, part in parts.items()}
    # its parts are safe already: once more, and our notes in them would be a machine's
    object.__setattr__(answer, "text", marks.of_several(texts, headline, LIMIT))
    return answer


def error(
    problem: SandboxError, calls: Calls = _DEFAULT, *, no_agent: bool = False
) -> ToolAnswer:
    """Say what is wrong and what to do next.

    Args:
        problem: What the library says.
        calls: How the next calls are written.
        no_agent: Whether we were started without the way to the user's ssh agent.
    """
    lines = calls.error_text(problem).split("\n")
    failed = isinstance(problem, AuthenticationError)
    return ToolAnswer(
        marks.join(
            *(marks.cut(line, _ERROR_LINE) for line in lines),
            _no_agent_words(calls) if no_agent and failed else "",
        ),
        is_error=True,
        report=problem,
    )


def _no_agent_words(calls: Calls) -> str:
    return (
        "SSH_AUTH_SOCK is not set for this server, as hosts strip it: a key in an ssh"
        " agent is out of reach. The host hands it on after this, once it is restarted"
        f" from a terminal that has it: {calls.of(NextStep('mcp-install'))}"
    )


def bug(problem: Exception) -> ToolAnswer:
    """Say that it is our fault."""
    what = remote_text.masked(f"{type(problem).__name__}: {problem}")[:500]
    return ToolAnswer(
        f"internal error in sandbox-ops: {what}\nThe traceback is in the server's log.",
        is_error=True,
    )


def command(
    result: CommandResult, line: str, timeout_s: float, calls: Calls = _DEFAULT
) -> ToolAnswer:
    """Say how a command ended; a failure is an error."""
    text = command_words.ended(result, line, timeout_s, calls)
    return ToolAnswer(text, is_error=not result.ok)
