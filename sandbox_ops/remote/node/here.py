"""What the launcher of a node does on its machine: files of the job, addresses, processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NOT_BEGUN = 75
TERMINATED = 143
_SIOCGIFADDR = 0x8915
_WAYS = {
    "stopped": "was stopped",
    "timed-out": "reached its deadline",
    "lost": "was lost",
}

Failure = Sequence[Any]
"""Rank, machine and how, of the node that ended first and badly: its exit code, or `_WAYS`."""


def failure_sentence(failure: Failure) -> str:
    """Return in words what ended first."""
    rank, machine, how = failure
    way = _WAYS.get(how, f"failed first, with exit code {how}")
    return f"rank {rank} on {machine} {way}"


def say(line: str) -> None:
    """Add a line of ours to the job's log."""
    print(f"[sandbox-ops] {line}", flush=True)  # noqa: T201


def refuse(folder: str, problems: Sequence[Mapping[str, str]]) -> int:
    """Say why the run does not begin; return the exit code."""
    write_state(folder, phase="refused", problems=list(problems))
    for each in problems:
        say(f"not begun: {problem_words(each)}")
    return NOT_BEGUN


def problem_words(problem: Mapping[str, str]) -> str:
    """Return in words who cannot reach whom, or what else is wrong with a node."""
    if not problem["address"]:
        return f"{problem['from']}: {problem['why']}"
    way = f"cannot open a connection to {problem['to']} ({problem['address']})"
    return f"{problem['from']} {way}: {problem['why']}"


def write_state(folder: str, **state: Any) -> None:  # noqa: ANN401 - as JSON has it
    """Write down how far this node is."""
    write(f"{folder}/node_state.json", json.dumps(state) + "\n")


def write_first_failure(folder: str, failure: Failure) -> None:
    """Write down which node ended first, for the job's own record."""
    write(f"{folder}/first_failure", failure_words(failure, " ") + "\n")


def failure_words(failure: Failure, between: str) -> str:
    """Return rank, machine and how, as a job's record has them."""
    rank, machine, how = failure
    name = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in machine)
    return between.join((str(rank), name, str(how)))


def write(path: str, text: str) -> None:
    """Write a file whole."""
    new = Path(f"{path}.new")
    new.write_text(text, "utf-8")
    new.replace(path)


def stop_reason(folder: str) -> str:
    """Return why the supervisor ends this job."""
    with contextlib.suppress(OSError):
        if Path(folder, "stopping").read_text("utf-8").startswith("timed-out"):
            return "timed-out"
    return "stopped"


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
    plan: Mapping[str, Any],
    master: str,
    port: int,
    interface: str,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of the command: torchrun's variables, and a program's own."""
    nodes, rank, processes = len(plan["machines"]), plan["rank"], plan["processes"]
    fixed = {
        "MASTER_ADDR": master,
        "MASTER_PORT": port,
        "NNODES": nodes,
        "NODE_RANK": rank,
        "PET_NNODES": nodes,
        "PET_NODE_RANK": rank,
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": port,
        "PET_RDZV_ID": plan["run"],
        "PET_RDZV_ENDPOINT": f"{master}:{port}",
        "PET_RDZV_CONF": f"is_host={int(rank == 0)}",
    }
    if processes == 1:  # a program may do without torchrun
        fixed.update(RANK=rank, WORLD_SIZE=nodes, LOCAL_RANK=0, LOCAL_WORLD_SIZE=1)
    wishes = {"PET_NPROC_PER_NODE": processes, "PET_MONITOR_INTERVAL": 0.1}
    if interface:  # not the one that the machine's name happens to lead to
        wishes.update(GLOO_SOCKET_IFNAME=interface, NCCL_SOCKET_IFNAME=interface)
    merged = {**wishes, **environment, **fixed}
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
