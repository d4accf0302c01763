"""One machine, one project and one client's computer, in a folder of a known layout.

Everything that is checked afterwards can be found from the folder alone, so that a
checker can be another process, and the client a person or a model.
"""

import contextlib
import functools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import processes
from containers import Container
from gitproject import GitProject, make_git_project
from mounts import Mounts, private_mounts
from sshd import SshServer, start_sshd

PROGRAMS = Path(__file__).with_name("programs")
MARKER = "AGENT_EVAL"
SMALL_DISK = "size=24m,mode=700"
Kind = Literal["plain", "container", "small-disk"]

_PROJECT = """
[project]
outputs = ["models/"]
[project.train]
command = "python3 train.py --lr {lr}"
"""
_SSH_CONFIG = """\
ControlMaster auto
ControlPath {control}
ControlPersist 60
ServerAliveInterval 5
ConnectTimeout 10
Include {known}
"""


@dataclass
class Layout:
    """Where things lie in the folder of a world."""

    folder: Path

    @property
    def truth(self) -> Path:
        """What the programs noted of themselves; no client looks here."""
        return self.folder / "truth"

    @property
    def home(self) -> Path:
        """The home on the machine."""
        return self.folder / "server" / "home"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def git(self) -> GitProject:
        """The project: its remote, and the clone on the client's computer."""
        place, name = self.folder / "git", "bucket-brigade"
        return GitProject(origin=place / f"{name}.git", clone=place / name)

    @property
    def remote_clone(self) -> Path:
        return self.workspace / self.git.name

    @property
    def answers(self) -> Path:
        """What the client says it learned, as a JSON object."""
        return self.folder / "answers.json"

    @property
    def client(self) -> Path:
        return self.folder / "client"

    def read_answers(self) -> dict[str, str]:
        """Return what the client said; nothing where there is no such file."""
        with contextlib.suppress(FileNotFoundError):
            answers = json.loads(self.answers.read_text("utf-8"))
            return {str(key): str(value) for key, value in answers.items()}
        return {}


@dataclass
class World(Layout):
    """A world that runs.

    Attributes:
        server: The machine; stopped and started by faults.
        environment: Of everything that the client starts.
        step_s: How long the program of the scenario takes.
    """

    server: SshServer
    environment: dict[str, str]
    mounts: Mounts | None = None
    step_s: float = 6.0
    said: dict[str, str] = field(default_factory=dict)

    @property
    def project_path(self) -> str:
        """Of the clone on the machine."""
        return str(self.remote_clone)

    def answer(self, name: str, value: str) -> None:
        """Keep what a client learned, for the checker."""
        self.said[name] = value
        self.answers.write_text(json.dumps(self.said), "utf-8")

    def plain(self, text: str) -> str:
        """Return text with the paths that a user's machines would have."""
        for path, usual in (
            (self.workspace, "/workspace"),
            (self.home, "/home/you"),
            (self.git.clone, "/home/you/code/bucket-brigade"),
            (self.git.url, "git@github.com:you/bucket-brigade.git"),
        ):
            text = text.replace(str(path), usual)
        return text

    def kill_client(self) -> None:
        """Kill every program that the client has started, as a crash does."""
        for pid in self.client_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def client_processes(self) -> dict[int, str]:
        return processes.carrying(f"{MARKER}={self.folder}")

    def fill_disk(self) -> None:
        """Leave no room on the machine's disks."""
        assert self.mounts
        for disk in (self.home, self.workspace):
            self.mounts.fill(disk)


@contextlib.contextmanager
def world(folder: Path, kind: Kind = "plain") -> Iterator[World]:
    """Make a world in a folder, which is made; end all of it at the end.

    Raises:
        Failed: It is no "plain" one, and we are not root.
    """
    place = Layout(folder)
    place.truth.mkdir(parents=True)
    make_git_project(folder / "git", files=_files())
    with contextlib.ExitStack() as ending:
        mounts = None
        if kind == "small-disk":
            mounts = ending.enter_context(private_mounts())
        server = _server(place, kind, mounts)
        ending.callback(server.close)
        made = World(folder, server, _environment(place), mounts)
        ending.callback(lambda: processes.end(made.client_processes()))
        _client(made, ending)
        yield made


def _files() -> dict[str, str]:
    names = ("train.py", "step.py", "check.py")
    files = {name: (PROGRAMS / name).read_text("utf-8") for name in names}
    return {**files, ".gitignore": "models/\nlogs/\nresults/\nstderr\n"}


def _server(place: Layout, kind: Kind, mounts: Mounts | None) -> SshServer:
    server_kind = SshServer
    if kind == "container":
        boot_id = place.folder / "boot_id"
        boot_id.write_text(f"{0:036x}\n")
        server_kind = functools.partial(Container, boot_id=boot_id)  # type: ignore[assignment]
    start = functools.partial(
        start_sshd,
        place.folder / "server",
        environment={"EVAL_TRUTH": str(place.truth)},
        kind=server_kind,
    )
    place.workspace.mkdir()
    server = mounts.do(start) if mounts else start()
    if mounts:
        for disk in (place.home, place.workspace):
            mounts.tmpfs(disk, SMALL_DISK)
    identity = "[user]\nname = Somebody There\nemail = there@example.com\n"
    write = functools.partial((place.home / ".gitconfig").write_text, identity, "utf-8")
    mounts.do(write) if mounts else write()
    return server


def _environment(place: Layout) -> dict[str, str]:
    programs = [str(place.client / "bin"), str(Path(sys.executable).parent)]
    return {
        MARKER: str(place.folder),
        "HOME": str(place.client / "home"),
        "XDG_CONFIG_HOME": str(place.client / "config"),
        "XDG_STATE_HOME": str(place.client / "state"),
        "XDG_RUNTIME_DIR": str(place.client / "run"),
        "SANDBOX_OPS_AGENT_IDLE_S": "10",  # as for everybody, but that it ends sooner
        "PATH": os.pathsep.join([*programs, os.environ["PATH"]]),
    }


def _client(made: World, ending: contextlib.ExitStack) -> None:
    """Give the client's computer its ssh, and its configuration of sandbox-ops."""
    for name in ("bin", "home", "run"):
        (made.client / name).mkdir(parents=True, mode=0o700)
    # the path of a Unix socket may not be long
    sockets = ending.enter_context(tempfile.TemporaryDirectory(prefix="ssh-"))
    config = made.client / "ssh_config"
    known = made.server.ssh_config
    config.write_text(_SSH_CONFIG.format(control=f"{sockets}/%C", known=known), "utf-8")
    for program in ("ssh", "scp"):
        script = made.client / "bin" / program
        real = shutil.which(program)
        script.write_text(f'#!/bin/sh\nexec {real} -F {config} "$@"\n', "utf-8")
        script.chmod(0o755)
    made.server.write_toml(
        made.git.clone,
        _PROJECT,
        config_home=Path(made.environment["XDG_CONFIG_HOME"]),
        workspace=str(made.workspace),
    )
    text = (made.git.clone / "sandbox.toml").read_text("utf-8")
    made.git.commit({"sandbox.toml": text}, "Configure the machine", push=True)
