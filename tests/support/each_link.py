"""Machines that are reached by other links than Fabric, with what `SshServer` offers.

So the tests of jobs, commands, files and faults can be run over each of them as they are:
`rows` brings them into the module that overrides the fixtures.
"""

import dataclasses
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import processes
from sshd import SshServer, write_toml
from sshd_files import PLAIN_PYTHON

from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh.openssh_master import end_all

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_TESTS = Path(__file__).parents[1]


@dataclass
class OpensshServer(SshServer):
    """An sshd that is reached by the user's own `ssh`."""

    _first: SandboxConfig | None = None

    def config(self, **changes: object) -> SandboxConfig:
        config = super().config(**{"link": "openssh", **changes})
        self._first = self._first or config
        return config

    def close(self) -> None:
        """End ssh's own connection, too."""
        if self._first is not None:
            end_all(self._first)
        super().close()


class CarriedMachine:
    """A home on this computer that a command of ours leads to: `_carrier`, a script."""

    home: Path
    _carrier: Path

    def session_pids(self) -> tuple[int, ...]:
        """Return the processes that carry bytes there; not what they started."""
        here = {p.pid for p in processes.table().values() if p.parent == os.getpid()}
        carriers = processes.carrying(f"HOME={self.home}")
        return tuple(here & carriers.keys())

    def leftovers(self) -> dict[int, str]:
        """Return what still runs of all that was started there: pid, command line."""
        found = processes.carrying(f"SANDBOX_JOB={self.home}", f"HOME={self.home}")
        # of the link `local` our own programs have that home, too
        return {
            p: line for p, line in found.items() if not line.startswith(sys.executable)
        }

    def stop(self) -> None:
        """Be out of reach, as a container that is gone; what runs there lives on."""
        self._write_carrier("echo 'no such machine' >&2; exit 255")
        for pid in self.session_pids():
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End whatever was left running there."""
        processes.end(self.leftovers(), grace_s=1)

    def _write_carrier(self, text: str) -> None:
        new = self._carrier.with_suffix(".new")
        new.write_text(f"#!/bin/sh\n{text}\n")
        new.chmod(0o700)
        new.rename(self._carrier)


@dataclass
class ThisComputer(CarriedMachine):
    """A home of its own on this computer, reached without ssh.

    Attributes:
        link: "local", for which HOME has to be `home`; or "command".
    """

    home: Path
    link: str
    _configs: list[SandboxConfig] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        self._carrier = self.home.with_name(f"{self.home.name}-carrier")
        self.start()

    def config(self, **changes: object) -> SandboxConfig:
        """Return how a `Sandbox` reaches it; a new empty workspace each time."""
        workspace = self.home.with_name(
            f"{self.home.name}-workspace-{len(self._configs)}"
        )
        workspace.mkdir()
        # what a session of sshd has, and nothing of ours
        words = (
            "env", "-i", f"HOME={self.home}", f"PATH={_PATH}",
            f"PYTHONPATH={PLAIN_PYTHON}", str(self._carrier),
        )  # fmt: skip
        config = SandboxConfig(
            name="test",
            host="here",
            workspace=str(workspace),
            link="local" if self.link == "local" else words,
        )
        self._configs.append(config)
        return dataclasses.replace(config, **changes)  # type: ignore[arg-type]

    def write_toml(
        self,
        folder: Path,
        project: str = "",
        *,
        config_home: Path | None = None,
        **changes: object,
    ) -> Path:
        """Describe it as `SshServer.write_toml` does."""
        return write_toml(self.config(**changes), folder, project, config_home)

    def stop(self) -> None:
        """Be out of reach; only what a command leads to can be."""
        assert self.link == "command", "this computer cannot be out of its own reach"
        super().stop()

    def start(self) -> None:
        """Be in reach."""
        self._write_carrier('exec sh -c "$1"')

    def close(self) -> None:
        """Be gone, with whatever was left running there."""
        if self.link == "command":
            self.stop()
        super().close()


def rows(file: str, *names: str) -> Iterator[tuple[str, Any]]:
    """Yield tests of another file by their names, for the fixtures of the module that asks.

    Raises:
        AttributeError: There is no such test.
    """
    module = _load(_TESTS / file)
    for name in names:
        test = getattr(module, name)
        vars(test).pop("rows", None)  # the page names the test where it was written
        yield name, test


def _load(file: Path) -> ModuleType:
    """Import a module of tests as pytest does, so that `assert` tells what it saw."""
    name = f"rows_over_each_link.{file.stem}"
    specs = (finder.find_spec(name, [str(file.parent)]) for finder in sys.meta_path)
    spec = next(spec for spec in specs if spec is not None)
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
