"""The program as a process: what tests of the command line call."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_BIN = Path(sys.executable).parent
PROGRAM = str(_BIN / "sandbox-ops")
INV = str(_BIN / "inv")


def cli(
    *arguments: str,
    cwd: Path,
    program: str = PROGRAM,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 50,
) -> subprocess.CompletedProcess[str]:
    """Run `sandbox-ops` with these words in a folder, to its end."""
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
