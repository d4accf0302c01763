"""Carries packets between two network namespaces and holds each back for a while.

    relay.py SECONDS

Prints the two namespaces as paths, then works until its standard input ends. A process
of its own, so that it does not wait for the interpreter that is being measured.
"""

import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

from network import private_network

NEAR, FAR = "10.99.0.1", "10.99.0.2"
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_PACKET_BYTES = 65536
_STDIN = 0


def main() -> None:
    delay_s = float(sys.argv[1])
    near, near_name = _end(NEAR, FAR)
    far, far_name = _end(FAR, NEAR)
    print(near_name, far_name, flush=True)
    _relay({near: far, far: near}, delay_s)


def _end(own: str, other: str) -> tuple[int, str]:
    """Make a namespace with a device in it; return the device and the former's path."""
    with private_network():
        device = os.open("/dev/net/tun", os.O_RDWR)
        name = struct.pack("16sH", b"tun0", _IFF_TUN_NO_PI)
        fcntl.ioctl(device, _TUNSETIFF, name)
        address = ["addr", "add", own, "peer", other, "dev", "tun0"]
        subprocess.run(["ip", *address], check=True)
        subprocess.run(["ip", "link", "set", "tun0", "up"], check=True)
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    return device, f"/proc/{os.getpid()}/fd/{namespace}"


def _relay(others: dict[int, int], delay_s: float) -> None:
    waiting: collections.deque[tuple[float, int, bytes]] = collections.deque()
    while True:
        pause_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([*others, _STDIN], [], [], pause_s)
        if _STDIN in ready:
            return
        due = time.monotonic() + delay_s
        for device in ready:
            packet = os.read(device, _PACKET_BYTES)
            waiting.append((due, others[device], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, device, packet = waiting.popleft()
            os.write(device, packet)


if __name__ == "__main__":
    main()
