"""Networks of several machines: a namespace each, with an address of its own, on one bridge."""

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Network:
    """The network of one machine.

    Attributes:
        namespace: As `ip netns` calls it.
        address: By which the others reach it.
    """

    namespace: str
    address: str

    @property
    def enter(self) -> str:
        """What starts a program in it."""
        return f"ip netns exec {self.namespace}"

    def run(self, *words: str, text: str = "") -> None:
        """Run a program in it.

        Raises:
            CalledProcessError: It failed.
        """
        subprocess.run([*self.enter.split(), *words], input=text, text=True, check=True)

    def drop(self, other: "Network") -> None:
        """Drop, without a word, every packet that comes from another machine."""
        self.run(
            *("nft", "-f", "-"),
            text=f"""table inet fault {{
  chain lost {{
    type filter hook input priority 0
    ip saddr {other.address} drop
  }}
}}
""",
        )


@contextlib.contextmanager
def networks(count: int) -> Iterator[tuple[Network, ...]]:
    """Have that many machines' networks, which reach each other."""
    if os.geteuid() != 0:
        pytest.fail("networks of several machines are namespaces, which need root")
    mark = f"so{secrets.token_hex(3)}"
    bridge = f"{mark}-br"
    made: list[str] = []
    try:
        _ip("netns", "add", bridge)
        made.append(bridge)
        _ip("-n", bridge, "link", "add", "br0", "type", "bridge")
        _ip("-n", bridge, "link", "set", "br0", "up")
        each = []
        for number in range(1, count + 1):
            name = f"{mark}-{number}"
            _ip("netns", "add", name)
            made.append(name)
            each.append(Network(name, f"10.77.0.{number}"))
            _connect(name, bridge, number)
        yield tuple(each)
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def _connect(name: str, bridge: str, number: int) -> None:
    peer = f"port{number}"
    _ip(
        *("-n", bridge, "link", "add", peer, "type", "veth"),
        *("peer", "name", "eth0", "netns", name),
    )
    _ip("-n", bridge, "link", "set", peer, "master", "br0", "up")
    _ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    _ip("-n", name, "link", "set", "lo", "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
