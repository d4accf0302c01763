"""Fabric's own verbs on our connection: `run`, `get`, `put`, for tasks of one's own.

Stock Fabric opens a session too many when threads share a connection, fails where the
server allows no further one, and lets paramiko's errors through.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import paramiko
from fabric import Connection
from paramiko.agent import AgentRequestHandler

from sandbox_ops.errors import ConnectionLostError, RefusedError
from sandbox_ops.ssh import channel

_SESSION_S = 30.0
_OPEN_S = 10.0


class UserVerbs(Connection):  # type: ignore[misc]
    """What `SandboxConnection` does for users' tasks."""

    def create_session(self) -> Any:  # noqa: ANN401
        """Return a new session; wait for one where the server allows no more now.

        Raises:
            RefusedError: It allowed none for half a minute.
            ConnectionLostError: The link died.
        """
        channel = self._patiently(lambda: self.transport.open_session(timeout=_OPEN_S))
        if self.forward_agent:
            self._agent_handler = AgentRequestHandler(channel)
        return channel

    def _patiently(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
        ends_at = time.monotonic() + _SESSION_S
        pause_s = 0.02
        self.open()
        while True:
            try:
                with self._told_apart():
                    return ask()
            except paramiko.SSHException as error:
                # of those refused at once paramiko names the cause to one, not to all
                if time.monotonic() > ends_at:
                    raise RefusedError(
                        f"{self.host} has allowed no further session for "
                        f"{_SESSION_S:.0f} s: {error}",
                        "MaxSessions of its sshd_config may be 1 or 2. `Sandbox.run` "
                        "needs no session of its own.",
                    ) from error
                threading.Event().wait(pause_s)
                pause_s = min(pause_s * 1.5, 0.5)

    def sftp(self) -> Any:  # noqa: ANN401
        """Return the one SFTP client; use it in one thread at a time.

        paramiko hands an answer to whoever reads first: of two threads one waits for
        ever. `get` and `put` take turns.
        """
        self.open()
        with self._link.lock:
            if self._sftp is None:
                self._set(_sftp=self._patiently(self.client.open_sftp))
            return self._sftp

    def get(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Bring a file home, as Fabric does; a dead link is `ConnectionLostError`."""
        with self._link.files, self._told_apart():
            return super().get(*args, **options)

    def put(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Bring a file there, as Fabric does; a dead link is `ConnectionLostError`."""
        with self._link.files, self._told_apart():
            return super().put(*args, **options)

    @contextlib.contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Tell a link that died from an error of the file's or the server's."""
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self.is_connected and not isinstance(error, EOFError):
                raise
            raise ConnectionLostError(
                f"the connection to {self.host} was lost: {error}",
                "Look on the machine before you do it again.",
            ) from error

    def another(self) -> Self:
        """Return a second connection to the same machine, not open yet."""
        return type(self)(self._link.config)

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
