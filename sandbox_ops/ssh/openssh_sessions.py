"""Sessions and port connections of a master: a process each.

What a session learns of its master (gone, full, hung) its owner hears at once.
"""

from typing import Protocol

from sandbox_ops.links import CHUNK_BYTES, LinkEnd, LinkError, SessionLimitError
from sandbox_ops.links.process import ProcessLink
from sandbox_ops.ssh.openssh_master import Master

_SILENT_S = 10.0
"""Who waited so long for nothing looks whether the master still answers."""
_NO_SESSION = ("Session open refused", "session request failed")


class Owner(Protocol):
    """Opened the links, and opens the next."""

    def lost(self, link: "OpensshLink | PortLink") -> None:
        """Take note that the master of a link is gone."""

    def refused(self, link: "OpensshLink") -> None:
        """Take note that a session was refused."""

    def accepted(self) -> None:
        """Take note that a session was opened."""


class RefusedSessionError(SessionLimitError, LinkError):
    """The server allows no further session; known once the link is read from."""


class OpensshLink(ProcessLink):
    """One session of a master.

    Args:
        links: Notified of what became of it.
        master: Whose session it is.
        command: Runs there.
    """

    def __init__(self, links: Owner, master: Master, command: str) -> None:
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
        try:
            data = super().receive(timeout_s, size_bytes)
        except TimeoutError:
            if timeout_s >= _SILENT_S and self.master.is_hung():
                self._links.lost(self)
                raise LinkError("the ssh that keeps the connection is hung") from None
            raise
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

    def __init__(self, links: Owner, master: Master, port: int) -> None:
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
