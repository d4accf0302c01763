"""A training that meets over several nodes by torch's variables, without torch.

    python3 rendezvous.py [FAILING_RANK]

Rank 0 listens at MASTER_ADDR:MASTER_PORT, the others come; each sends a number and gets the
sum of all. With a FAILING_RANK that one then exits with 3, and the others wait for ever.
"""

import os
import signal
import socket
import sys
import threading
import time

RANK, SIZE = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
PLACE = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))


def all_reduce(number: int) -> int:
    """Return the sum of the numbers of all ranks."""
    if RANK:
        with _come() as connection:
            connection.sendall(b"%d\n" % number)
            return int(connection.makefile().readline())
    with socket.create_server(PLACE) as listener:
        peers = [listener.accept()[0] for _ in range(SIZE - 1)]
    total = number + sum(int(peer.makefile().readline()) for peer in peers)
    for peer in peers:
        peer.sendall(b"%d\n" % total)
    return total


def _come() -> socket.socket:
    until = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(PLACE, 20)
        except ConnectionRefusedError:  # rank 0 is not there yet
            if time.monotonic() > until:
                raise
        threading.Event().wait(0.05)


print(f"rank {RANK} of {SIZE} at {PLACE[0]}: sum {all_reduce(RANK + 1)}", flush=True)  # noqa: T201
if len(sys.argv) > 1:
    if int(sys.argv[1]) == RANK:
        sys.exit(3)
    signal.pause()
