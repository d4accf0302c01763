"""What a model reads beside the tools: the instructions, and prompts for people to start.

Prompts (`/` in most hosts) cost nothing until somebody picks one: the guide's patterns, in
terms of the tools. The texts are in `prompts.toml` and `instructions/`. What they say of
the place comes from the configuration, without a connection.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from sandbox_ops.errors import UsageError
from sandbox_ops.machine.sandboxes import Surroundings


@dataclass(frozen=True, slots=True)
class Place:
    """Where the work goes on: as configured, and whether `sandbox-ops` is on the PATH."""

    known: Surroundings | None = None
    has_command_line: bool = False

    @property
    def project(self) -> str:
        """Where the project lies on the machine."""
        workspace = self.known.workspace if self.known else "/workspace"
        path = self.known.project_path if self.known else ""
        return path or f"{workspace.rstrip('/')}/REPO"


@functools.cache
def specs() -> Mapping[str, Mapping[str, Any]]:
    """Return the prompts by name: `title`, `words`, `text`, `arguments`."""
    return tomllib.loads(_file("prompts.toml"))


def instructions(place: Place, *, has_workflows: bool) -> str:
    """Return what a model reads about the server as a whole.

    A line that begins with `[cli]` is for agents that have the command line, one with `[no cli]` for
    those that have not.
    """
    text = _file(f"instructions/{'workflow' if has_workflows else 'remote'}.md")
    other, own = ("[no cli] ", "[cli] ") if place.has_command_line else ("[cli] ", "[no cli] ")  # fmt: skip
    lines = (line for line in text.splitlines() if not line.startswith(other))
    machine = f" {place.known.sandbox} ({place.known.host})" if place.known else ""
    text = "\n".join(line.removeprefix(own) for line in lines)
    return text.replace("{machine}", machine).replace("{project}", place.project)


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
