"""Links over the user's own `ssh`: one master connection, a process a link.

OpenSSH's ControlMaster keeps one connection for all (ssh_config(5), ControlPath). One
that the user has already is used, so a second factor is asked by ssh itself, when that
was opened; else one is opened without questions. Only `sandbox-ops login` asks: in the
terminal. Neither Fabric nor paramiko is imported here.
"""

import hashlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from sandbox_ops.errors import (
    AuthenticationError,
    ConnectError,
    DeniedError,
    HostKeyError,
    NextStep,
)
from sandbox_ops.links import (
    CHUNK_BYTES,
    LinkEnd,
    LinkError,
    SessionLimitError,
    agent_files,
)
from sandbox_ops.links.process import ProcessLink, ProcessLinks
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import openssh_config

_CHECK_S = 5.0
_CONNECT_S = 10.0
_IDLE_S = 600
_LOOK_UP_S = 10.0
_NO_SESSION = ("Session open refused", "session request failed")
_BATCH = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes")
_ALIVE = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
_PATIENT = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8")
"""A connection that cost a second factor is given two minutes to come back."""


class OpensshLinks(ProcessLinks):
    """Opens links that are sessions of one OpenSSH connection.

    Args:
        config: The machine; its options go in as ssh's own.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._control_path = ""
        self._connected = False
        super().__init__(("ssh",), config.host)

    @property
    def is_connected(self) -> bool:
        """Whether the master was there when it was last used."""
        return self._connected

    def connect(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """Find the master connection, or open one without questions.

        Raises:
            AuthenticationError: The machine wants more than a key that can be used
                without a question.
            HostKeyError: ssh does not accept the host key.
            ConnectError: There is no ssh client, or it says why it cannot connect.
        """
        del asked_at  # a second attempt is as quick as the first
        with self._lock:
            if self._connected:
                return
            super().connect()
            if not self.has_master():
                self._open_master(within_s or _CONNECT_S)
            self._connected = True

    def open_link(self, command: str) -> "OpensshLink":
        """Open a session of the master.

        Raises:
            LinkError: ssh cannot be started.
        """
        # with ProxyCommand=false it is the master or nothing: never a second login
        arguments = (
            *self.options(), "-S", self.control_path, "-o", "ControlMaster=no",
            *_BATCH, "-o", "ProxyCommand=false", "-T", "--", self._config.host, command,
        )  # fmt: skip
        return OpensshLink(("ssh", *arguments), self._lost)

    def another(self) -> "OpensshLinks":
        """Return the same once more: it shares the master."""
        return OpensshLinks(self._config)

    def close(self) -> None:
        """Take note of it. The master ends by itself, ten minutes after its last use."""
        self._connected = False

    def _lost(self) -> None:
        self._connected = False

    def options(self) -> tuple[str, ...]:
        """Return the options that say which machine is meant."""
        lookup = openssh_config.lookup_of(self._config)
        options = [word for word in lookup[1:-2] if word not in {"-G", "-T"}]
        if self._config.known_hosts:
            options += ["-o", f"UserKnownHostsFile={self._config.known_hosts}"]
        return tuple(options)

    @property
    def control_path(self) -> str:
        """The master's socket: where ssh_config says, else in a folder of ours.

        Raises:
            ConnectError: ssh cannot read its configuration.
            DeniedError: Somebody else owns the folder.
        """
        if not self._control_path:
            self._control_path = self._configured_path() or self._own_path()
        return self._control_path

    def _configured_path(self) -> str:
        done = _ask(("ssh", *self.options(), "-G", "--", self._config.host), _LOOK_UP_S)
        if done.returncode != 0:
            raise ConnectError(
                f"cannot reach {self.description}: {_last_line(done.stderr)}",
                f"Correct your ssh_config; see how ssh reads it: ssh -G {self._config.host}",
            )
        for line in done.stdout.splitlines():
            name, _, value = line.partition(" ")
            if name == "controlpath" and value != "none":
                return value
        return ""

    def _own_path(self) -> str:
        folder = _private_folder()
        text = "\0".join((self._config.host, *self.options()))
        return f"{folder}/{hashlib.sha256(text.encode()).hexdigest()[:12]}.ssh"

    def has_master(self) -> bool:
        """Whether a master connection is open."""
        return self._control("check").returncode == 0

    def end_master(self) -> bool:
        """End the master connection; return whether there was one."""
        return self._control("exit").returncode == 0

    def _control(self, act: str) -> subprocess.CompletedProcess[str]:
        arguments = ("-S", self.control_path, "-O", act, "--", self._config.host)
        return _ask(("ssh", *self.options(), *arguments), _CHECK_S)

    def login_command(self) -> tuple[str, ...]:
        """Return the argv that opens a master in this terminal, and may ask there.

        It lasts until the connection does, or `end_master`.
        """
        return self._master("ControlPersist=yes", *_PATIENT)

    def _master(self, persist: str, *more: str) -> tuple[str, ...]:
        return (
            "ssh", *self.options(), "-S", self.control_path, "-o", "ControlMaster=yes",
            "-o", persist, *more, "-N", "-f", "-T", "--", self._config.host,
        )  # fmt: skip

    def _open_master(self, within_s: float) -> None:
        timeout = f"ConnectTimeout={max(1, round(within_s))}"
        persist = f"ControlPersist={_IDLE_S}"
        command = self._master(persist, *_BATCH, *_ALIVE, "-o", timeout)
        done = _ask(command, within_s + _CHECK_S)
        if done.returncode != 0 and not self.has_master():
            raise self._explained(done.stderr)

    def _explained(self, words: str) -> ConnectError:
        where, name = self.description, self._config.name
        line = _last_line(words)
        if "Host key verification failed" in words or "host key" in line.lower():
            return HostKeyError(
                f"ssh does not accept the host key of {where}: {line}",
                NextStep("trust", {"sandbox": name}, "Look at the key, and accept it"),
            )
        if "Permission denied" in words or "Too many authentication" in words:
            return AuthenticationError(
                f"authentication failed at {where}: {line}",
                NextStep(
                    "login",
                    {"sandbox": name},
                    "If it wants a password or a second factor, log in once in a terminal",
                ),
            )
        return ConnectError(
            f"cannot reach {where}: {line}",
            f"Try it by hand: ssh {self._config.host} true",
        )


class OpensshLink(ProcessLink):
    """One session of the master."""

    def __init__(self, arguments: tuple[str, ...], lost: Callable[[], None]) -> None:
        super().__init__(arguments, None)
        self._lost = lost
        self._begun = False

    def receive(self, timeout_s: float, size_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come; nothing at its end.

        Raises:
            SessionLimitError: The server allows no further session.
            LinkError: The master is gone.
        """
        data = super().receive(timeout_s, size_bytes)
        if data:
            self._begun = True
        elif self.end() is LinkEnd.DIED:
            if not self._begun and any(s in self.complaint() for s in _NO_SESSION):
                raise SessionLimitError
            self._lost()
            if not self._begun:
                raise LinkError("the connection that ssh kept has ended")
        return data


def _ask(
    command: tuple[str, ...], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run ssh without a terminal. A master that stays behind keeps no pipe of ours."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                timeout=timeout_s,
                check=False,
                start_new_session=True,
            ).returncode
        except subprocess.TimeoutExpired:
            code = 255
            err.write(f"ssh did not connect within {timeout_s:.0f} s\n".encode())
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(
            command,
            code,
            out.read().decode("utf-8", "replace"),
            err.read().decode("utf-8", "replace"),
        )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "ssh did not say why"


def _private_folder() -> Path:
    """Return our folder for sockets.

    Raises:
        DeniedError: Somebody else owns it, or may enter it.
    """
    folder = agent_files.runtime_folder(os.environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        agent_files.check_folder(folder)
    except (OSError, agent_files.UnusableError) as error:
        raise DeniedError(
            f"no connection can be kept: {error}",
            f"Remove it, if you did not make it: ls -ld {folder}",
        ) from error
    return folder
