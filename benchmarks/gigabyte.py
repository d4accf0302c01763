"""Runs a command with 1 GiB of output; says how much memory that took.

    gigabyte.py CONFIG

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

if TYPE_CHECKING:
    from sshd import SshServer


def pack(server: "SshServer") -> str:
    """Return the argument that tells how to reach a server."""
    return json.dumps(dataclasses.asdict(server.config()))


def main() -> None:
    with Sandbox(SandboxConfig(**json.loads(sys.argv[1]))) as sandbox:
        assert sandbox.run("true").ok
        before = _status_bytes("VmRSS")
        began = time.monotonic()
        result = sandbox.run("head -c 1073741824 /dev/zero")
        took_s = time.monotonic() - began
    growth = _status_bytes("VmHWM") - before
    incomplete = "yes" if result.job.log_incomplete else "no"
    print(growth, f"{took_s:.1f}", result.stdout.size_bytes, incomplete)


def _status_bytes(name: str) -> int:
    """Return a figure of this process; see proc_pid_status(5)."""
    status = Path("/proc/self/status").read_text("utf-8")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
