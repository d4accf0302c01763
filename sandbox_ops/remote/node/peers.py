"""How a node reaches the others: its connection to the hub, and one try of each other node."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from sandbox_ops.remote.node.job_files import Failure, Plan
from sandbox_ops.remote.node.wire import (
    CONNECT_TIMEOUT_S,
    POLL_S,
    Stream,
    listen,
    plain,
    reason,
)


class HubConnection:
    """The connection of a node to rank 0; opened again where it breaks.

    Args:
        plan: Of this node.
        secret: By which the nodes of a run know each other.
        events: Takes what the hub says; `stop` where it cannot be reached any more.

    Attributes:
        host: Where the hub was reached; "" so far.
        own: The address of this machine on the way there.
    """

    def __init__(
        self, plan: Plan, secret: str, events: queue.SimpleQueue[dict[str, Any]]
    ) -> None:
        self._plan, self._secret, self._events = plan, secret, events
        self._listener = listen(0)  # for the others' check: the kernel answers it
        self._stream: Stream | None = None
        self._report: dict[str, Any] = {}
        self.host = self.own = ""

    def open(self) -> list[dict[str, str]]:
        """Connect, and hand on what the hub says; return why that cannot be."""
        problems = self._connect(self._plan.join_s)
        if not problems:
            threading.Thread(target=self._read, daemon=True).start()
        return problems

    def send(self, **message: Any) -> None:  # noqa: ANN401 - as JSON has it
        """Send a message, if there is a connection now."""
        if self._stream:
            self._stream.send(**message)

    def report(self, **message: Any) -> None:  # noqa: ANN401 - as JSON has it
        """Send a message that has to arrive: again after each connection that broke."""
        self._report = message
        self.send(**message)

    def repeat(self) -> None:
        """Send the last report again, if there is one that counts."""
        if self._report:
            self.send(**self._report)

    def forget_report(self) -> None:
        """Something new has begun, of which nothing is reported yet."""
        self._report = {}

    def _connect(self, within_s: float) -> list[dict[str, str]]:
        until = time.monotonic() + within_s
        while True:
            tried = {}
            for address in self._plan.hub:
                tried[address] = self._try(address)
                if self._stream:
                    return []
            if time.monotonic() >= until:
                own_name, hub_name = self._plan.own_name, self._plan.machines[0]
                return [
                    {"from": own_name, "to": hub_name, "address": address, "why": why}
                    for address, why in tried.items()
                ]
            threading.Event().wait(POLL_S)

    def _try(self, address: str) -> str:
        """Connect to the hub at one address; return why that cannot be."""
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        try:
            connection = socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S)
        except OSError as error:
            return reason(error)
        stream, own = Stream(connection), plain(connection.getsockname()[0])
        listens_at = self._listener.getsockname()[1]
        stream.send(hello=self._plan.rank, secret=self._secret, at=own, port=listens_at)
        for message in stream.messages(CONNECT_TIMEOUT_S):
            if "welcome" in message:
                self._stream, self.host, self.own = stream, host, own
                return ""
        stream.close()
        return "another program answers there"

    def _read(self) -> None:
        """Hand on what the hub says; a connection that ended is opened again."""
        while self._stream:
            for message in self._stream.messages(self._plan.lost_s):
                self._events.put(message)
            self._stream.close()
            self._stream = None
            if self._connect(self._plan.lost_s):
                self._events.put({"stop": Failure(0, self._plan.machines[0], "lost")})
                return
            self.repeat()


def check_connections(
    plan: Plan, places: Sequence[tuple[str, int]]
) -> list[dict[str, str]]:
    """Open a connection to every other node, all at once; return which cannot be.

    Args:
        plan: Of this node.
        places: Where each node listens, by rank.
    """
    problems: list[dict[str, str]] = []

    def check(rank: int, host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
        except OSError as error:
            problem = {"from": plan.own_name, "to": plan.machines[rank]}
            address = f"{host}:{port}"
            problems.append({**problem, "address": address, "why": reason(error)})

    threads = [
        threading.Thread(target=check, args=(rank, host, port))
        for rank, (host, port) in enumerate(places)
        if rank != plan.rank
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems
