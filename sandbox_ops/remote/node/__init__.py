"""The launcher of one node of a run over several machines, as text to send.

It runs on the machine, by its own Python (3.8 or newer), with nothing but the standard library.
Its modules are sent as one file, without the lines by which they import each other.

    launcher                      the node: joins, starts the command, ends it
    peers                         its connection to the hub; a try of each other node
    hub                           what decides for all nodes, in the launcher of rank 0
    attempts                      whether another attempt follows, and what is kept of each
    wire                          messages over a connection
    job_files  machine            what it writes in its job's folder; addresses and processes
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

MODULES = ("job_files", "machine", "wire", "attempts", "hub", "peers", "launcher")


@functools.cache
def program() -> str:
    """Return the launcher as one file."""
    lines = ["from __future__ import annotations"]
    for name in MODULES:
        lines += _without_own_imports(
            Path(__file__).with_name(f"{name}.py").read_text("utf-8")
        )
    return "\n".join(lines) + "\n"


@functools.cache
def meeting() -> str:
    """Return the check of a Slurm job's nodes, as a file to send."""
    return Path(__file__).with_name("meet.py").read_text("utf-8")


def _without_own_imports(text: str) -> Iterator[str]:
    ours = (f"{__name__}.", "__future__")
    left_out: set[int] = set()
    for each in ast.parse(text).body:
        if isinstance(each, ast.ImportFrom) and f"{each.module}".startswith(ours):
            left_out.update(range(each.lineno, (each.end_lineno or each.lineno) + 1))
    for number, line in enumerate(text.splitlines(), 1):
        if number not in left_out:
            yield line
