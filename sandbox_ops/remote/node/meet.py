"""Whether the nodes of a Slurm job reach the first of them, before its command begins on any.

    python3 node_meet.py wait PORT SECONDS NODE...     on the first node: until all have come
    python3 node_meet.py come ADDRESS PORT SECONDS RANK NODE FIRST     on each other

Exit code 0 where all nodes reached the port where the processes will meet; else 75, and a line says
which node did not. They know each other by SANDBOX_NODE_SECRET. In the job's folder: `node_meets`
stands while the first listens, `node_met` says how it went: `go` or `no`.
A program of its own, for the machine's own Python (3.8 or newer).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

_NOT_BEGUN = 75
_ONE_TRY_S = 5.0
_PAUSE_S = 1.0
_LONGEST_LINE = 200


def main(words: Sequence[str]) -> int:
    """Do as one of the nodes; return the exit code."""
    secret = os.environ.get("SANDBOX_NODE_SECRET", "")
    if words[0] == "wait":
        folder = Path(os.environ["SANDBOX_JOB"])
        port, within_s, names = int(words[1]), float(words[2]), words[3:]
        code = _wait(folder, port, within_s, names, secret)
        (folder / "node_met.new").write_text("no\n" if code else "go\n", "ascii")
        (folder / "node_met.new").replace(folder / "node_met")
        return code
    address, port, within_s = words[1], int(words[2]), float(words[3])
    return _come(address, port, within_s, f"{secret} {words[4]}", *words[5:7])


def _wait(
    folder: Path, port: int, within_s: float, names: Sequence[str], secret: str
) -> int:
    """Listen until every other node has come, then let all begin; or say which did not."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        listener = socket.create_server(("", port), family=family, dualstack_ipv6=dual)
    except OSError as error:
        _say(f"not begun: port {port} of {names[0]} cannot be had: {error.strerror}")
        return _NOT_BEGUN
    (folder / "node_meets").touch()
    until = time.monotonic() + within_s
    came: dict[str, socket.socket] = {}
    while len(came) < len(names) - 1 and time.monotonic() < until:
        listener.settimeout(max(0.1, until - time.monotonic()))
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.settimeout(_ONE_TRY_S)
            said, _, rank = _line(connection).rpartition(" ")
            if said == secret and rank in {str(r) for r in range(1, len(names))}:
                came[rank] = connection
    missing = [n for rank, n in enumerate(names) if rank and str(rank) not in came]
    for connection in came.values():
        with contextlib.suppress(OSError):
            connection.sendall(b"no\n" if missing else b"go\n")
    for name in missing:
        _say(
            f"not begun: {name} did not reach {names[0]} at port {port} within"
            f" {within_s:g} s"
        )
    return _NOT_BEGUN if missing else 0


def _come(
    address: str, port: int, within_s: float, hello: str, name: str, first: str
) -> int:
    """Reach the first node, and wait for the word of it; or say why it cannot be reached."""
    until = time.monotonic() + within_s
    why = ""
    while True:
        try:
            with socket.create_connection((address, port), _ONE_TRY_S) as connection:
                connection.sendall(f"{hello}\n".encode())
                connection.settimeout(within_s)
                if (word := _line(connection)) in {"go", "no"}:
                    return 0 if word == "go" else _NOT_BEGUN
                why = "another program answers there"
        except OSError as error:
            is_late = isinstance(error, (TimeoutError, socket.timeout))
            why = "timed out" if is_late else error.strerror or str(error)
        if time.monotonic() > until:
            break
        threading.Event().wait(_PAUSE_S)
    _say(
        f"not begun: {name} cannot open a connection to {first} ({address}:{port}): {why}",
        "let the nodes open TCP connections to each other on the ports 20000 to 29999; or"
        " give MASTER_ADDR by --env: then that is used, and nothing is checked",
    )
    return _NOT_BEGUN


def _line(connection: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n") and len(text) < _LONGEST_LINE:
        piece = connection.recv(_LONGEST_LINE)
        if not piece:
            break
        text += piece
    return text.decode("ascii", "replace").strip()


def _say(*lines: str) -> None:
    """Write it at once: where another node failed too, this one may be ended after any line."""
    print(*(f"[sandbox-ops] {line}" for line in lines), sep="\n", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
