"""One machine behind each kind of link, and a user who has described it to the program.

`fabric` and `openssh` lead to a real sshd, `command` and `local` to a home on this computer,
`slurm` to the login node of a real cluster (by `local`: an engine works over any link).
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command_line import cli
from gitproject import GitProject
from slurm import slurm_cluster
from sshd import start_sshd

Settings = dict[str, object]
LINKS = ("fabric", "openssh", "command", "local", "slurm")


@dataclass(frozen=True)
class LinkedMachine:
    """A machine that the user calls `box`, and the user's environment.

    Attributes:
        home: `$HOME` of what runs there.
    """

    link: str
    home: Path
    git: GitProject
    env: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of the user's programs."""
        return {**os.environ, **self.env}

    def verb(self, *words: str, timeout_s: float = 90) -> tuple[int, str, str]:
        """Run the program in the clone; return exit code, stdout and stderr."""
        done = cli(*words, cwd=self.git.clone, env=self.env, timeout_s=timeout_s)
        return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def linked_machine(
    link: str, folder: Path, git_project: GitProject
) -> Iterator[LinkedMachine]:
    """Start the machine of a link and describe it in the user's own configuration.

    Args:
        link: One of `LINKS`.
        folder: Of the test; it is not there yet.
        git_project: Whose clone the user stands in.
    """
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        # sockets of ssh's own connections need a short path
        sockets = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
        env = {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": sockets,
            "SANDBOX_OPS_AGENT_IDLE_S": "60",
        }
        if link in {"fabric", "openssh"}:
            home, settings = _server(link, folder, stack)
        else:
            home, settings = _this_computer(link, folder, env, stack)
        _describe(folder / "config", {"workspace": str(workspace), **settings})
        machine = LinkedMachine(link, home, git_project, env)
        stack.callback(_end, machine)
        yield machine


def _server(
    link: str, folder: Path, stack: contextlib.ExitStack
) -> tuple[Path, Settings]:
    server = stack.enter_context(start_sshd(folder / "server"))
    config = str(server.ssh_config)
    return server.home, {"host": "box", "ssh_config": config, "link": link}


def _this_computer(
    link: str, folder: Path, env: dict[str, str], stack: contextlib.ExitStack
) -> tuple[Path, Settings]:
    home = folder / "home"
    home.mkdir()
    if link == "command":
        return home, {"link": {"command": ["env", f"HOME={home}", "sh"]}}
    env["HOME"] = str(home)
    if link == "local":
        return home, {"link": "local"}
    # short: Slurm's daemons make sockets of up to 108 bytes below it
    short = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
    short.chmod(0o755)  # munge wants that every user may enter it
    cluster = stack.enter_context(slurm_cluster(short / "cluster", nodes=1))
    env |= cluster.environment
    return home, {"link": "local", "engine": "slurm"}


def _describe(config_home: Path, settings: Settings) -> None:
    lines = ['default = "box"', "[sandboxes.box]"]
    for name, value in settings.items():
        if isinstance(value, dict):
            ((key, inner),) = value.items()
            lines.append(f"{name} = {{ {key} = {json.dumps(inner)} }}")
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    file = config_home / "sandbox-ops" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)


def _end(machine: LinkedMachine) -> None:
    """End what keeps connections, whatever the test did."""
    if machine.link == "openssh":
        machine.verb("logout")
    if machine.link == "fabric":
        machine.verb("agent", "--stop")
