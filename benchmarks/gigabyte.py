"""Runs a command with 1 GiB of output; says how much memory that took.

    gigabyte.py CONFIG run|listen

`run` keeps head and tail; `listen` follows a job and hears every byte.

A program of its own, because the most memory a process ever held cannot be reset.
"""

import dataclasses
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.machine import jobs

if TYPE_CHECKING:
    from sshd import SshServer

_OUTPUT_BYTES = 1 << 30
_COMMAND = f"head -c {_OUTPUT_BYTES} /dev/zero"


def pack(server: "SshServer") -> str:
    """Return the argument that tells how to reach a server."""
    return json.dumps(dataclasses.asdict(server.config()))


def main() -> None:
    config, how = sys.argv[1:]
    with Sandbox(SandboxConfig(**json.loads(config))) as sandbox:
        assert sandbox.run("true").ok
        before = _status_bytes("VmRSS")
        began = time.monotonic()
        size_bytes = {"run": _run, "listen": _listen}[how](sandbox)
        took_s = time.monotonic() - began
    growth = _status_bytes("VmHWM") - before
    print(growth, f"{took_s:.1f}", size_bytes)


def _run(sandbox: Sandbox) -> int:
    return sandbox.run(_COMMAND).stdout.size_bytes


def _listen(sandbox: Sandbox) -> int:
    heard: list[int] = []
    job = sandbox.start(_COMMAND)
    jobs.wait(sandbox, job.id, on_output=lambda _, piece: heard.append(len(piece)))
    assert sum(heard) == _OUTPUT_BYTES
    return sum(heard)


def _status_bytes(name: str) -> int:
    """Return a figure of this process; see proc_pid_status(5)."""
    status = Path("/proc/self/status").read_text("utf-8")
    match = re.search(rf"{name}:\s+(\d+) kB", status)
    assert match
    return int(match[1]) * 1024


if __name__ == "__main__":
    main()
