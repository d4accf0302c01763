"""A real OpenSSH server on loopback, with throw-away keys and an empty home.

For a test that needs its own::

    server = make_sshd(max_sessions=1)
    with Sandbox(server.config()) as sandbox: ...
"""

import contextlib
import dataclasses
import getpass
import itertools
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import processes
import sshd_files
from waiting import wait_until

from sandbox_ops.models import SandboxConfig


@dataclass
class SshServer:
    """A running sshd. Ends with `close()`, or at the end of its `with`.

    Attributes:
        home: `$HOME` of everything that runs in its sessions; empty at the start.
        identity_file: The private key that is let in.
        known_hosts: Holds the host key, and nothing else.
        ssh_config: Knows the server as `box`, with key and known_hosts, so that
            `SandboxConfig(name=..., host="box", ssh_config=...)` is all it takes.
    """

    folder: Path
    port: int
    host: str = sshd_files.HOST
    user: str = field(default_factory=getpass.getuser)
    end_signal: ClassVar[signal.Signals] = signal.SIGTERM
    _listener: subprocess.Popen[bytes] | None = None
    _watcher: subprocess.Popen[bytes] | None = None
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def identity_file(self) -> Path:
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def log(self) -> str:
        """What sshd said so far."""
        return (self.folder / "sshd.log").read_text("utf-8", "replace")

    def config(self, **changes: object) -> SandboxConfig:
        """Return how a `Sandbox` reaches this server; a new empty workspace each time.

        Args:
            changes: Fields of `SandboxConfig` to set otherwise.
        """
        workspace = self.folder / f"workspace-{next(self._numbers)}"
        if "workspace" not in changes:
            workspace.mkdir()
        config = SandboxConfig(
            name="test",
            host=self.host,
            port=self.port,
            user=self.user,
            identity_file=str(self.identity_file),
            known_hosts=str(self.known_hosts),
            ssh_config=str(self.ssh_config),
            workspace=str(workspace),
        )
        return dataclasses.replace(config, **changes)  # type: ignore[arg-type]

    def write_toml(
        self,
        folder: Path,
        project: str = "",
        *,
        config_home: Path | None = None,
        **changes: object,
    ) -> Path:
        """Describe this server for the faces, as a user and a project do.

        The user's own file says how it is reached, a `sandbox.toml` the rest.

        Args:
            folder: Where the `sandbox.toml` goes.
            project: TOML text to append to it: the `[project]` table.
            config_home: Of the user; without it that of the tests.
            changes: As for `config`.
        """
        return write_toml(self.config(**changes), folder, project, config_home)

    def ssh(self, command: str, *, timeout_s: float = 20) -> str:
        """Run a command through OpenSSH's own client; return its standard output.

        Raises:
            AssertionError: it did not exit 0.
        """
        done = subprocess.run(
            ["ssh", "-F", self.ssh_config, "box", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{done.returncode}: {done.stderr}\n{self.log}"
        return done.stdout

    @property
    def listener_pid(self) -> int:
        """The pid of the process that accepts connections."""
        assert self._listener, "the server is stopped"
        return self._listener.pid

    def session_pids(self) -> tuple[int, ...]:
        """Return the sshd processes that serve connections now, not what they started.

        Killing them is what a dead link looks like to the machine.
        """
        return tuple(
            process.pid
            for process in processes.descendants(self.listener_pid)
            if process.name.startswith("sshd")
        )

    def leftovers(self) -> dict[int, str]:
        """Return what still runs of all that its sessions started: pid, command line.

        Processes carry its home in `SANDBOX_JOB` (our jobs) or in `HOME`.
        """
        return processes.carrying(f"SANDBOX_JOB={self.home}", f"HOME={self.home}")

    def start(self, *, busy: bool = False) -> None:
        """Start it, on the port it always had.

        Args:
            busy: Whether clients may come back at once.

        Raises:
            AssertionError: it did not answer with a banner within 30 s.
        """
        with (self.folder / "sshd.log").open("ab") as log:
            self._listener = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest, which then ends it
            )
        pid = str(self._listener.pid)
        self._watcher = subprocess.Popen(
            ["sh", "-c", f'read -r _; kill -{self.end_signal} "$0"', pid],
            stdin=subprocess.PIPE,  # ends when we do, also by SIGKILL
            start_new_session=True,
        )
        with (
            contextlib.ExitStack() as stack
        ):  # nobody has it, where it does not come up
            stack.callback(self.stop)
            wait_until(self._answers, 30, what=f"sshd's banner on port {self.port}")
            if not busy:
                wait_until(
                    lambda: not self.session_pids(), 30, what="the end of our own probe"
                )
            stack.pop_all()

    def _command(self) -> list[str]:
        config = str(self.folder / "sshd_config")
        return [sshd_files.program("sshd"), "-D", "-e", "-f", config]

    def _answers(self) -> bool:
        assert self._listener
        assert self._listener.poll() is None, f"sshd ended at once:\n{self.log}"
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.host, self.port), timeout=2) as link,
        ):
            return link.recv(8).startswith(b"SSH-2.0-")
        return False

    def stop(self, *, sessions: bool = True) -> None:
        """Stop listening. The commands that sessions started live on.

        Args:
            sessions: Whether open connections die too.
        """
        if self._listener is None:
            return
        serving = self.session_pids() if sessions else ()
        if self._watcher:
            self._watcher.kill()
            self._watcher.communicate()
        self._listener.send_signal(self.end_signal)
        self._listener.wait(10)
        self._listener = None
        processes.end(serving)

    def restart(self, *, sessions: bool = True) -> None:
        """Stop, then start on the same port with the same keys."""
        self.stop(sessions=sessions)
        self.start()

    def new_host_key(self) -> None:
        """Give it another host key, as an impostor or a rebuilt machine has.

        `known_hosts` keeps the old one. Takes effect for the next connection.
        """
        sshd_files.keygen(self.folder / "host_key")
        self.restart()

    def close(self) -> None:
        """Stop it, and end whatever its sessions have left running."""
        self.stop()
        processes.end(self.leftovers(), grace_s=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def own_config(config_home: Path | None = None) -> Path:
    """Return the user's own configuration file; without a folder that of the tests."""
    folder = config_home or Path(os.environ["XDG_CONFIG_HOME"])
    return folder / "sandbox-ops" / "config.toml"


def write_toml(
    config: SandboxConfig, folder: Path, project: str, config_home: Path | None
) -> Path:
    """Describe a machine in the user's own file, and in a `sandbox.toml` of `folder`."""
    values = dataclasses.asdict(config)
    name, workspace = values.pop("name"), values.pop("workspace")
    del values["ssh_options"], values["mode_set_in"]  # no file says them
    own = own_config(config_home)
    own.parent.mkdir(parents=True, exist_ok=True)
    usual = SandboxConfig(name=name, host="")
    entries = [
        f"{key} = {_toml(key, value)}"
        for key, value in values.items()
        if value != getattr(usual, key)
    ]
    lines = [f"[sandboxes.{name}]", *entries, ""]
    own.write_text("\n".join(lines), "utf-8")
    lines = [
        f'default = "{name}"',
        f"[sandboxes.{name}]",
        f"workspace = {json.dumps(workspace)}",
        project,
    ]
    path = folder / "sandbox.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def _toml(key: str, value: object) -> str:
    if key == "link" and isinstance(value, tuple):
        return f"{{ command = {json.dumps(value)} }}"
    return json.dumps(value)


def start_sshd(
    folder: Path,
    *,
    max_sessions: int = 10,
    extra: str = "",
    login_shell: str | None = None,
    environment: Mapping[str, str] | None = None,
    kind: Callable[..., SshServer] = SshServer,
) -> SshServer:
    """Start a server whose files all lie in `folder`, which is made.

    Args:
        folder: Made here; it may not exist.
        max_sessions: How many channels a connection may have.
        extra: Lines of sshd_config(5); they win over ours.
        login_shell: Path of another shell than the user's own to run commands in.
        environment: Variables of the sessions. `HOME` is the empty home, always.
        kind: What is made; `Container` for one.
    """
    options = sshd_files.Options(
        max_sessions=max_sessions,
        extra=extra,
        login_shell=login_shell,
        environment=environment,
    )
    server = kind(folder=folder, port=sshd_files.free_port())
    sshd_files.write(folder, server.port, server.user, options)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # else it refuses to start
    server.start()
    return server
