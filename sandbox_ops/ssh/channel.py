"""The default link: a session of an SSH connection, as a Fabric channel carries it."""

import contextlib
import time
from collections.abc import Callable

import paramiko
from paramiko.channel import Channel
from paramiko.common import cMSG_CHANNEL_REQUEST

from sandbox_ops.links import CHUNK_BYTES, LinkEnd, LinkError, SessionLimitError

_OPEN_TIMEOUT_S = 10.0
_STATUS_S = 10.0
_NO_STATUS = -1


def _execute(transport: paramiko.Transport, channel: Channel, command: str) -> None:
    """Ask for the command without waiting for the answer: a round trip less.

    What is sent next goes to the command, or to nobody where it was refused: then the
    channel closes, which is how it is noticed.
    """
    request = paramiko.Message()
    request.add_byte(cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(True)
    request.add_string(command)
    transport._send_user_message(request)  # type: ignore[attr-defined]  # noqa: SLF001


class ChannelLink:
    """One running session; see `sandbox_ops.links.Link`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def is_open(self) -> bool:
        """Whether neither the session nor its connection has ended."""
        transport = self._channel.get_transport()
        return not self._channel.closed and transport.is_active()

    def end_input(self) -> None:
        """Send the end of the input (RFC 4254, 5.3)."""
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self._channel.shutdown_write()

    def send(self, data: bytes) -> None:
        """Send it all.

        Raises:
            LinkError: The session is gone.
        """
        try:
            self._channel.sendall(data)
        except (OSError, EOFError) as error:
            raise LinkError(f"cannot send: {error}") from error

    def receive(self, timeout_s: float, size_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come, at least a byte; nothing at the session's end.

        Raises:
            TimeoutError: Nothing came in time.
            LinkError: The session is gone.
        """
        self._channel.settimeout(timeout_s)
        try:
            return bytes(self._channel.recv(size_bytes))
        except TimeoutError:
            raise
        except (OSError, EOFError) as error:
            raise LinkError(f"cannot receive: {error}") from error

    def end(self) -> LinkEnd:
        """Say why it ended: how the command did comes right after its output's end."""
        known = self._channel.status_event.wait(_STATUS_S)
        if known and self._channel.exit_status != _NO_STATUS:
            return LinkEnd.FINISHED
        return LinkEnd.DIED

    def complaint(self) -> str:
        """Return what the session said on stderr so far."""
        stderr = b""
        while self._channel.recv_stderr_ready() and len(stderr) < _COMPLAINT_BYTES:
            stderr += self._channel.recv_stderr(_COMPLAINT_BYTES)
        return stderr.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """End the session; what it started detached lives on. A dead link is no error."""
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self._channel.close()


_COMPLAINT_BYTES = 4096


def open_link(
    transport: paramiko.Transport,
    command: str,
    prepare: Callable[[Channel], None] | None = None,
) -> ChannelLink:
    """Return a session that runs the command.

    Args:
        transport: Open.
        command: For the login shell there.
        prepare: Asks for what the session is to have, before it runs anything.

    Raises:
        SessionLimitError: No further session now.
        LinkError: The connection died.
    """
    started = time.monotonic()
    try:
        channel = transport.open_session(timeout=_OPEN_TIMEOUT_S)
        if prepare is not None:
            prepare(channel)
        _execute(transport, channel, command)
    except (paramiko.SSHException, OSError, EOFError) as error:
        quick = time.monotonic() - started < _OPEN_TIMEOUT_S
        if transport.is_active() and quick:
            # paramiko names the cause to one of those refused at once, not to all
            raise SessionLimitError(str(error)) from error
        raise LinkError(f"cannot open a session: {error}") from error
    return ChannelLink(channel)


def open_port(transport: paramiko.Transport, port: int) -> ChannelLink:
    """Return a forwarded connection to the machine's own `port`.

    Raises:
        PermissionError: Nothing listens there, or the server allows no forwarding.
        LinkError: The connection died.
    """
    ends = (("127.0.0.1", port), ("127.0.0.1", 0))
    try:
        channel = transport.open_channel("direct-tcpip", *ends, timeout=_OPEN_TIMEOUT_S)
    except paramiko.ChannelException as error:
        raise PermissionError(str(error)) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise LinkError(f"cannot open port {port}: {error}") from error
    return ChannelLink(channel)
