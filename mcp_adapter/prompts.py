"""What a model reads beside the tools: the instructions, and prompts for people to start.

Prompts (`/` in most hosts) cost nothing until somebody picks one: the guide's patterns, in
terms of the tools. The texts are in `prompts.toml` and `instructions/`. What they say of
the place comes from the configuration, without a connection.
"""

import functools
import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from sandbox_ops.errors import UsageError
from sandbox_ops.machine.sandboxes import Surroundings

# A project's file chooses these names: nothing that could be read as a sentence.
_PLAIN = re.compile(r"[\w./@:~+-]{1,120}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the work goes on, in words.

    Attributes:
        machine: Which machine, as ` gpu1 (me@host)`; "" if nobody can say.
        project: Where the project lies there; "" if nobody can say.
        workspace: Where projects lie there.
        has_command_line: Whether `sandbox-ops` is on the PATH.
    """

    machine: str = ""
    project: str = ""
    workspace: str = "/workspace"
    has_command_line: bool = False

    @classmethod
    def of(cls, known: Surroundings | None) -> "Place":
        """Return the place that the configuration tells of."""
        has_command_line = shutil.which("sandbox-ops") is not None
        if known is None or not _PLAIN.fullmatch(known.host):
            return cls(has_command_line=has_command_line)
        is_plain = bool(_PLAIN.fullmatch(known.workspace))
        return cls(
            machine=f" {known.sandbox} ({known.host})",
            project=known.project_path if _PLAIN.fullmatch(known.project_path) else "",
            workspace=known.workspace if is_plain else "/workspace",
            has_command_line=has_command_line,
        )


@functools.cache
def specs() -> Mapping[str, Mapping[str, Any]]:
    """Return the prompts by name: `title`, `words`, `text`, `arguments`."""
    return tomllib.loads(_file("prompts.toml"))


def instructions(place: Place, *, has_workflows: bool) -> str:
    """Return what a model reads about the server as a whole.

    A line that begins with `[cli]` is for who has the command line, one with `[no cli]` for
    who has not.
    """
    text = _file(f"instructions/{'workflow' if has_workflows else 'remote'}.md")
    other, own = ("[no cli] ", "[cli] ") if place.has_command_line else ("[cli] ", "[no cli] ")  # fmt: skip
    lines = (line for line in text.splitlines() if not line.startswith(other))
    project = place.project or f"{place.workspace.rstrip('/')}/REPO"
    return (
        "\n".join(line.removeprefix(own) for line in lines)
        .replace("{machine}", place.machine)
        .replace("{project}", project)
    )


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
