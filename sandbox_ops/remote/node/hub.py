"""What decides for all nodes of a run; a part of the launcher of rank 0.

Its phases: joining, checking, running; where another attempt follows, ending, pausing and checking
again; leaving. (Over 250 lines: the phases are one protocol, read against each other.)
"""

from __future__ import annotations

import contextlib
import hmac
import queue
import socket
import threading
import time
from typing import Any

from sandbox_ops.remote.node.attempts import attempt_follows, pause_after
from sandbox_ops.remote.node.job_files import (
    TERMINATED,
    Failure,
    Plan,
    problem_text,
    say,
)
from sandbox_ops.remote.node.wire import (
    CONNECT_TIMEOUT_S,
    HEARTBEATS,
    POLL_S,
    Stream,
    listen,
    plain,
)

_LAST_MESSAGE_S = 1
_LEAVE_S = 5.0
_END_S = 40.0  # for all nodes to end an attempt: TERM, the grace, KILL


class NodeFacts:
    """What the hub knows of a node."""

    def __init__(self, stream: Stream, at: str, port: int) -> None:
        self.stream, self.at, self.port = stream, at, port
        self.last_seen = time.monotonic()
        self.has_left = False
        self.begin_attempt()

    def begin_attempt(self) -> None:
        """Forget what was of the attempt before."""
        self.has_checked = self.has_cleared = False
        self.code: int | None = None


