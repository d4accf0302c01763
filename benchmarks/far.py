"""A server that is 50 ms away: real packets, delayed between two namespaces."""

import contextlib
import ctypes
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import relay
import sshd_files
from sshd import SshServer, start_sshd

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def far_server(folder: Path, rtt_s: float) -> Iterator[SshServer]:
    """Run a server and put this thread, and what it starts, a round trip away from it.

    Needs root, for the namespaces, and Linux, for the TUN devices.
    """
    with _relay(rtt_s / 2) as (near, far):
        with _inside(far):
            server = start_sshd(folder, extra=f"ListenAddress {relay.FAR}")
        _move(server)
        with server, _inside(near):
            yield server


def _move(server: SshServer) -> None:
    """Let clients know the server by its address in the other namespace."""
    for file in (server.known_hosts, server.ssh_config):
        text = file.read_text("utf-8").replace(sshd_files.HOST, relay.FAR)
        file.write_text(text, "utf-8")
    server.host = relay.FAR


@contextlib.contextmanager
def _relay(delay_s: float) -> Iterator[tuple[str, str]]:
    # the helpers of the tests, of which it uses one, lie where we found them
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, relay.__file__, str(delay_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout
    assert process.stdin
    try:
        near, far = process.stdout.readline().split()
        yield near, far
    finally:
        process.stdin.close()
        process.wait(10)


@contextlib.contextmanager
def _inside(namespace: str) -> Iterator[None]:
    """Live in a network namespace."""
    with (
        open("/proc/thread-self/ns/net") as before,  # noqa: PTH123
        open(namespace) as there,  # noqa: PTH123
    ):
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(before.fileno())


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def round_trip_s(server: SshServer, rounds: int = 11) -> float:
    """Return what a round trip takes: a TCP connect is one."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        with socket.create_connection((server.host, server.port)):
            times.append(time.perf_counter() - began)
    return statistics.median(times)
