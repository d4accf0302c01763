"""Machines that are shells on this computer, each with a home, and can be cut off."""

import contextlib
import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import processes
from gitproject import GitProject

from sandbox_ops import Sandbox, SandboxConfig

LINK = """\
#!/bin/sh
if [ -e '{home}/unreachable' ]; then echo 'no such box' >&2; exit 255; fi
echo $$ >>'{home}/links'
HOME='{home}' exec {before}"$@"
"""


@dataclass(frozen=True)
class Machine:
    """One machine: its jobs go on while it cannot be reached."""

    name: str
    home: Path

    @property
    def link(self) -> tuple[str, ...]:
        return (str(self.home / "link"), "sh")

    def open(self) -> Sandbox:
        config = SandboxConfig(
            name=self.name, host=self.name, link=self.link, workspace=str(self.home)
        )
        return Sandbox(config)

    def cut_off(self) -> None:
        """Let no link to it live, and none begin."""
        (self.home / "unreachable").touch()
        for pid in (self.home / "links").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def come_back(self) -> None:
        (self.home / "unreachable").unlink()
        (self.home / "links").write_text("")

    @property
    def ran(self) -> list[str]:
        """What cells wrote when they ran."""
        file = self.home / "ran"
        return file.read_text().split() if file.exists() else []


def make_machine(folder: Path, name: str, before: str = "") -> Machine:
    """Make a machine.

    Args:
        folder: Where its home lies.
        name: Its name.
        before: What its processes are started by: `ip netns exec a`.
    """
    home = folder / name
    home.mkdir()
    (home / "links").touch()
    link = home / "link"
    link.write_text(LINK.format(home=home, before=f"{before} " if before else ""))
    link.chmod(0o755)
    return Machine(name=name, home=home)


def end_all(machines: list[Machine]) -> None:
    """End what was left running on the machines: jobs, and who waits for a GPU."""
    homes = [str(machine.home) for machine in machines]
    marks = [f"{name}={home}" for home in homes for name in ("HOME", "SANDBOX_JOB")]
    processes.end(processes.carrying(*marks), grace_s=1)


def ran(machines: list[Machine]) -> Counter[str]:
    """Return how often each cell ran, on all machines together."""
    return Counter(word for machine in machines for word in machine.ran)


def describe(folder: Path, machines: list[Machine]) -> dict[str, str]:
    """Write the configuration of a user who has them; return the variables that name it."""
    lines = [f'default = "{machines[0].name}"', "[groups]"]
    names = ", ".join(f'"{machine.name}"' for machine in machines)
    lines.append(f"three = [{names}]")
    for machine in machines:
        lines += [
            f"[sandboxes.{machine.name}]",
            f'link = {{ command = ["{machine.link[0]}", "sh"] }}',
            f'workspace = "{machine.home}"',
        ]
    file = folder / "config" / "sandbox-ops" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)
    return {
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
    }


def with_setup(git_project: GitProject) -> None:
    """Let the project be set up at once."""
    text = '[project]\nsetup = ["true"]\nverify = ["true"]\n'
    git_project.commit({"sandbox.toml": text}, push=True)
