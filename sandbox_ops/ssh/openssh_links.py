"""Links over the user's own `ssh`: sessions of a master connection, a process a link.

Neither Fabric nor paramiko is imported here.
"""

import copy
import threading
import time
import weakref

from sandbox_ops.errors import AuthenticationError, ConnectError
from sandbox_ops.links import SessionLimitError
from sandbox_ops.links.process import ProcessLinks
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh.openssh_failures import HungMasterError
from sandbox_ops.ssh.openssh_master import MOST, Master
from sandbox_ops.ssh.openssh_sessions import OpensshLink, PortLink

_REFUSED_S = 15.0
"""After so long without a session on any master it is an error."""


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
        self._failed: tuple[float, ConnectError | None] = (0.0, None)
        super().__init__(("ssh",), config.host)

    @property
    def is_connected(self) -> bool:
        """Whether the master was there when it was last used."""
        return self._connected

    def connect(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """Find the master connection, or open one without questions.

        Those who waited for it meanwhile share what came of it, also a failure.

        Raises:
            AuthenticationError: The machine wants more than a key that can be used
                without a question.
            HostKeyError: ssh does not accept the host key.
            ConnectError: There is no ssh client, or it says why it cannot connect.
        """
        began = time.monotonic()
        with self._lock:
            if self._connected:
                return
            failed_at, failure = self._failed
            if failure and failed_at > (began if asked_at is None else asked_at):
                raise copy.copy(failure)
            if within_s is not None:  # the wait for another thread's attempt counts
                within_s = max(1.0, within_s - (time.monotonic() - began))
            try:
                self._connect(within_s)
            except ConnectError as error:
                self._failed = (time.monotonic(), error)
                raise

    def _connect(self, within_s: float | None) -> None:
        super().connect()
        self._refuse_after_long()
        try:
            self._master.open(within_s)
        except HungMasterError:
            self._go_beside(within_s)
        self._connected = True
        self._most = None

    def _go_beside(self, within_s: float | None) -> None:
        """Open a further master where the process that has the socket does not answer.

        Raises:
            HungMasterError: It cannot be opened without a question.
            ConnectError: It says why it cannot connect.
        """
        hung, self._master = self._master, self._next_master()
        try:
            self._master.open(within_s)
        except AuthenticationError:
            self._master = hung
            raise HungMasterError(self._config) from None

    def _next_master(self) -> Master:
        return Master(self._config, (self._master.number + 1) % MOST)

    def open_link(self, command: str) -> OpensshLink:
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

    def open_port(self, port: int) -> PortLink:
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

    def lost(self, link: OpensshLink | PortLink) -> None:
        """Take note that the master of a link is gone."""
        with self._lock:
            if link.master is self._master:
                self._connected = False

    def refused(self, link: OpensshLink) -> None:
        """Take note that a session was refused: where others have all, go elsewhere."""
        with self._lock:
            self._open.discard(link)
            if link.master is not self._master:
                return
            self._most = self._in_use()
            if not self._most:
                self._refused_since = self._refused_since or time.monotonic()
                self._master = self._next_master()
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
