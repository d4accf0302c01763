"""The leader of a job that is one node of a run over several machines.

    python3 node_launcher.py COMMAND...

The command starts on every node, or on none: once all have come and each can open a connection
to each other. It ends on every node when it fails on one, or when one is lost. Nothing of that
needs a client: each node holds a connection to rank 0, whose launcher decides (`hub`), also
whether all begin again (`attempts`).

In the job's folder: `node.json`, the plan (rank, machines, addresses of rank 0, ports);
`node_state.json`, how far it is; `first_failure`, `RANK MACHINE HOW`, where another node ended
first and badly: HOW is its exit code, `stopped`, `timed-out` or `lost`.
(Over 250 lines: all that can happen to a node is read side by side.)
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox_ops.remote.node.attempts import Attempts
from sandbox_ops.remote.node.here import (
    TERMINATED,
    Failure,
    failure_sentence,
    interface_of,
    kill_marked,
    own_addresses,
    refuse,
    say,
    signal_group,
    stop_reason,
    variables,
    write_first_failure,
    write_state,
)
from sandbox_ops.remote.node.hub import Hub
from sandbox_ops.remote.node.wire import (
    BEATS,
    CONNECT_S,
    LOOK_S,
    Stream,
    listen,
    plain,
    reason,
)

GRACE_S = 10  # between TERM and KILL, where another node failed
_NOTED_S = 5  # for the hub to take note of an end
_NOT_FOUND = 127


def main(command: Sequence[str]) -> int:
    """Be one node; return the exit code."""
    folder = os.environ["SANDBOX_JOB"]
    plan = json.loads(Path(folder, "node.json").read_text("utf-8"))
    secret = os.environ.pop("SANDBOX_NODE_SECRET", "")
    hub = None
    if plan["rank"] == 0:
        try:
            hub = Hub(plan, secret)
        except OSError as error:
            here = plan["machines"][0]
            ports = (
                f"port {plan['port']} or {plan['port'] + 1}"
                if plan["port"]
                else "all ports"
            )
            why = f"{ports} cannot be had: {reason(error)}"
            return refuse(
                folder, [{"from": here, "to": here, "address": "", "why": why}]
            )
        threading.Thread(target=hub.run, daemon=True).start()
        plan["hub"] = [f"127.0.0.1:{hub.port}"]
        write_state(folder, phase="joining", port=hub.port, addresses=own_addresses())
    node = Node(plan, secret, folder, command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: node.events.put({"signal": True}))
    code = node.run()
    return serve_the_others(hub, node, code) if hub else code


def serve_the_others(hub: Hub, node: Node, code: int) -> int:
    """Stay until every node has ended; return the exit code of rank 0."""
    until = time.monotonic() + 2 * GRACE_S
    if node.is_stopped and not hub.first:  # since its own end, or while that was noted
        code = TERMINATED
        hub.stop_all(stop_reason(node.folder))
    while not hub.over.wait(LOOK_S) and (code == 0 or time.monotonic() < until):
        with contextlib.suppress(queue.Empty):
            if "signal" in node.events.get_nowait():
                code = TERMINATED
                hub.stop_all(stop_reason(node.folder))
    return node.code_after(hub.first, code) if hub.first else code


class Node:
    """This node: it joins, starts the command when all may, ends it when all must.

    Attributes:
        events: What happens to it: messages of the hub, the end of the command, a signal.
        is_stopped: Whether a signal has come.
    """

    def __init__(
        self, plan: Mapping[str, Any], secret: str, folder: str, command: Sequence[str]
    ) -> None:
        self.folder = folder
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._plan, self._secret, self._command = plan, secret, command
        self._rank: int = plan["rank"]
        self._lost_s: float = plan["lost_s"]
        self._names: Sequence[str] = plan["machines"]
        self._listener = listen(0)  # for the others' check: the kernel answers it
        self._stream: Stream | None = None
        self._hub_at = self._own = ""
        self._child: subprocess.Popen[bytes] | None = None
        self._first: Failure | None = None
        self._reported: dict[str, Any] = {}
        self._cleared: dict[str, Any] = {}
        self._again: Failure | None = None
        self._timer: threading.Timer | None = None
        self._attempts = Attempts(plan, folder)
        self._kill_at = 0.0
        self.is_stopped = False

    def run(self) -> int:
        """Return the exit code."""
        problems = self._join(self._plan["join_s"])
        if problems:
            return refuse(self.folder, problems)
        threading.Thread(target=self._read, daemon=True).start()
        beat_at = 0.0
        while True:
            now = time.monotonic()
            if now >= beat_at:
                beat_at = now + self._lost_s / BEATS
                self._send(beat=1)
            if self._kill_at and now >= self._kill_at and self._child:
                self._kill_at = 0.0
                signal_group(self._child.pid, signal.SIGKILL)
                kill_marked(self.folder)
            with contextlib.suppress(queue.Empty):
                code = self._take(self.events.get(timeout=LOOK_S))
                if code is not None:
                    return code

    def _send(self, **message: Any) -> None:  # noqa: ANN401 - as JSON has it
        if self._stream:
            self._stream.send(**message)

    def _join(self, within_s: float) -> list[dict[str, str]]:
        """Connect to the hub; return why that cannot be."""
        until = time.monotonic() + within_s
        while True:
            tries = {address: self._connect(address) for address in self._to_try()}
            if self._stream:
                return []
            if time.monotonic() >= until:
                here, there = self._names[self._rank], self._names[0]
                return [
                    {"from": here, "to": there, "address": address, "why": why}
                    for address, why in tries.items()
                ]
            threading.Event().wait(LOOK_S)

    def _to_try(self) -> Sequence[str]:
        return [each for each in self._plan["hub"] if not self._stream]

    def _connect(self, address: str) -> str:
        """Connect to the hub at one address; return why that cannot be."""
        if self._stream:
            return ""
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        try:
            connection = socket.create_connection((host, int(port)), CONNECT_S)
        except OSError as error:
            return reason(error)
        stream, own = Stream(connection), plain(connection.getsockname()[0])
        listens_at = self._listener.getsockname()[1]
        stream.send(hello=self._rank, secret=self._secret, at=own, port=listens_at)
        for message in stream.messages(CONNECT_S):
            if "welcome" in message:
                self._stream, self._hub_at, self._own = stream, host, own
                return ""
        stream.close()
        return "another program answers there"

    def _read(self) -> None:
        """Hand on what the hub says; a connection that ended is opened again."""
        while self._stream:
            for message in self._stream.messages(self._lost_s):
                self.events.put(message)
            self._stream.close()
            self._stream = None
            if self._join(self._lost_s):
                self.events.put({"stop": [0, self._names[0], "lost"]})
                return
            if self._cleared or self._reported:
                self._send(**(self._cleared or self._reported))

    def _take(self, event: dict[str, Any]) -> int | None:
        """Act on an event; return the exit code where it is the last."""
        if "check" in event:
            threading.Thread(target=self._check, args=(event,), daemon=True).start()
        elif "refuse" in event:
            return refuse(self.folder, event["refuse"])
        elif "go" in event:
            self._go(event)
        elif "again" in event:
            self._end_attempt(event["again"], event["attempt"])
        elif "stop" in event and not self._first:
            return self._stop_for(event["stop"])
        return self._take_end(event)

    def _take_end(self, event: dict[str, Any]) -> int | None:
        """Act on what ends this node, or its command; return the exit code where it is the last."""
        if "noted" in event:
            return self._noted()
        if "done" in event:
            self._send(left=1)
            return 0
        if "ended" in event:
            return self._ended(event["ended"])
        if "signal" in event:
            return self._signalled()
        return None

    def _noted(self) -> int | None:
        """The hub knows of our end: that of the run, where it is well and no attempt may follow."""
        if self._attempts.is_retried:
            self._cancel_timer()  # the hub says what follows
            return None
        return 0 if self._reported.get("end") == 0 else None

    def _go(self, event: dict[str, Any]) -> None:
        is_new = event["attempt"] == self._attempts.number
        if is_new and not self._child and not self._reported:
            self._start(event)

    def _check(self, event: dict[str, Any]) -> None:
        """Open a connection to every other node, and tell the hub which cannot be."""
        problems: list[dict[str, str]] = []

        def one(rank: int, host: str, port: int) -> None:
            try:
                socket.create_connection((host, port), CONNECT_S).close()
            except OSError as error:
                here, there = self._names[self._rank], self._names[rank]
                problem = {"from": here, "to": there, "address": f"{host}:{port}"}
                problems.append({**problem, "why": reason(error)})

        threads = []
        for rank, (host, port) in enumerate(event["check"]):
            if rank != self._rank:
                place = (self._hub_at, event["meeting"]) if rank == 0 else (host, port)
                threads.append(threading.Thread(target=one, args=(rank, *place)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._send(checked=problems)

    def _start(self, event: dict[str, Any]) -> None:
        is_first = self._rank == 0
        master, own = (event["own"],) * 2 if is_first else (self._hub_at, self._own)
        write_state(self.folder, phase="running", master=f"{master}:{event['go']}")
        self._cleared = {}
        environment = variables(
            self._plan, master, event["go"], interface_of(own), os.environ
        )
        environment.update(self._attempts.begin())
        try:
            self._child = subprocess.Popen(
                self._command, env=environment, start_new_session=True
            )
        except OSError as error:
            say(f"cannot start {self._command[0]}: {error}")
            self.events.put({"ended": _NOT_FOUND})
            return
        child = self._child
        threading.Thread(
            target=lambda: self.events.put({"ended": child.wait()}), daemon=True
        ).start()

    def _stop_for(self, failure: Failure) -> int | None:
        """End the command, because another node ended badly."""
        self._first = failure
        self._cancel_timer()
        if not self._child or self._reported:
            if not self._reported:
                self._report(TERMINATED, str(TERMINATED))  # between two attempts
            return self.code_after(failure, self._reported["end"])
        say(f"ending this node: {failure_sentence(failure)}")
        signal_group(self._child.pid, signal.SIGTERM)
        self._kill_at = time.monotonic() + GRACE_S
        return None

    def _end_attempt(self, failure: Failure, attempt: int) -> None:
        """End the command, because a node ended badly and another attempt follows."""
        if self._first:
            return
        self._cancel_timer()
        if attempt != self._attempts.number:  # that is over here
            self._send(**self._cleared)
            return
        self._again = failure
        if self._reported:
            self._clear(self._reported["end"])
        elif self._child:
            say(f"ending attempt {attempt}: {failure_sentence(failure)}")
            signal_group(self._child.pid, signal.SIGTERM)
            self._kill_at = time.monotonic() + GRACE_S

    def _clear(self, code: int) -> None:
        """Leave nothing of an attempt that is over here, and say so."""
        assert self._again is not None  # noqa: S101 - that is why it ends
        kill_marked(self.folder)
        say(f"attempt {self._attempts.number} is over: {failure_sentence(self._again)}")
        self._cleared = {"cleared": self._attempts.number}
        self._attempts.end(code, self._again, self._rank)
        self._child, self._again, self._kill_at = None, None, 0.0
        self._reported = {}
        self._send(**self._cleared)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _ended(self, code: int) -> int | None:
        code = 128 - code if code < 0 else code
        if self._again and not self._first and not self._reported:
            self._clear(code)
            return None
        was_signalled = bool(self._reported)
        if not was_signalled:
            self._report(code, str(code))
        if self._first:
            kill_marked(self.folder)
            return self.code_after(self._first, code)
        if was_signalled:
            return (
                code or TERMINATED
            )  # as it was reported, whatever the command made of it
        self._timer = threading.Timer(_NOTED_S, self._end_unnoted)
        self._timer.daemon = True
        self._timer.start()
        return None

    def _end_unnoted(self) -> None:
        """Nobody took note of our end: it stands all the same."""
        name, how = self._names[self._rank], self._reported["how"]
        self.events.put({"noted": 1})
        self.events.put({"stop": [self._rank, name, how]})

    def _signalled(self) -> int | None:
        """Stopped, or at its deadline: the others are told, and the command."""
        self.is_stopped = True
        may_follow = self._attempts.is_retried
        if may_follow or not self._reported:
            self._report(TERMINATED, stop_reason(self.folder))
        child = self._child
        if not child or (may_follow and child.returncode is not None):
            threading.Event().wait(LOOK_S)  # it is on its way
            return TERMINATED
        signal_group(child.pid, signal.SIGTERM)
        return None

    def _report(self, code: int, how: str) -> None:
        self._reported = {"end": code, "how": how, "attempt": self._attempts.number}
        self._send(**self._reported)

    def code_after(self, failure: Failure, code: int) -> int:
        """Return this node's exit code, where perhaps another ended first."""
        rank, _, how = failure
        if rank == self._rank:
            return code
        write_first_failure(self.folder, failure)
        if not self._first:
            say(f"the run failed: {failure_sentence(failure)}")
        return int(how) if how.isdigit() else TERMINATED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
