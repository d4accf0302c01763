"""What decides for all nodes of a run; a part of the launcher of rank 0."""

from __future__ import annotations

import contextlib
import hmac
import queue
import socket
import threading
import time
from typing import Any

from sandbox_ops.remote.node.job_files import TERMINATED, Failure, Plan
from sandbox_ops.remote.node.wire import (
    CONNECT_TIMEOUT_S,
    HEARTBEATS,
    POLL_S,
    Stream,
    listen,
    plain,
)

_LAST_MESSAGE_S = 1


class NodeFacts:
    """What the hub knows of a node."""

    def __init__(self, stream: Stream, at: str, port: int) -> None:
        self.stream, self.at, self.port = stream, at, port
        self.last_seen = time.monotonic()
        self.has_checked = False
        self.code: int | None = None


class Hub:
    """Waits for all nodes, has them check each other, lets them begin, and ends them.

    Attributes:
        port: Where it listens.
        first: The node that failed first; None so far.
        over: Set when every node has ended, or is lost.

    Raises:
        OSError: A port of the plan is taken.
    """

    def __init__(self, plan: Plan, secret: str) -> None:
        self._names, self._secret = plan.machines, secret
        self._join_s, self._lost_s = plan.join_s, plan.lost_s
        self._meeting = listen(plan.port)  # kept for the training until it starts
        self._meeting_port = self._meeting.getsockname()[1]
        self._listener = listen(plan.port + 1 if plan.port else 0)
        self.port = self._listener.getsockname()[1]
        self.first: Failure | None = None
        self.over = threading.Event()
        self._events: queue.SimpleQueue[tuple[int, dict[str, Any], Stream | None]]
        self._events = queue.SimpleQueue()
        self._nodes: dict[int, NodeFacts] = {}
        self._phase, self._own = "joining", ""
        self._problems: list[dict[str, str]] = []
        self._until = time.monotonic() + self._join_s

    def run(self) -> None:
        """Decide, until all is over."""
        threading.Thread(target=self._accept, daemon=True).start()
        heartbeat_at = time.monotonic()
        while not self.over.is_set():
            with contextlib.suppress(queue.Empty):
                self._take(*self._events.get(timeout=POLL_S))
            now = time.monotonic()
            if now >= heartbeat_at:
                heartbeat_at = now + self._lost_s / HEARTBEATS
                self._tell_all(heartbeat=1)
            if self._phase in {"joining", "checking"} and now > self._until:
                self._give_up()
            if self._phase == "running":
                self._look_for_lost(now)

    def stop_all(self, how: str) -> None:
        """Have every node end, because rank 0 is ended."""
        self._events.put((0, {"stopped": how}, None))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                continue
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        stream, rank = Stream(connection), -1
        for message in stream.messages(self._lost_s):
            if rank < 0:
                known = hmac.compare_digest(str(message.get("secret")), self._secret)
                if not known or message.get("hello") not in range(len(self._names)):
                    break
                rank = message["hello"]
                stream.send(welcome=1)
            self._events.put((rank, message, stream))
        stream.close()

    def _take(self, rank: int, message: dict[str, Any], stream: Stream | None) -> None:
        if "hello" in message and stream:
            self._welcome(rank, message, stream)
        node = self._nodes[rank]
        node.last_seen = time.monotonic()
        if "checked" in message:
            node.has_checked = True
            self._problems += message["checked"]
        if "end" in message and node.code is None:
            node.code = message["end"]
            node.stream.send(acknowledged=1)
            if node.code != 0:
                self._fail(rank, message["how"])
        if "stopped" in message:
            self._fail(rank, message["stopped"])
        if len(self._nodes) == len(self._names):
            self._advance()

    def _welcome(self, rank: int, hello: dict[str, Any], stream: Stream) -> None:
        known = self._nodes.get(rank)
        if known:  # it lost its connection
            known.stream = stream
        else:
            self._nodes[rank] = NodeFacts(stream, hello["at"], hello["port"])
        if rank and not self._own:
            self._own = plain(stream.socket.getsockname()[0])
        if self.first:
            stream.send(stop=self.first)

    def _advance(self) -> None:
        """Do what comes next, all nodes having come."""
        nodes = [self._nodes[rank] for rank in sorted(self._nodes)]
        if self._phase == "joining":
            self._phase, self._until = (
                "checking",
                time.monotonic() + 3 * CONNECT_TIMEOUT_S,
            )
            places = [[node.at, node.port] for node in nodes]
            self._tell_all(check=places, meeting=self._meeting_port)
        elif self._phase == "checking" and all(node.has_checked for node in nodes):
            self._meeting.close()
            if self._problems:
                self._refuse()
            else:
                self._phase = "running"
                self._tell_all(go=self._meeting_port, own=self._own)
        if all(node.code is not None for node in nodes):
            self.over.set()

    def _give_up(self) -> None:
        """Refuse, for not all came, or not all said what they reach."""
        for rank, name in enumerate(self._names):
            node = self._nodes.get(rank)
            if node is None:
                why = f"did not connect within {self._join_s} s"
            elif self._phase == "checking" and not node.has_checked:
                why = "did not report whether it reaches the others"
            else:
                continue
            self._problems.append({"from": name, "to": name, "address": "", "why": why})
        self._meeting.close()
        self._refuse()

    def _refuse(self) -> None:
        self._phase = "refused"
        self._tell_all(refuse=self._problems)
        threading.Event().wait(_LAST_MESSAGE_S)
        self.over.set()

    def _look_for_lost(self, now: float) -> None:
        for rank, node in self._nodes.items():
            if node.code is None and now - node.last_seen > self._lost_s:
                node.code = TERMINATED
                self._fail(rank, "lost")
        if all(node.code is not None for node in self._nodes.values()):
            self.over.set()

    def _fail(self, rank: int, how: object) -> None:
        if self.first is None and self._phase == "running":
            self.first = Failure(rank, self._names[rank], str(how))
            self._tell_all(stop=self.first)

    def _tell_all(self, **message: Any) -> None:  # noqa: ANN401 - as JSON has it
        for node in self._nodes.values():
            node.stream.send(**message)
