"""The training command: a template with `{holes}`, and settings that fill them. Pure.

What only the machine knows, the job's id and its folder, becomes a variable of the shell.
"""

import re
import shlex
from collections.abc import Mapping

from sandbox_ops.errors import NextStep, UsageError

OF_RUN = {"job": "SANDBOX_JOB_ID", "run_dir": "SANDBOX_RUN_DIR"}
"""Holes that the machine fills, and the variables that a run finds there."""

_PIECE = re.compile(r"\{\{|\}\}|(?<!\$)\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}")

_TYPED = re.compile(rf"\{{\{{(?:job|name|run_dir)\}}\}}|{_PIECE.pattern}")


def holes(template: str) -> tuple[str, ...]:
    """Return the names of the holes, each once, in their order.

    `${VARIABLE}` is the shell's, and `{{` and `}}` stand for single braces.
    """
    names = (match[1] for match in _PIECE.finditer(template))
    return tuple(dict.fromkeys(name for name in names if name))


def fill(template: str, settings: Mapping[str, str], name: str = "") -> str:
    """Return the configured command with every hole filled, values quoted for the shell.

    Args:
        template: The command; `{job}`, `{name}` and `{run_dir}` need no setting.
        settings: Fill the other holes.
        name: Of the job; without one `{name}` is its id.

    Raises:
        UsageError: A hole has no setting, or a setting no hole; names them.
    """
    wanted = holes(template)
    _refuse_unknown(wanted, settings, template)
    missing = [hole for hole in wanted if hole not in (*settings, *OF_RUN, "name")]
    if missing:
        values = dict.fromkeys(missing, "VALUE")
        raise UsageError(
            f"the training command needs {', '.join(missing)}: {template}",
            NextStep("train", {"set": values}, "Give it"),
            "Braces of the shell's own are written {{ and }} in sandbox.toml.",
        )
    braces = {"{{": "{", "}}": "}"}
    return _PIECE.sub(
        lambda match: braces.get(match[0]) or _value(match, settings, name), template
    )


def fill_given(command: str, settings: Mapping[str, str], name: str = "") -> str:
    """Return a command that was typed, with just the holes filled that are set.

    `{job}`, `{name}` and `{run_dir}` are filled too; as `{{job}}` they are left to the
    program. All else in it, braces too, is the shell's.

    Raises:
        UsageError: A setting has no hole; names it.
    """
    wanted = holes(command)
    _refuse_unknown(wanted, settings, command)
    known = {*settings, *OF_RUN, "name"}
    return _TYPED.sub(
        lambda match: (
            match[0][1:-1]
            if match[0].startswith("{{") and match[0] != "{{"
            else _value(match, settings, name)
            if match[1] in known
            else match[0]
        ),
        command,
    )


def _value(match: re.Match[str], settings: Mapping[str, str], name: str) -> str:
    hole = match[1]
    if hole in settings:
        return shlex.quote(settings[hole])
    if hole == "name" and name:
        return shlex.quote(name)
    variable = f"${{{OF_RUN.get(hole, OF_RUN['job'])}}}"
    return _in_quotes(variable, match.string[: match.start()])


def _in_quotes(variable: str, before: str) -> str:
    """Return a variable such that the shell expands it, in quotes that are open or not."""
    quote = ""
    characters = iter(before)
    for each in characters:
        if each == "\\" and quote != "'":
            next(characters, "")
        elif not quote and each in "'\"":
            quote = each
        elif each == quote:
            quote = ""
    if quote == '"':
        return variable
    return f"'\"{variable}\"'" if quote else f'"{variable}"'


def _refuse_unknown(
    wanted: tuple[str, ...], settings: Mapping[str, str], command: str
) -> None:
    unknown = [name for name in settings if name not in wanted]
    if unknown:
        known = f"It can be set: {', '.join(wanted)}." if wanted else ""
        raise UsageError(
            f"the command has no {{{unknown[0]}}} to set: {command}",
            known or "It has no {NAME} that a setting could fill.",
        )
