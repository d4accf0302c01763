"""How this program was installed: for good, or in an environment that is thrown away.

What is written down for later (an agent's configuration, a hint) must not name a path
that is gone tomorrow.
"""

import itertools
import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = "sandbox-ops"
_UV_CACHED = re.compile(r"(?:archive|builds|environments)-v\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An environment that this program runs from.

    Attributes:
        prefix: The environment's folder.
        runner: What made it for one run, `uvx` or `pipx`; "" where it stays.
        tool: What keeps it as a tool of the user's, `uv` or `pipx`; "" for an
            ordinary environment.
        source: What the package was installed from: its name, a URL or a path.
    """

    prefix: Path
    runner: str = ""
    tool: str = ""
    source: str = PACKAGE

    def run_again(self, program: str) -> tuple[str, ...]:
        """The command that runs a program of this package through the runner."""
        if self.runner == "uvx":
            return ("uvx", "--from", self.source, program)
        return ("pipx", "run", "--spec", self.source, program)

    def add(self, extra: str, packages: Sequence[str]) -> str:
        """The one command that adds what an extra brings."""
        with_extra = self._with(extra)
        if self.runner:
            again = Installation(
                prefix=self.prefix, runner=self.runner, source=with_extra
            )
            return shlex.join(again.run_again(PACKAGE))
        if self.tool == "pipx":
            return shlex.join(["pipx", "inject", PACKAGE, *packages])
        if self.tool == "uv":
            return shlex.join(["uv", "tool", "install", with_extra])
        return shlex.join([sys.executable, "-m", "pip", "install", with_extra])

    def _with(self, extra: str) -> str:
        if "://" in self.source:
            return f"{PACKAGE}[{extra}] @ {self.source}"
        return f"{self.source}[{extra}]"


def current() -> Installation:
    """The installation that runs now."""
    return describe(Path(sys.prefix), _source())


def describe(prefix: Path, source: str = PACKAGE) -> Installation:
    """What an environment's place says of it. Pure."""
    parts = prefix.parts
    runner = tool = ""
    if any(_UV_CACHED.fullmatch(part) for part in parts):
        runner = "uvx"
    elif "pipx" in parts and "venvs" in parts:
        tool = "pipx"
    elif "pipx" in parts:
        runner = "pipx"
    elif ("uv", "tools") in itertools.pairwise(parts):
        tool = "uv"
    return Installation(prefix=prefix, runner=runner, tool=tool, source=source)


def _source() -> str:
    """What pip or uv noted that the package was installed from (PEP 610)."""
    try:
        noted = json.loads(
            metadata.distribution(PACKAGE).read_text("direct_url.json") or "{}"
        )
    except (metadata.PackageNotFoundError, ValueError):
        return PACKAGE
    url = str(noted.get("url", ""))
    if vcs := noted.get("vcs_info"):
        return f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}".rstrip("@")
    return url.removeprefix("file://") or PACKAGE
