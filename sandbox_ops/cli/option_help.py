"""How `--help` shows an option: with what it takes, in the words of the docs. Pure."""

from collections.abc import Iterator

from invoke import Argument, ParserContext

_PLACEHOLDERS = {
    "command": "COMMAND",
    "cwd": "DIR",
    "env": "NAME",
    "env-file": "FILE",
    "filter": "REGEX",
    "fingerprint": "SHA256:...",
    "for": "REGEX",
    "force": "NAME",
    "grace": "SECONDS",
    "gpus": "N",
    "interval": "SECONDS",
    "into": "DIR",
    "keep": "DIR",
    "limit": "N",
    "lines": "N",
    "on": "NAMES",
    "sandbox": "NAME",
    "set": "NAME=VALUE",
    "time": "SPAN",
    "timeout": "SPAN",
}
"""What stands for the value of an option; of others their own name does."""


def tuples(context: ParserContext) -> list[tuple[str, str]]:
    """Return each option as it is typed, with its help; by name, in Invoke's order."""
    described: list[tuple[str, str]] = []
    for shown, help_text in context.help_tuples():
        names = [name.partition("=")[0] for name in shown.split(", ")]
        argument = _argument(context, names)
        value = _value(argument) if argument else ""
        described.append((", ".join(_typed(names, value)), help_text or ""))
    return described


def _argument(context: ParserContext, names: list[str]) -> Argument | None:
    for name in names:
        argument: Argument | None = context.flags.get(name.partition(" ")[0])
        if argument is not None:
            return argument
    return None  # an inverse flag: it takes nothing


def _typed(names: list[str], value: str) -> Iterator[str]:
    for name in (each.partition(" ")[0] for each in names):
        glue = "=" if name.startswith("--") else " "
        yield f"{name}{glue}{value}" if value else name


def _value(argument: Argument) -> str:
    """Return the placeholder of an option's value; "" where it takes none."""
    if not argument.takes_value or argument.optional:
        return ""
    name = max(argument.names, key=len).replace("_", "-").strip("-")
    return _PLACEHOLDERS.get(name, name.upper())
