"""The connection as `sandbox_ops.links.Links`: what our workers know of it."""

from fabric import Connection

from sandbox_ops.ssh import channel


class WorkerLinks(Connection):  # type: ignore[misc]
    """What `SandboxConnection` does for resident workers."""

    @property
    def description(self) -> str:
        """The machine, as messages name it."""
        return str(self.host)

    @property
    def heard_at(self) -> float | None:
        """When the machine last answered; see `probe`."""
        heard_at: float | None = self._link.heard_at
        return heard_at

    def connect(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """Open the connection, if it is not; see `open`."""
        self.open(within_s, asked_at=asked_at)

    def open_link(self, command: str) -> channel.ChannelLink:
        """Return a new session that runs the command, as bytes in and out.

        Raises:
            SessionLimitError: The server allows no further session now.
            LinkError: The connection died.
        """
        self.open()
        return channel.open_link(self.transport, command, self.prepare_session)

    def open_port(self, port: int) -> channel.ChannelLink:
        """Return the bytes of a new connection to the machine's own `port`.

        Raises:
            PermissionError: Nothing listens there, or the server allows no forwarding.
            LinkError: The connection died.
        """
        self.open()
        return channel.open_port(self.transport, port)
