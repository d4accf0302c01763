"""A network of the test's own, where packets can be lost.

The calling thread, and what it starts from then on, moves into a fresh network
namespace: dropping packets there disturbs nobody.
"""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

import pytest

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def private_network() -> Iterator[None]:
    """Live in a network namespace that holds nothing but a loopback device."""
    if os.geteuid() != 0:
        pytest.fail("network faults are injected in namespaces, which needs root")
    with open("/proc/thread-self/ns/net") as before:  # noqa: PTH123
        _check(_LIBC.unshare(_CLONE_NEWNET))
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            _check(_LIBC.setns(before.fileno(), _CLONE_NEWNET))


def _check(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def black_hole(port: int) -> None:
    """Drop every packet to and from a port, without a word to either side."""
    nft(
        f"""table inet fault {{
  chain lost {{
    type filter hook input priority 0
    tcp dport {port} drop
    tcp sport {port} drop
  }}
}}
"""
    )


def forget(port: int) -> None:
    """Drop every packet of the connections there are to a port; new ones get through.

    That is what another network, another address or a firewall that lost its table is
    to a connection: nobody says that it is over.
    """
    sockets = ["ss", "-Htn", "state", "established", f"dport = :{port}"]
    output = subprocess.run(sockets, check=True, capture_output=True, text=True).stdout
    ours = ", ".join(line.split()[2].rpartition(":")[2] for line in output.splitlines())
    assert ours, "there is no connection to forget"
    nft(
        f"""table inet fault {{
  chain lost {{
    type filter hook input priority 0
    tcp dport {{ {ours} }} drop
    tcp sport {{ {ours} }} drop
  }}
}}
"""
    )


def restore_network() -> None:
    """Let the packets through again."""
    nft("delete table inet fault\n")


def nft(text: str) -> None:
    """Change the rules of this network, in the words of nft(8)."""
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