class Hub:
    """Waits for all nodes, has them check each other, lets them begin, and ends them.

    Where one fails and another attempt follows, it ends that attempt on all, and begins again
    with their check of each other: so the new attempt, too, begins on all or on none.

    Attributes:
        port: Where it listens.
        first: The node that failed first; None so far.
        over: Set when every node has ended, or is lost.

    Raises:
        OSError: A port of the plan is taken.
    """

    def __init__(self, plan: Plan, secret: str) -> None:
        self._plan, self._secret, self._attempt = plan, secret, 1
        self._names, self._lost_s = plan.machines, plan.lost_s
        self._failure = Failure(0, "", "")  # of the attempt that is ended
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
        self._until = time.monotonic() + plan.join_s

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
            if self._phase in {"joining", "checking", "ending"} and now > self._until:
                self._give_up()
            if self._phase == "pausing" and now > self._until:
                self._begin_attempt()
            if self._is_under_way:
                self._look_for_lost(now)
            if self._phase == "leaving":
                self._look_for_left(now)

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
        self._take_end(rank, node, message)
        if len(self._nodes) == len(self._names):
            self._advance()

    def _take_end(self, rank: int, node: NodeFacts, message: dict[str, Any]) -> None:
        """Take note of what ended on a node: its command, an attempt, the node itself."""
        if "end" in message and message["attempt"] >= self._attempt:
            node.stream.send(acknowledged=1)
            if node.code is None:
                node.code = message["end"]
            if message["end"] != 0:
                self._fail(rank, message["how"])
        if "stopped" in message:
            self._fail(rank, message["stopped"])
        node.has_cleared |= message.get("cleared") == self._attempt
        node.has_left |= "left" in message

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
        elif self._phase == "ending":
            stream.send(again=self._failure, attempt=self._attempt)
        elif known and self._phase == "checking":
            stream.send(**self._check)
        elif known and self._phase == "running":
            stream.send(**self._go)
        elif self._phase == "leaving":
            stream.send(done=1)

    def _advance(self) -> None:
        """Do what comes next, all nodes having come."""
        nodes = [self._nodes[rank] for rank in sorted(self._nodes)]
        if self._phase == "joining":
            self._have_checked()
        elif self._phase == "checking" and all(node.has_checked for node in nodes):
            self._meeting.close()
            if self._problems:
                self._refuse()
            else:
                self._phase = "running"
                self._tell_all(**self._go)
        elif self._phase == "ending" and all(node.has_cleared for node in nodes):
            pause_s = pause_after(self._plan.retry, self._attempt)
            self._phase, self._until = "pausing", time.monotonic() + pause_s
        if self._phase == "running" and all(node.code is not None for node in nodes):
            self._have_leave()

    @property
    def _is_under_way(self) -> bool:
        """Whether the command was begun on all, and not yet ended for good."""
        if self._phase == "checking":
            return self._attempt > 1
        return self._phase in {"running", "ending", "pausing"}

    def _have_leave(self) -> None:
        """End, all commands having ended: nodes that might have been needed again leave first."""
        if self.first or not self._plan.retry.retries:
            self.over.set()
            return
        self._phase, self._until = "leaving", time.monotonic() + _LEAVE_S
        self._tell_all(done=1)

    def _look_for_left(self, now: float) -> None:
        others = (node for rank, node in self._nodes.items() if rank)
        if now > self._until or all(node.has_left for node in others):
            self.over.set()

    @property
    def _check(self) -> dict[str, Any]:
        nodes = [self._nodes[rank] for rank in sorted(self._nodes)]
        return {
            "check": [[node.at, node.port] for node in nodes],
            "meeting": self._meeting_port,
        }

    @property
    def _go(self) -> dict[str, Any]:
        return {"go": self._meeting_port, "own": self._own, "attempt": self._attempt}

    def _have_checked(self) -> None:
        """Have all nodes check whether they reach each other."""
        self._phase, self._until = "checking", time.monotonic() + 3 * CONNECT_TIMEOUT_S
        self._tell_all(**self._check)

    def _begin_attempt(self) -> None:
        """Begin the next attempt, with a port of its own where none is asked for."""
        try:
            self._meeting = listen(self._plan.port)
        except OSError as error:
            say(f"no further attempt: cannot listen on the port again: {error}")
            self._finish(self._failure)
            return
        self._meeting_port = self._meeting.getsockname()[1]
        self._attempt += 1
        for node in self._nodes.values():
            node.begin_attempt()
        self._have_checked()

    def _give_up(self) -> None:
        """Refuse, for not all came, or not all said what they reach, or ended an attempt."""
        if self._phase == "ending":
            rank = next(r for r, node in self._nodes.items() if not node.has_cleared)
            say(f"no further attempt: rank {rank} did not end this one")
            self._finish(self._failure)
            return
        for rank, name in enumerate(self._names):
            node = self._nodes.get(rank)
            if node is None:
                why = f"did not connect within {self._plan.join_s} s"
            elif self._phase == "checking" and not node.has_checked:
                why = "did not report whether it reaches the others"
            else:
                continue
            self._problems.append({"from": name, "to": name, "address": "", "why": why})
        self._meeting.close()
        self._refuse()

    def _refuse(self) -> None:
        if self._attempt > 1:
            for each in self._problems:
                say(f"no further attempt: {problem_text(each)}")
            self._finish(self._failure)
            return
        self._phase = "refused"
        self._tell_all(refuse=self._problems)
        threading.Event().wait(_LAST_MESSAGE_S)
        self.over.set()

    def _look_for_lost(self, now: float) -> None:
        for rank, node in self._nodes.items():
            if node.code is None and now - node.last_seen > self._lost_s:
                node.code = TERMINATED
                self._fail(rank, "lost")
        if self._phase == "running" and all(
            node.code is not None for node in self._nodes.values()
        ):
            self.over.set()

    def _fail(self, rank: int, how: object) -> None:
        failure = Failure(rank, self._names[rank], str(how))
        is_exit = failure.how.isdigit()
        if (
            self.first
            or not self._is_under_way
            or (is_exit and self._phase != "running")
        ):
            return
        if attempt_follows(self._plan.retry, self._attempt, failure.how):
            self._phase, self._failure = "ending", failure
            self._until = time.monotonic() + _END_S
            self._tell_all(again=failure, attempt=self._attempt)
        else:
            self._finish(failure)

    def _finish(self, failure: Failure) -> None:
        """End all nodes for good."""
        for node in self._nodes.values():
            if node.has_cleared:  # between two attempts: it says so once more
                node.code = None
        self._phase, self.first = "running", failure
        self._tell_all(stop=failure)

    def _tell_all(self, **message: Any) -> None:  # noqa: ANN401 - as JSON has it
        for node in self._nodes.values():
            node.stream.send(**message)
