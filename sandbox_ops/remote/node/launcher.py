"""The leader of a job that is one node of a run over several machines.

    python3 node_launcher.py COMMAND...

The command starts on every node, or on none: once all have connected and each can open a
connection to each other. It ends on every node when it fails on one, or when one is lost.
Nothing of that needs a client: each node holds a connection to rank 0, whose launcher decides
(`hub`), also whether all start again (`attempts`).

In the job's folder: `node.json`, the plan (rank, machines, addresses of rank 0, ports);
`node_state.json`, how far it is; `first_failure`, `RANK MACHINE HOW`, where another node failed
first: HOW is its exit code, `stopped`, `timed-out` or `lost`.
(Over 250 lines: all that can happen to a node is read side by side.)
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from sandbox_ops.remote.node.attempts import Attempts
from sandbox_ops.remote.node.hub import Hub
from sandbox_ops.remote.node.job_files import (
    TERMINATED,
    Failure,
    Plan,
    read_plan,
    refuse,
    say,
    stop_reason,
    write_first_failure,
    write_state,
)
from sandbox_ops.remote.node.machine import (
    interface_of,
    kill_marked,
    own_addresses,
    signal_group,
    variables,
)
from sandbox_ops.remote.node.peers import HubConnection, check_connections
from sandbox_ops.remote.node.wire import HEARTBEATS, POLL_S, reason

GRACE_S = 10  # between TERM and KILL, where another node failed
_ACKNOWLEDGED_S = 5  # for the hub to acknowledge an end
_NOT_FOUND = 127


def main(command: Sequence[str]) -> int:
    """Be one node; return the exit code."""
    folder = os.environ["SANDBOX_JOB"]
    plan = read_plan(folder)
    secret = os.environ.pop("SANDBOX_NODE_SECRET", "")
    hub = None
    if plan.rank == 0:
        try:
            hub = Hub(plan, secret)
        except OSError as error:
            return refuse(folder, [_port_taken(plan, error)])
        threading.Thread(target=hub.run, daemon=True).start()
        plan = plan._replace(hub=[f"127.0.0.1:{hub.port}"])
        write_state(folder, phase="joining", port=hub.port, addresses=own_addresses())
    node = Node(plan, secret, folder, command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: node.events.put({"signal": True}))
    code = node.run()
    return serve_the_others(hub, node, code) if hub else code


def _port_taken(plan: Plan, error: OSError) -> dict[str, str]:
    one = f"port {plan.port} or {plan.port + 1}"
    why = f"cannot listen on {one if plan.port else 'any port'}: {reason(error)}"
    return {"from": plan.own_name, "to": plan.own_name, "address": "", "why": why}


def serve_the_others(hub: Hub, node: Node, code: int) -> int:
    """Stay until every node has ended; return the exit code of rank 0."""
    until = time.monotonic() + 2 * GRACE_S
    if node.is_stopped and not hub.first:  # after its own end, or while that was sent
        code = TERMINATED
        hub.stop_all(stop_reason(node.folder))
    while not hub.over.wait(POLL_S) and (code == 0 or time.monotonic() < until):
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
        self, plan: Plan, secret: str, folder: str, command: Sequence[str]
    ) -> None:
        self.folder = folder
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._plan, self._command = plan, command
        self._hub = HubConnection(plan, secret, self.events)
        self._child: subprocess.Popen[bytes] | None = None
        self._first: Failure | None = None
        self._reported: dict[str, Any] = {}
        self._again: Failure | None = None
        self._timer: threading.Timer | None = None
        self._attempts = Attempts(plan, folder)
        self._kill_at = 0.0
        self.is_stopped = False

    def run(self) -> int:
        """Return the exit code."""
        problems = self._hub.open()
        if problems:
            return refuse(self.folder, problems)
        heartbeat_at = 0.0
        while True:
            now = time.monotonic()
            if now >= heartbeat_at:
                heartbeat_at = now + self._plan.lost_s / HEARTBEATS
                self._hub.send(heartbeat=1)
            if self._kill_at and now >= self._kill_at and self._child:
                self._kill_at = 0.0
                signal_group(self._child.pid, signal.SIGKILL)
                kill_marked(self.folder)
            with contextlib.suppress(queue.Empty):
                code = self._handle(self.events.get(timeout=POLL_S))
                if code is not None:
                    return code

    def _handle(self, event: dict[str, Any]) -> int | None:
        """Act on an event; return the exit code where it is the last."""
        if "check" in event:
            threading.Thread(target=self._check, args=(event,), daemon=True).start()
        elif "refuse" in event:
            return refuse(self.folder, event["refuse"])
        elif "go" in event:
            self._go(event)
        elif "again" in event:
            self._end_attempt(Failure(*event["again"]), event["attempt"])
        elif "stop" in event and not self._first:
            return self._stop_for(Failure(*event["stop"]))
        return self._handle_end(event)

    def _handle_end(self, event: dict[str, Any]) -> int | None:
        """Act on what ends this node, or its command; return the exit code where it is the last."""
        if "acknowledged" in event:
            return self._acknowledged()
        if "done" in event:
            self._hub.send(left=1)
            return 0
        if "ended" in event:
            return self._ended(event["ended"])
        if "signal" in event:
            return self._signalled()
        return None

    def _acknowledged(self) -> int | None:
        """The hub knows of our end: that of the run, if it is well and no attempt may follow."""
        if self._attempts.is_retried:
            self._cancel_timer()  # the hub says what follows
            return None
        return 0 if self._reported.get("end") == 0 else None

    def _go(self, event: dict[str, Any]) -> None:
        is_new = event["attempt"] == self._attempts.number
        if is_new and not self._child and not self._reported:
            self._start(event)

    def _check(self, event: dict[str, Any]) -> None:
        """Tell the hub which of the other nodes cannot be reached from here."""
        others = [(host, port) for host, port in event["check"]][1:]
        places = [(self._hub.host, event["meeting"]), *others]
        self._hub.send(checked=check_connections(self._plan, places))

    def _start(self, event: dict[str, Any]) -> None:
        is_first = self._plan.rank == 0
        master = event["own"] if is_first else self._hub.host
        own = event["own"] if is_first else self._hub.own
        write_state(self.folder, phase="running", master=f"{master}:{event['go']}")
        self._hub.forget_report()
        environment = variables(
            self._plan, master, event["go"], interface_of(own), os.environ
        )
        environment.update(self._attempts.begin())
        try:
            child = subprocess.Popen(
                self._command, env=environment, start_new_session=True
            )
        except OSError as error:
            say(f"cannot start {self._command[0]}: {error}")
            self.events.put({"ended": _NOT_FOUND})
            return
        self._child = child
        threading.Thread(
            target=lambda: self.events.put({"ended": child.wait()}), daemon=True
        ).start()

    def _stop_for(self, failure: Failure) -> int | None:
        """End the command, because another node failed."""
        self._first = failure
        self._cancel_timer()
        if not self._child or self._reported:
            if not self._reported:
                self._report(TERMINATED, str(TERMINATED))  # between two attempts
            return self.code_after(failure, self._reported["end"])
        say(f"stopping this node: {failure}")
        self._terminate(self._child)
        return None

    def _end_attempt(self, failure: Failure, attempt: int) -> None:
        """End the command, because a node failed and another attempt follows."""
        if self._first:
            return
        self._cancel_timer()
        if attempt != self._attempts.number:  # that is over here
            self._hub.repeat()
            return
        self._again = failure
        if self._reported:
            self._clear(failure, self._reported["end"])
        elif self._child:
            say(f"ending attempt {attempt}: {failure}")
            self._terminate(self._child)

    def _terminate(self, child: subprocess.Popen[bytes]) -> None:
        """End the command, and kill it after the grace."""
        signal_group(child.pid, signal.SIGTERM)
        self._kill_at = time.monotonic() + GRACE_S

    def _clear(self, failure: Failure, code: int) -> None:
        """Leave nothing of an attempt that is over here, and say so."""
        kill_marked(self.folder)
        number = self._attempts.number
        say(f"attempt {number} is over: {failure}")
        self._attempts.end(code, failure)
        self._child, self._again, self._kill_at = None, None, 0.0
        self._reported = {}
        self._hub.report(cleared=number)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _ended(self, code: int) -> int | None:
        code = 128 - code if code < 0 else code
        if self._again and not self._first and not self._reported:
            self._clear(self._again, code)
            return None
        was_signalled = bool(self._reported)
        if not was_signalled:
            self._report(code, str(code))
        if self._first:
            kill_marked(self.folder)
            return self.code_after(self._first, code)
        if was_signalled:  # as it was reported, whatever the command made of it
            return code or TERMINATED
        self._timer = threading.Timer(_ACKNOWLEDGED_S, self._end_unacknowledged)
        self._timer.daemon = True
        self._timer.start()
        return None

    def _end_unacknowledged(self) -> None:
        """Nobody acknowledged our end: it stands all the same."""
        own = Failure(self._plan.rank, self._plan.own_name, self._reported["how"])
        self.events.put({"acknowledged": 1})
        self.events.put({"stop": own})

    def _signalled(self) -> int | None:
        """Stopped, or at its deadline: the others are told, and the command."""
        self.is_stopped = True
        may_follow = self._attempts.is_retried
        if may_follow or not self._reported:
            self._report(TERMINATED, stop_reason(self.folder))
        child = self._child
        if not child or (may_follow and child.returncode is not None):
            threading.Event().wait(POLL_S)  # the report is on its way
            return TERMINATED
        signal_group(child.pid, signal.SIGTERM)
        return None

    def _report(self, code: int, how: str) -> None:
        self._reported = {"end": code, "how": how, "attempt": self._attempts.number}
        self._hub.report(**self._reported)

    def code_after(self, failure: Failure, code: int) -> int:
        """Return this node's exit code, where perhaps another failed first."""
        if failure.rank == self._plan.rank:
            return code
        write_first_failure(self.folder, failure)
        if not self._first:
            say(f"the run failed: {failure}")
        return int(failure.how) if failure.how.isdigit() else TERMINATED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
