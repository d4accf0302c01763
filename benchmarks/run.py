"""The benchmarks: every number of docs/reference/benchmarks.md, as one Markdown table.

    python benchmarks/run.py [--rounds N] [--only NAME]...

All of it runs against an sshd of its own on this machine; nothing else is needed but
root for the groups `far`, which delays packets between two network namespaces, and `slurm`.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "support")]

import command_rows  # noqa: E402
import file_rows  # noqa: E402
import guard_rows  # noqa: E402
import link_rows  # noqa: E402
import output_rows  # noqa: E402
import promise_rows  # noqa: E402
import queue_rows  # noqa: E402
import run_rows  # noqa: E402
import slurm_rows  # noqa: E402
import start_rows  # noqa: E402
from bench import Bench  # noqa: E402
from measure import Row, table  # noqa: E402
from sshd import start_sshd  # noqa: E402

GROUPS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "warm": command_rows.warm,
    "reading-jobs": command_rows.reading_jobs,
    "links": link_rows.links,
    "link-programs": link_rows.link_programs,
    "fleet": link_rows.fleet,
    "cold": command_rows.cold,
    "far": command_rows.far,
    "threads": command_rows.threads,
    "bashrc": command_rows.bashrc,
    "output": output_rows.output,
    "stock": output_rows.stock,
    "memory": output_rows.memory,
    "reading": file_rows.reading,
    "download": file_rows.download,
    "upload": file_rows.upload,
    "program": start_rows.program,
    "program-far": start_rows.program_far,
    "list": start_rows.listed,
    "mcp": start_rows.mcp,
    "promises": promise_rows.promises,
    "guards": guard_rows.guards,
    "runs": run_rows.runs,
    "queue": queue_rows.queue,
    "slurm": slurm_rows.slurm,
}


def main() -> None:
    options = _parser().parse_args()
    rows: list[Row] = []
    for name in options.only or GROUPS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += _rows(name, options.rounds)
    print(table(rows))
    load = " ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"\nload {load} on {os.cpu_count()} cores", file=sys.stderr)


def _rows(name: str, rounds: int) -> list[Row]:
    """Return the rows of a group, measured on a server that nobody has used."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder)
        with start_sshd(path / "server") as server:
            return list(GROUPS[name](Bench(server, path, rounds)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure, and print one table.")
    parser.add_argument(
        "--rounds", type=int, default=60, help="of the quickest things (default: 60)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=sorted(GROUPS),
        metavar="NAME",
        help=f"a group, and no other; may be repeated: {', '.join(GROUPS)}",
    )
    return parser


if __name__ == "__main__":
    main()
