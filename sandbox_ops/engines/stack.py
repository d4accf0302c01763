"""What one machine's sandbox is built of, each part made on its first use."""

import threading
from collections.abc import Callable

from sandbox_ops.engines import Engine
from sandbox_ops.engines.supervisor import Supervisor
from sandbox_ops.links import Links
from sandbox_ops.links.shared import SharedLinks
from sandbox_ops.models.settings import SlurmSettings
from sandbox_ops.remote.follower import Follower
from sandbox_ops.remote.pool import Workers


class Stack:
    """Links, workers over them, the engine over these, and who polls for all.

    Args:
        open_links: Makes the links; nothing is connected by that.
        started_by: Who starts jobs through it.
        slurm: What the configuration says of the cluster; None: the machine itself starts
            jobs.
    """

    def __init__(
        self,
        open_links: Callable[[], Links],
        started_by: str,
        slurm: SlurmSettings | None = None,
    ) -> None:
        self._slurm = slurm
        self.started_by = started_by
        self._open_links = open_links
        self._lock = threading.RLock()
        self._links: Links | None = None
        self._direct: Links | None = None
        self._workers: Workers | None = None
        self._engine: Engine | None = None
        self._follower: Follower | None = None
        # whether the last command ended while its start waited for that: in a crowd of
        # short commands the wait saves each a poll, in one of long ones it holds up all
        self.was_brief = False
        self.is_closed = False

    @property
    def links(self) -> Links:
        """What carries bytes to the machine."""
        with self._lock:
            if self._links is None:
                self._links = self._open_links()
            return self._links

    @property
    def direct_links(self) -> Links:
        """The same machine, over a connection that is this process's own."""
        with self._lock:
            if not isinstance(self.links, SharedLinks):
                return self.links
            if self._direct is None:
                self._direct = self.links.another()
            return self._direct

    def direct_links_by(self, open_links: Callable[[], Links]) -> Links:
        """The same machine by other means, made on first use and closed with the rest."""
        with self._lock:
            if self._direct is None:
                self._direct = open_links()
            return self._direct

    @property
    def workers(self) -> Workers:
        """The resident shells."""
        with self._lock:
            if self._workers is None:
                self._workers = Workers(self.links)
            return self._workers

    @property
    def engine(self) -> Engine:
        """Starts, finds and ends jobs."""
        with self._lock:
            if self._engine is None:
                self._engine = _engine(self.workers, self._slurm)
            return self._engine

    @property
    def follower(self) -> Follower:
        """Polls for every job that a caller waits for."""
        with self._lock:
            if self._follower is None:
                self._follower = Follower(self.engine.status)
            return self._follower

    def close(self) -> None:
        """Close what was opened."""
        self.is_closed = True
        if self._workers is not None:
            self._workers.close()
        elif self._links is not None:
            self._links.close()
        if self._direct is not None:
            self._direct.close()


def _engine(workers: Workers, slurm: SlurmSettings | None) -> Engine:
    if slurm is None:
        return Supervisor(workers)
    from sandbox_ops.engines.slurm import Slurm  # most have none

    return Slurm(workers, slurm)
