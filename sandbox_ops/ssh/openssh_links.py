"""Links over the user's own `ssh`: sessions of a master connection, a process a link.

Neither Fabric nor paramiko is imported here.
"""

import threading
import time
import weakref

from sandbox_ops.errors import ConnectError
from sandbox_ops.links import CHUNK_BYTES, LinkEnd, LinkError, SessionLimitError
from sandbox_ops.links.process import ProcessLink, ProcessLinks
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh.openssh_master import MOST, Master

_REFUSED_S = 15.0
"""After so long without a session on any master it is an error."""
_NO_SESSION = ("Session open refused", "session request failed")


class RefusedSessionError(SessionLimitError, LinkError):
    """The server allows no further session; known once the link is read from."""


class OpensshLinks(ProcessLinks):
    """Opens links that are sessions of one OpenSSH connection.

    Args:
        config: The machine; its options go in as ssh's own.
        number: Which of its master connections; see `Master`.
    """

    def __init__(self, config: SandboxConfig, number: int = 0) -> None:
        self._config = config
        self._lock = threading.RLock()
        self._master = Master(config, number)
        self._connected = False
        self._open: weakref.WeakSet[OpensshLink] = weakref.WeakSet()
        self._most: int | None = None  # sessions that the server let us have at once
        self._refused_since: float | None = None
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
            self._refuse_after_long()
            self._master.open(within_s)
            self._connected = True
            self._most = None

    def open_link(self, command: str) -> "OpensshLink":
        """Open a session of the master.

        Raises:
            SessionLimitError: The server refused one when there were as many.
            LinkError: ssh cannot be started.
        """
        with self._lock:
            if self._most is not None and self._in_use() >= self._most:
                raise SessionLimitError
            link = OpensshLink(self, self._master, command)
            self._open.add(link)
            return link

    def open_port(self, port: int) -> "PortLink":
        """Return the bytes of a new connection to the machine's own `port`.

        That nothing listens there is what it complains of when it has ended.

        Raises:
            LinkError: ssh cannot be started.
        """
        with self._lock:
            return PortLink(self, self._master, port)

    def _in_use(self) -> int:
        mine = (link for link in self._open if link.master is self._master)
        return sum(link.is_open for link in mine)

    def another(self) -> "OpensshLinks":
        """Return the same machine over a further master: this one may have no session."""
        return OpensshLinks(self._config, self._master.number + 1)

    def close(self) -> None:
        """Take note of it. The master ends by itself, ten minutes after its last use."""
        self._connected = False

    def lost(self, link: "OpensshLink | PortLink") -> None:
        """Take note that the master of a link is gone."""
        with self._lock:
            if link.master is self._master:
                self._connected = False

    def refused(self, link: "OpensshLink") -> None:
        """Take note that a session was refused: where others have all, go elsewhere."""
        with self._lock:
            self._open.discard(link)
            if link.master is not self._master:
                return
            self._most = self._in_use()
            if not self._most:
                self._refused_since = self._refused_since or time.monotonic()
                number = (self._master.number + 1) % MOST
                self._master = Master(self._config, number)
                self._connected = False

    def accepted(self) -> None:
        """Take note that a session was opened."""
        self._refused_since = None

    def _refuse_after_long(self) -> None:
        since = self._refused_since
        if since is not None and time.monotonic() - since > _REFUSED_S:
            self._refused_since = None
            raise ConnectError(
                f"{self.description} allows no further session: others use all of the "
                f"{MOST} connections that ssh keeps (MaxSessions of its sshd_config)",
                "Wait until other commands there have ended, or end some.",
            )

    @property
    def control_path(self) -> str:
        """The master's socket.

        Raises:
            ConnectError: ssh cannot read its configuration.
            DeniedError: Another user owns our folder for sockets.
        """
        return self._master.path


class OpensshLink(ProcessLink):
    """One session of a master.

    Args:
        links: Notified of what became of it.
        master: Whose session it is.
        command: Runs there.
    """

    def __init__(self, links: OpensshLinks, master: Master, command: str) -> None:
        super().__init__(master.session_command(command), None)
        self.master = master
        self._links = links
        self._begun = False

    def send(self, data: bytes) -> None:
        """Send it all. That a session was refused is for `receive` to say.

        Raises:
            LinkError: The master is gone.
        """
        try:
            super().send(data)
        except LinkError:
            if not self._is_refused():
                raise

    def receive(self, timeout_s: float, size_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come; nothing at its end.

        Raises:
            RefusedSessionError: The server allows no further session.
            LinkError: The master is gone.
        """
        data = super().receive(timeout_s, size_bytes)
        if data and not self._begun:
            self._begun = True
            self._links.accepted()
        elif not data and self.end() is LinkEnd.DIED:
            if self._is_refused():
                self._links.refused(self)
                raise RefusedSessionError
            self._links.lost(self)
            if not self._begun:
                raise LinkError("the connection that ssh kept has ended")
        return data

    def _is_refused(self) -> bool:
        return not self._begun and any(s in self.complaint() for s in _NO_SESSION)


class PortLink(ProcessLink):
    """A connection to a port of the machine, through a master.

    Args:
        links: Notified where the master is gone.
        master: What it goes through.
        port: Of the machine's own loopback.
    """

    def __init__(self, links: OpensshLinks, master: Master, port: int) -> None:
        super().__init__(master.port_command(port), None)
        self.master = master
        self._links = links

    def receive(self, timeout_s: float, size_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come; nothing at its end."""
        data = super().receive(timeout_s, size_bytes)
        # "refused" would be the port's own word, not the master's end
        died = not data and self.end() is LinkEnd.DIED
        if died and "refused" not in self.complaint():
            self._links.lost(self)
        return data
