"""What a model reads beside tools: lines that fit the case, texts with their holes filled. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox_ops.errors import UsageError

_SHOWN = 80


def chosen(text: str, marks: Mapping[str, bool]) -> str:
    """Return a text without the lines that begin with a mark that does not hold: `[cli] `."""
    for mark, holds in marks.items():
        line = re.compile(rf"^\[{re.escape(mark)}\] (.*\n?)", re.MULTILINE)
        text = line.sub(r"\1" if holds else "", text)
    return text.rstrip("\n")


def filled(
    specs: Mapping[str, Mapping[str, Any]], name: str, sent: Mapping[str, str] | None
) -> str:
    """Return the message of a prompt.

    Args:
        specs: The prompts by name: `text`, and `arguments`, each with what is `absent`.
        name: Of the prompt.
        sent: The arguments that were given.

    Raises:
        UsageError: There is no such prompt, or it takes no such argument.
    """
    if name not in specs:
        known = ", ".join(specs)
        raise UsageError(f"Unknown prompt: {name[:_SHOWN]}. There are: {known}.")
    prompt = specs[name]
    arguments = prompt.get("arguments", {})
    values = {key: value.strip() for key, value in (sent or {}).items()}
    for key in values.keys() - arguments.keys():
        takes = ", ".join(arguments) or "none"
        raise UsageError(f"{name} has no argument {key[:_SHOWN]}. It takes: {takes}.")
    holes = {key: values.get(key) or each["absent"] for key, each in arguments.items()}
    return str(prompt["text"].format(**holes))
