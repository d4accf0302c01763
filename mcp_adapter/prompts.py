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

from sandbox_ops.machine.sandboxes import Surroundings
from sandbox_ops.text import prompt_text


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
    those that have not, one with `[several]` for those that have several machines.
    """
    text = _file(f"instructions/{'workflow' if has_workflows else 'remote'}.md")
    known = place.known or Surroundings(sandbox="", host="", workspace="")
    cli = place.has_command_line
    marks = {"cli": cli, "no cli": not cli, "several": bool(known.machines)}
    text = prompt_text.chosen(text, marks)
    machine = f" {known.sandbox} ({known.host})" if place.known else ""
    text = text.replace("{machine}", machine).replace("{machines}", known.machines)
    return text.replace("{project}", place.project)


def filled(name: str, sent: Mapping[str, str] | None) -> str:
    """Return the message of a prompt, as `prompt_text.filled` has it."""
    return prompt_text.filled(specs(), name, sent)


def _file(name: str) -> str:
    return resources.files("mcp_adapter").joinpath(name).read_text("utf-8")
