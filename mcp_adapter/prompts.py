"""Prompts: the patterns of the guide, for people to start (`/` in most hosts).

They cost nothing until somebody picks one. Each is one message to the model, in terms of
the tools, with the rules that are easily forgotten. The texts are in `prompts.toml`, and
the server's instructions in `instructions/`.
"""

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from sandbox_ops.errors import UsageError


@functools.cache
def specs() -> Mapping[str, Mapping[str, Any]]:
    """Return the prompts by name: `title`, `words`, `text`, `arguments`."""
    return tomllib.loads(_file("prompts.toml"))


def instructions(*, has_workflows: bool) -> str:
    """Return what a model reads about the server as a whole."""
    name = "workflow" if has_workflows else "remote"
    return _file(f"instructions/{name}.md").rstrip()


def filled(name: str, sent: Mapping[str, str] | None) -> str:
    """Return the message of a prompt.

    Raises:
        UsageError: There is no such prompt, or it takes no such argument.
    """
    if name not in specs():
        known = ", ".join(specs())
        raise UsageError(f"Unknown prompt: {name[:80]}. There are: {known}.")
    prompt = specs()[name]
    arguments = prompt.get("arguments", {})
    values = {key: value.strip() for key, value in (sent or {}).items()}
    for key in values.keys() - arguments.keys():
        takes = ", ".join(arguments) or "none"
        raise UsageError(f"{name} has no argument {key[:80]}. It takes: {takes}.")
    holes = {key: values.get(key) or each["absent"] for key, each in arguments.items()}
    return str(prompt["text"].format(**holes))


def _file(name: str) -> str:
    return resources.files("mcp_adapter").joinpath(name).read_text("utf-8")
