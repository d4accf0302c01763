"""OpenSSH's master connections: found, opened without questions, ended.

A master is a socket (ssh_config(5), ControlPath) and an `ssh` behind it. One that the
user has already is used, so a second factor is asked by ssh itself, when that was opened;
else one is opened that asks nothing. Where the server allows no further session on it
(MaxSessions), a further one is opened beside it. Only `login` asks, in the terminal.
"""

import contextlib
import fcntl
import hashlib
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox_ops.errors import ConnectError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import openssh_config, openssh_failures
from sandbox_ops.ssh.openssh_program import (
    TIMED_OUT,
    ask,
    can_be_socket,
    last_line,
    private_folder,
)

BATCH = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes")
MOST = 4
"""So many masters one machine has at most: forty sessions, by sshd's own default."""
_CHECK_S = 5.0
_CONNECT_S = 10.0
_IDLE_S = 600
_LOOK_UP_S = 10.0
_ATTEMPTS = 6
_NO_MASTER = 255  # as ssh exits
_DROPPED = (
    "kex_exchange_identification",
    "Exceeded MaxStartups",
    "Not allowed at this time",
)
"""MaxStartups of sshd_config(5) drops connections at random when many come at once."""
_ALIVE = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
_PATIENT = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8")
"""A connection that cost a second factor is given two minutes to come back."""


