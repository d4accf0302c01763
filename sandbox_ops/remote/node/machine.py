"""What the launcher of a node does on its machine: addresses, processes, variables."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sandbox_ops.remote.node.job_files import Plan

_SIOCGIFADDR = 0x8915


def own_addresses() -> list[str]:
    """Return the addresses of this machine by which others may reach it."""
    addresses: list[str] = []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = subprocess.run(
            ["hostname", "-I"], capture_output=True, timeout=5, check=False
        ).stdout
        addresses += words.decode().split()
    return [*addresses, socket.gethostname()]


def interface_of(address: str) -> str:
    """Return the network interface that has an IPv4 address; "" where none is known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                request = struct.pack("256s", name.encode()[:15])
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return ""


def variables(
    plan: Plan, master: str, port: int, interface: str, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of the command: torchrun's variables, and a program's own."""
    nodes, rank, processes = len(plan.machines), plan.rank, plan.processes
    fixed: dict[str, object] = {
        "MASTER_ADDR": master,
        "MASTER_PORT": port,
        "NNODES": nodes,
        "NODE_RANK": rank,
        "PET_NNODES": nodes,
        "PET_NODE_RANK": rank,
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": port,
        "PET_RDZV_ID": plan.run,
        "PET_RDZV_ENDPOINT": f"{master}:{port}",
        "PET_RDZV_CONF": f"is_host={int(rank == 0)}",
    }
    if processes == 1:  # a program may do without torchrun
        fixed.update(RANK=rank, WORLD_SIZE=nodes, LOCAL_RANK=0, LOCAL_WORLD_SIZE=1)
    defaults: dict[str, object] = {
        "PET_NPROC_PER_NODE": processes,
        "PET_MONITOR_INTERVAL": 0.1,
    }
    if interface:  # not the one that the machine's name happens to lead to
        defaults.update(GLOO_SOCKET_IFNAME=interface, NCCL_SOCKET_IFNAME=interface)
    merged = {**defaults, **environment, **fixed}
    return {name: str(value) for name, value in merged.items()}


def signal_group(pid: int, number: int) -> None:
    """Signal a process group, if it is still there."""
    with contextlib.suppress(OSError):
        os.killpg(pid, number)


def kill_marked(folder: str) -> None:
    """Kill what else belongs to the job: torchrun's workers are in sessions of their own."""
    mark = f"SANDBOX_JOB={folder}".encode()
    for _ in range(3):
        n_killed = 0
        for environ in Path("/proc").glob("[1-9]*/environ"):
            with contextlib.suppress(OSError):
                pid = int(environ.parent.name)
                if mark in environ.read_bytes().split(b"\0") and pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)
                    n_killed += 1
        if not n_killed:
            return
