"""The training command: a template with `{holes}`, and settings that fill them. Pure."""

import re
import shlex
from collections.abc import Mapping

from sandbox_ops.errors import NextStep, UsageError

_PIECE = re.compile(r"\{\{|\}\}|(?<!\$)\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}")


def holes(template: str) -> tuple[str, ...]:
    """Return the names of the holes, each once, in their order.

    `${VARIABLE}` is the shell's, and `{{` and `}}` stand for single braces.
    """
    names = (match[1] for match in _PIECE.finditer(template))
    return tuple(dict.fromkeys(name for name in names if name))


def fill(template: str, settings: Mapping[str, str]) -> str:
    """Return the configured command with every hole filled, values quoted for the shell.

    Raises:
        UsageError: A hole has no setting, or a setting no hole; names them.
    """
    wanted = holes(template)
    _refuse_unknown(wanted, settings, template)
    missing = [name for name in wanted if name not in settings]
    if missing:
        values = dict.fromkeys(missing, "VALUE")
        raise UsageError(
            f"the training command needs {', '.join(missing)}: {template}",
            NextStep("train", {"set": values}, "Give it"),
            "Braces of the shell's own are written {{ and }} in sandbox.toml.",
        )
    braces = {"{{": "{", "}}": "}"}
    return _PIECE.sub(
        lambda match: braces.get(match[0]) or shlex.quote(settings[match[1]]), template
    )


def fill_given(command: str, settings: Mapping[str, str]) -> str:
    """Return a command that was typed, with just the holes filled that are set.

    All else in it, braces too, is the shell's.

    Raises:
        UsageError: A setting has no hole; names it.
    """
    wanted = holes(command)
    _refuse_unknown(wanted, settings, command)
    return _PIECE.sub(
        lambda match: (
            shlex.quote(settings[match[1]]) if match[1] in settings else match[0]
        ),
        command,
    )


def _refuse_unknown(
    wanted: tuple[str, ...], settings: Mapping[str, str], command: str
) -> None:
    unknown = [name for name in settings if name not in wanted]
    if unknown:
        known = ", ".join(wanted) or "none"
        raise UsageError(
            f"the command has no {{{unknown[0]}}} to set: {command}",
            f"It can be set: {known}.",
        )
