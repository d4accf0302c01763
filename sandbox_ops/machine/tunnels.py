"""A local port whose connections go to a port that a machine listens on, through lost links.

It listens on this computer's loopback alone. Each connection is a link of its own: a
forwarded channel where SSH carries us (`ssh -W` of the user's own connection with
`link = "openssh"`), else bash's own /dev/tcp, so that a tunnel leads into whatever we reach. A lost link ends the connections; the port stays, and new ones
go over the link as it is opened again.
"""

import contextlib
import shlex
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from sandbox_ops.errors import ConfigError, NextStep, RefusedError, SandboxError
from sandbox_ops.links import Link, LinkError, Links, SessionLimitError
from sandbox_ops.links.process import ProcessLink
from sandbox_ops.machine import local_ports
from sandbox_ops.machine.sandbox import Sandbox

LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 1 << 16
_DAY_S = 86400.0
_SOON_S = 2.0
"""A process that leads to a port has said by then that nothing listens there."""
_DEV_TCP = (
    "exec 3<>/dev/tcp/127.0.0.1/{port} || exit; cat <&3 & cat >&3; "
    "kill $! 2>/dev/null; wait"
)


_ON_NODE = (
    "read -r n _ <{folder}/slurm.id && exec srun --jobid=$n --overlap --nodes=1 "
    "--ntasks=1 --unbuffered --quiet bash -c {connect} <&8 >&9 8<&- 9>&-"
)
"""srun reaches the loopback of the node that runs the job: nobody else does."""
_IN_LOGIN = "exec bash -lc {command} 8<&0 9>&1 </dev/null >/dev/null"
"""In the environment of a login, which has srun; what it prints is not the port's."""


class NobodyListensError(LinkError):
    """Nothing listens on the port there."""


@runtime_checkable
class PortLinks(Protocol):
    """Links that open a port of the machine by themselves."""

    def open_port(self, port: int) -> Link:
        """Return the bytes of a new connection to the machine's own `port`.

        Raises:
            PermissionError: Nothing listens there, or the server allows no forwarding.
            LinkError: The connection died.
        """


class Tunnel:
    """A local port that leads to one of a machine's.

    Args:
        sandbox: The machine.
        port: Which it listens on there.
        local_port: Which we listen on here; 0: any that is free.
        on_refused: Called when nothing listens there, for each connection.
        job_folder: Of a job of Slurm, where the port is one of the node that runs it.
        again: How the caller asks for it again, but for the port here: for the next step
            where that is taken.

    Raises:
        RefusedError: The port here is taken; says by whom, where that is known.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        port: int,
        local_port: int,
        on_refused: Callable[[], None] | None = None,
        again: Mapping[str, object] | None = None,
        job_folder: str = "",
    ) -> None:
        self._links = _links(sandbox)
        self._port = port
        self._job_folder = job_folder
        self._on_refused = on_refused
        self._open: set[Link | socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = _listen(local_port, again or {"port": port})
        self.local_port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._accept, name="tunnel-accept", daemon=True
        )
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        """Whether the link is there, as far as is known."""
        return self._links.is_connected

    def reconnect(self, within_s: float) -> None:
        """Open the link again.

        Raises:
            ConnectError: It cannot be.
        """
        self._links.connect(within_s)

    def listens(self) -> bool:
        """Whether something listens on the port there now.

        Raises:
            SandboxError: The machine cannot be reached.
        """
        try:
            self._links.connect()
            link = self._open_port()
        except NobodyListensError:
            return False
        except (LinkError, SessionLimitError):
            return True  # not known
        with contextlib.closing(link):
            return not (isinstance(link, ProcessLink) and _refuses(link))

    def close(self) -> None:
        """Listen no more, and end the connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends = tuple(self._open)
        for end in ends:
            _close(end)
        self._thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(
                    target=self._carry, args=(client,), name="tunnel", daemon=True
                ).start()

    def _carry(self, client: socket.socket) -> None:
        try:
            self._links.connect()
            link = self._open_port()
        except NobodyListensError:
            client.close()
            if self._on_refused is not None:
                self._on_refused()
            return
        except (SandboxError, LinkError, SessionLimitError):
            client.close()  # the watcher of the link says why
            return
        with self._lock:
            self._open |= {client, link}
        back = threading.Thread(
            target=_pour, args=(link, client), name="tunnel-back", daemon=True
        )
        back.start()
        with contextlib.suppress(OSError, LinkError):
            while data := client.recv(_CHUNK_BYTES):
                link.send(data)
            link.end_input()
        back.join()
        if _says_refused(link) and self._on_refused is not None:
            self._on_refused()
        for end in (link, client):
            _close(end)
        with self._lock:
            self._open -= {client, link}

    def _open_port(self) -> Link:
        connect = _DEV_TCP.format(port=self._port)
        if self._job_folder:
            folder = shlex.quote(self._job_folder)
            line = _ON_NODE.format(folder=folder, connect=shlex.quote(connect))
            return self._links.open_link(_IN_LOGIN.format(command=shlex.quote(line)))
        if isinstance(self._links, PortLinks):
            try:
                return self._links.open_port(self._port)
            except PermissionError as error:
                raise NobodyListensError(str(error)) from error
        return self._links.open_link(f"exec bash -c {shlex.quote(connect)}")


def _refuses(link: Link) -> bool:
    """Whether nothing listens at the end of a link that is a process: it says so late."""
    with contextlib.suppress(TimeoutError, LinkError):
        return not link.receive(_SOON_S, 1) and _says_refused(link)
    return False


def _says_refused(link: Link) -> bool:
    return isinstance(link, ProcessLink) and "refused" in link.complaint().lower()


def _links(sandbox: Sandbox) -> Links:
    if isinstance(sandbox.links, PortLinks):
        return sandbox.links
    try:
        return sandbox.ssh
    except ConfigError:
        return sandbox.links


def _listen(port: int, again: Mapping[str, object]) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        owner = local_ports.owner(port)
        who = f", by {owner}" if owner else ""
        raise RefusedError(
            f"port {port} of this computer cannot be listened on: "
            f"{error.strerror or error}{who}",
            NextStep(
                "tunnel",
                {**again, "local": local_ports.free(port)},
                "Take another one",
            ),
        ) from error
    except OverflowError as error:
        raise RefusedError(f"there is no port {port}") from error


def _pour(link: Link, client: socket.socket) -> None:
    with contextlib.suppress(OSError, LinkError):
        while data := link.receive(_DAY_S, _CHUNK_BYTES):
            client.sendall(data)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _close(end: Link | socket.socket) -> None:
    with contextlib.suppress(OSError):
        if isinstance(end, socket.socket):
            end.shutdown(socket.SHUT_RDWR)
    end.close()
