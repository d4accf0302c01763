"""Fabric's own verbs on our connection: `run`, `get`, `put`, for tasks of one's own.

Stock Fabric opens a session too many when threads share a connection, fails where the
server allows no further one, and lets paramiko's errors through.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

from fabric import Connection
from paramiko import SSHException

from sandbox_ops.errors import ConnectionLostError, RefusedError
from sandbox_ops.ssh import channel, forwarding
from sandbox_ops.ssh.sftp import QuietSftpClient

_OPEN_S = 10.0


class UserVerbs(Connection):  # type: ignore[misc]
    """What `SandboxConnection` does for users' tasks."""

    def create_session(self) -> Any:  # noqa: ANN401
        """Return a new session; wait for one where the server allows no more now.

        Raises:
            RefusedError: It allowed none within the session timeout (30 s).
            ConnectionLostError: The link died.
        """
        session = self._patiently(lambda: self.transport.open_session(timeout=_OPEN_S))
        self.prepare_session(session)
        return session

    @contextlib.contextmanager
    def forward_local(
        self,
        local_port: int,
        remote_port: int | None = None,
        remote_host: str = "localhost",
        local_host: str = "localhost",
    ) -> Iterator[None]:
        """Forward a local port while the `with` lasts, as Fabric does.

        It listens when the `with` begins: stock Fabric's does a moment later.

        Raises:
            RefusedError: The local port is taken.
            ConnectError: The machine cannot be reached.
        """
        self.open()
        local_end, remote_end = (
            (local_host, local_port),
            (remote_host, remote_port or local_port),
        )
        forward = forwarding.LocalForward(self.transport, local_end, remote_end)
        with contextlib.closing(forward):
            yield

    def _patiently(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
        ends_at = time.monotonic() + self._link.session_timeout_s
        pause_s = 0.02
        self.open()
        while True:
            try:
                with self._lost_told_apart():
                    return ask()
            except SSHException as error:
                # of those refused at once paramiko names the cause to one, not to all
                if time.monotonic() > ends_at:
                    raise RefusedError(
                        f"{self.host} has allowed no further session for "
                        f"{self._link.session_timeout_s:g} s: {error}",
                        "MaxSessions of its sshd_config may be 1 or 2. `Sandbox.run` "
                        "needs no session of its own.",
                    ) from error
                threading.Event().wait(pause_s)
                pause_s = min(pause_s * 1.5, 0.5)

    def sftp(self) -> Any:  # noqa: ANN401
        """Return the one SFTP client; use it in one thread at a time.

        paramiko hands an answer to the thread that reads first: of two threads one waits for
        ever. `get` and `put` take turns.
        """
        self.open()
        with self._link.lock:
            if self._sftp is None:
                self._set(_sftp=self._patiently(self._open_sftp))
            return self._sftp

    def _open_sftp(self) -> Any:  # noqa: ANN401
        return QuietSftpClient.from_transport(self.transport)

    def get(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Bring a file home, as Fabric does; a dead link is `ConnectionLostError`."""
        with self._link.files, self._lost_told_apart(SSHException):
            return super().get(*args, **options)

    def put(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Bring a file there, as Fabric does; a dead link is `ConnectionLostError`."""
        with self._link.files, self._lost_told_apart(SSHException):
            return super().put(*args, **options)

    @contextlib.contextmanager
    def _lost_told_apart(self, *always: type[Exception]) -> Iterator[None]:
        """Tell a link that died from an error of the file's or the server's.

        Args:
            always: What means a dead link although paramiko may not have noticed it
                yet: for files all but a status, which is an OSError.
        """
        try:
            yield
        except (SSHException, EOFError, OSError) as error:
            if self.is_connected and not isinstance(error, (EOFError, *always)):
                raise
            raise ConnectionLostError(
                f"the connection to {self.host} was lost: {error}",
                "Look on the machine before you do it again.",
            ) from error

    def another(self) -> Self:
        """Return a second connection to the same machine, not open yet."""
        link = self._link
        return type(self)(link.route.config, session_timeout_s=link.session_timeout_s)

    def kill_marked(self, marker: str) -> None:
        """End every process there whose environment carries the marker."""
        self.open()
        command = _KILL_MARKED.format(marker=marker)
        with contextlib.closing(channel.open_link(self.transport, command)) as end:
            while end.receive(10):
                pass


_KILL_MARKED = """exec /bin/sh -c 'f() {{ grep -lzxFs SANDBOX_JOB={marker} \
/proc/[0-9]*/environ | while read -r p; do p=${{p#/proc/}}; echo "${{p%/environ}}"; done; }}
kill -s TERM $(f); i=0
while [ -n "$(f)" ] && [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done
kill -s KILL $(f)' 2>/dev/null"""