class Master:
    """One master connection to a machine.

    Args:
        config: The machine; its options go in as ssh's own.
        number: 0: the one that the user may have; from 1 on: further ones of ours.
    """

    def __init__(self, config: SandboxConfig, number: int = 0) -> None:
        self._config = config
        self.number = number
        self._path = ""

    def options(self) -> tuple[str, ...]:
        """Return the options that say which machine is meant."""
        lookup = openssh_config.lookup_of(self._config)
        options = [word for word in lookup[1:-2] if word not in {"-G", "-T"}]
        if self._config.known_hosts:
            options += ["-o", f"UserKnownHostsFile={self._config.known_hosts}"]
        return tuple(options)

    @property
    def path(self) -> str:
        """Its socket: where ssh_config says, else in a folder of ours.

        Raises:
            ConnectError: ssh cannot read its configuration.
            DeniedError: Another user owns the folder.
        """
        if not self._path:
            configured = "" if self.number else self._configured_path()
            self._path = configured or self._own_path()
        return self._path

    def _configured_path(self) -> str:
        """Return what ssh_config says, unless no socket can be there."""
        done = ask(("ssh", *self.options(), "-G", "--", self._config.host), _LOOK_UP_S)
        if done.returncode != 0:
            raise ConnectError(
                f"cannot reach {self._config.host}: {last_line(done.stderr)}",
                f"Correct your ssh_config; see how ssh reads it: ssh -G {self._config.host}",
            )
        for line in done.stdout.splitlines():
            name, _, value = line.partition(" ")
            if name == "controlpath" and value != "none":
                return value if can_be_socket(Path(value)) else ""
        return ""

    def _own_path(self) -> str:
        text = "\0".join((self._config.host, *self.options()))
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        further = f"-{self.number}" if self.number else ""
        return f"{private_folder()}/{name}{further}.ssh"

    def is_open(self) -> bool:
        """Whether a process listens at its socket."""
        return self._control("check").returncode == 0

    def is_hung(self) -> bool:
        """Whether a process has its socket, and does not answer: it is suspended."""
        return self._control("check").returncode == TIMED_OUT

    def end(self) -> bool:
        """End it; return whether it was open."""
        return self._control("exit").returncode == 0

    def _control(self, act: str) -> subprocess.CompletedProcess[str]:
        if not Path(self.path).exists():  # ssh would say no more, 8 ms later
            return subprocess.CompletedProcess((), _NO_MASTER, "", "no such socket")
        arguments = ("-S", self.path, "-O", act, "--", self._config.host)
        return ask(("ssh", *self.options(), *arguments), _CHECK_S)

    def session_command(self, command: str) -> tuple[str, ...]:
        """Return the argv of a session of it: of it or none, never a second login."""
        return (*self._through(), "-T", "--", self._config.host, command)

    def port_command(self, port: int) -> tuple[str, ...]:
        """Return the argv of a connection through it to the machine's own `port`."""
        target = f"127.0.0.1:{port}"
        return (*self._through(), "-W", target, "--", self._config.host)

    def _through(self) -> tuple[str, ...]:
        return (
            "ssh", *self.options(), "-S", self.path, "-o", "ControlMaster=no",
            *BATCH, "-o", "ProxyCommand=false",
        )  # fmt: skip

    def login_command(self) -> tuple[str, ...]:
        """Return the argv that opens it in this terminal, and may ask there.

        It lasts until the connection does, or `end`.
        """
        return self._command("ControlPersist=yes", *_PATIENT)

    def _command(self, persist: str, *more: str) -> tuple[str, ...]:
        # `auto` takes away the socket of a master that was killed; `yes` does not
        return (
            "ssh", *self.options(), "-S", self.path, "-o", "ControlMaster=auto",
            "-o", persist, *more, "-N", "-f", "-T", "--", self._config.host,
        )  # fmt: skip

    def open(self, within_s: float | None = None) -> None:
        """Open it without questions, unless it is; of many processes one does.

        Raises:
            AuthenticationError: The machine wants more than a key that can be used
                without a question.
            HostKeyError: ssh does not accept the host key.
            HungMasterError: The process that has its socket does not answer.
            ConnectError: It says why it cannot connect.
        """
        code = self._control("check").returncode
        if code == TIMED_OUT:
            raise openssh_failures.HungMasterError(self._config)
        if code == 0:
            return
        ends_at = time.monotonic() + (within_s or _CONNECT_S)
        with self._alone(ends_at):
            for attempt in range(_ATTEMPTS):
                if self.is_open():
                    return
                complaint = self._try(max(1.0, ends_at - time.monotonic()))
                if complaint is None:
                    return
                # jitter: many clients must not come back together
                pause_s = min(0.1 * 2**attempt, 2) * random.uniform(0.5, 1.5)  # noqa: S311
                dropped = any(phrase in complaint for phrase in _DROPPED)
                left_s = ends_at - time.monotonic()
                if not dropped or attempt == _ATTEMPTS - 1 or left_s < pause_s:
                    raise openssh_failures.explained(
                        self._config, complaint, is_further=self.number > 0
                    )
                threading.Event().wait(pause_s)

    def _try(self, within_s: float) -> str | None:
        """Try once; return what ssh complained of, None where it did not."""
        timeout = f"ConnectTimeout={max(1, round(within_s))}"
        command = self._command(
            f"ControlPersist={_IDLE_S}", *BATCH, *_ALIVE, "-o", timeout
        )
        done = ask(command, within_s + _CHECK_S)
        return None if done.returncode == 0 or self.is_open() else done.stderr

    @contextlib.contextmanager
    def _alone(self, ends_at: float) -> Iterator[None]:
        """Hold the lock for opening it: a second ssh would be no master, and would stay."""
        name = hashlib.sha256(self.path.encode()).hexdigest()[:12]
        file = f"{private_folder()}/{name}.lock"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > ends_at:
                    raise ConnectError(
                        f"cannot reach {self._config.host}: another process has been "
                        "connecting to it all the time"
                    )
                threading.Event().wait(0.05)
            yield
        finally:
            os.close(descriptor)


def end_all(config: SandboxConfig) -> bool:
    """End every master connection to a machine; return whether there was any.

    Raises:
        ConnectError: ssh cannot read its configuration.
    """
    first, *further = (Master(config, number) for number in range(MOST))
    there = [first, *(each for each in further if Path(each.path).exists())]
    return max([master.end() for master in there])  # each of them, not up to the first
