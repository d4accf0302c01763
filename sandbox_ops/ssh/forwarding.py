"""Bytes carried between a channel and a socket: local ports, and the user's agent.

Fabric's own `forward_local` returns before its port listens, and paramiko's agent
forwarding knows only the agent of the environment and shows tracebacks.
"""

import contextlib
import logging
import socket
import threading
from typing import Any

import paramiko

from sandbox_ops.errors import RefusedError
from sandbox_ops.ssh import agent

_LOG = logging.getLogger(__name__)
_OPEN_S = 10.0
_CHUNK_BYTES = 1 << 16


def join(one: Any, other: Any) -> None:  # noqa: ANN401
    """Carry bytes both ways, each to its end, in two threads; then close both."""

    def carry(source: Any, target: Any) -> None:  # noqa: ANN401
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while data := source.recv(_CHUNK_BYTES):
                target.sendall(data)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            target.shutdown(socket.SHUT_WR)

    def back() -> None:
        carry(other, one)
        forth.join()
        for end in (one, other):
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                end.close()

    forth = threading.Thread(
        target=carry, args=(one, other), name="ssh-forward", daemon=True
    )
    forth.start()
    threading.Thread(target=back, name="ssh-forward-back", daemon=True).start()


def forward_agent(channel: Any, path: str) -> None:  # noqa: ANN401
    """Let processes of this session, and later ones, ask the user's agent.

    Args:
        channel: A session that runs nothing yet.
        path: Where the agent listens.
    """

    def answer(asked: Any) -> None:  # noqa: ANN401
        asked.settimeout(None)
        try:
            link = agent.dial(path, _OPEN_S)
        except OSError as error:
            _LOG.debug("cannot forward the agent at %s: %s", path, error)
            asked.close()
            return
        link.settimeout(None)
        join(asked, link)

    def answer_elsewhere(asked: Any) -> None:  # noqa: ANN401
        # this is called by the thread that serves the whole connection
        threading.Thread(
            target=answer, args=(asked,), name="ssh-agent-forward", daemon=True
        ).start()

    channel.request_forward_agent(answer_elsewhere)


class LocalForward:
    """A local port whose connections go to a port that the machine reaches.

    Args:
        transport: Open.
        listen: Address and port here.
        target: Host and port, as the machine sees them.

    Raises:
        RefusedError: The port here is taken, or not ours to use.
    """

    def __init__(
        self,
        transport: paramiko.Transport,
        listen: tuple[str, int],
        target: tuple[str, int],
    ) -> None:
        self._transport = transport
        self._target = target
        self._links: list[Any] = []
        try:
            self._listener = socket.create_server(listen)
        except OSError as error:
            raise RefusedError(
                f"cannot listen on {listen[0]}:{listen[1]}: {error.strerror or error}",
                "Take another local port.",
            ) from error
        self._thread = threading.Thread(
            target=self._accept, name="ssh-forward-accept", daemon=True
        )
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut
            while True:
                link, origin = self._listener.accept()
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._links.append(link)
                threading.Thread(
                    target=self._carry,
                    args=(link, origin),
                    name="ssh-forward",
                    daemon=True,
                ).start()

    def _carry(self, link: socket.socket, origin: tuple[str, int]) -> None:
        try:
            channel = self._transport.open_channel(
                "direct-tcpip", self._target, origin, timeout=_OPEN_S
            )
        except (paramiko.SSHException, OSError, EOFError) as error:
            place = ":".join(map(str, self._target))
            _LOG.warning(
                "a forwarded port: the machine cannot reach %s: %s", place, error
            )
            link.close()
            return
        self._links.append(channel)
        join(link, channel)

    def close(self) -> None:
        """Listen no more, and end the connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:  # `join` closes them when their bytes end
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                link.shutdown(socket.SHUT_RDWR)
        self._thread.join(_OPEN_S)
