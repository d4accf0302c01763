"""Whose exit code a command line answers with.

Without `pipefail` a pipe's exit code is that of its last stage, and `tee` succeeds
whatever died before it.
"""

import shlex
from collections.abc import Iterator

_SEPARATORS = frozenset(";&\n()")
_CLOSERS = frozenset({"}", "done", "esac", "fi"})
_PREFIXES = frozenset({"sudo", "command", "exec", "time", "env", "nice", "stdbuf"})


def ends_in_tee(command: str) -> bool:
    """Say whether `tee` is the last stage of the last pipe, and its exit code the answer.

    False where that cannot be told (here-documents, odd quoting), and where the command
    itself looks after the other stages (`pipefail`, `PIPESTATUS`).
    """
    if "tee" not in command or "pipefail" in command or "PIPESTATUS" in command:
        return False
    try:
        stages = _last_pipe(command)
    except ValueError:  # a quote that is never closed
        return False
    return len(stages) > 1 and _program(stages[-1]) == "tee"


def _last_pipe(command: str) -> list[list[str]]:
    """Return the words of each stage of the last pipe."""
    stages: list[list[str]] = [[]]
    ended = False  # a new command begins with the next word
    for token in _tokens(command):
        if (
            token
            and set(token) <= {"|", "&", "\n"}
            and token.strip("\n") in {"|", "|&"}
        ):
            stages.append([])
        elif token and set(token) <= _SEPARATORS | {"|"}:
            ended = True
        elif not (ended and token in _CLOSERS):
            if ended:
                stages, ended = [[]], False
            stages[-1].append(token)
    return stages


def _tokens(command: str) -> Iterator[str]:
    """Yield words and operators, without comments.

    Raises:
        ValueError: the quoting is not balanced, or there is a here-document.
    """
    lexer = shlex.shlex(
        command.replace("\\\n", ""), posix=True, punctuation_chars="();<>|&\n"
    )
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    in_comment = False
    for token in lexer:
        if token.startswith("<<"):
            raise ValueError(token)
        in_comment = (in_comment or token.startswith("#")) and "\n" not in token
        if not in_comment:
            yield token


def _program(command_line: list[str]) -> str:
    """Return the name of the program that a stage runs."""
    for word in command_line:
        name = word.rpartition("/")[2]
        if "=" not in word and not word.startswith("-") and name not in _PREFIXES:
            return name
    return ""
