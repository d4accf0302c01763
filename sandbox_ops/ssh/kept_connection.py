"""A connection that is kept for the next command, with a session on it that waits for it.

The session runs the constant command that every worker begins with, and has nothing of
anybody's: opening it takes two round trips, which the next command does not wait for.
"""

import contextlib
import threading

from sandbox_ops.links import LinkError, SessionLimitError
from sandbox_ops.models import SandboxConfig
from sandbox_ops.remote import scripts
from sandbox_ops.ssh.channel import ChannelLink
from sandbox_ops.ssh.connection import SandboxConnection

_ALIVE_S = 2.0


class KeptConnection:
    """The connection of one machine, as long as what decided about it stays as it was.

    Args:
        config: The machine.
        facts: What was decided by; where that changed, another connection is made.

    Attributes:
        is_silent: The machine did not answer when it was last asked (`verify`).
    """

    def __init__(self, config: SandboxConfig, facts: object) -> None:
        self.connection = SandboxConnection(config)
        self.facts = facts
        self.is_silent = False
        self._lock = threading.Lock()
        self._spare: ChannelLink | None = None
        self._verifying = threading.Lock()
        self._verified = threading.Event()
        self._verified.set()
        self._unverified: list[ChannelLink] = []

    @property
    def heard_at(self) -> float | None:
        """When the machine last gave a sign of life; None: it gives none any more."""
        return None if self.is_silent else self.connection.heard_at

    def verify(self) -> None:
        """Find out whether the machine still answers.

        Who takes the waiting session need not wait for that: a round trip less. Where no
        answer comes that session is closed, and its client asks again elsewhere.
        """
        spare = self._spare
        with self._verifying:
            is_begun = not self._verified.is_set()
            self._verified.clear()
        if not is_begun:
            threading.Thread(target=self._verify, daemon=True).start()
        if spare is None or not spare.is_open:
            self._verified.wait()

    def _verify(self) -> None:
        connection = self.connection
        is_silent = connection.is_connected and not connection.answers(_ALIVE_S)
        with self._verifying:
            self.is_silent = is_silent
            links, self._unverified = self._unverified, []
            self._verified.set()
        if is_silent:
            for link in links:
                link.close()

    def open_link(self, command: str) -> ChannelLink:
        """Return the waiting session, if it is what is wanted, or a new one.

        Raises:
            SessionLimitError: No further session now.
            LinkError: The machine does not answer, or the connection died.
        """
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and command == scripts.bootstrap("worker"):
            with self._verifying:
                if not self._verified.is_set():
                    self._unverified.append(spare)
                is_silent = self.is_silent
            if spare.is_open and not is_silent:
                return spare
        if spare is not None:
            spare.close()
        self._verified.wait()
        if self.is_silent:
            raise LinkError("the machine does not answer")
        return self.connection.open_link(command)

    def prepare(self) -> None:
        """Open the session for the next worker, unless the server allows none."""
        with self._lock, contextlib.suppress(LinkError, SessionLimitError):
            if self._spare is None and self.connection.is_connected:
                self._spare = self.connection.open_link(scripts.bootstrap("worker"))
