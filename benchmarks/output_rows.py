"""Rows about much output: how fast, and in how much memory."""

import subprocess
import sys
from collections.abc import Iterator

import gigabyte
import references
from bench import OURS, Bench, opened, run_true
from measure import Beside, Contenders, Row, compared, interleaved, mib, once
from references import ASYNCSSH, FABRIC, RAW

_OUTPUT_BYTES = 16 << 20
_MOST_GROWTH_BYTES = 64 << 20


def output(bench: Bench) -> Iterator[Row]:
    """Say how fast 16 MiB of output come through, all of it listened to."""
    command = f"head -c {_OUTPUT_BYTES} /dev/zero"
    with (
        opened(bench.server) as sandbox,
        references.Raw(bench.server) as raw,
        references.Asyncssh(bench.server) as asyncssh,
    ):

        def ours() -> None:
            sizes: list[int] = []
            result = sandbox.run(
                command, on_output=lambda _, piece: sizes.append(len(piece))
            )
            assert result.ok, result
            assert sum(sizes) == _OUTPUT_BYTES

        contenders: Contenders = {
            OURS: ours,
            RAW: lambda: raw.run(command),
            ASYNCSSH: lambda: asyncssh.run(command),
            "`ours`, head and tail": lambda: sandbox.run(command),
        }
        medians = interleaved(contenders, bench.fewer(6))
    yield compared("16 MiB of output, to a listener", medians, {RAW: 1.5})


def stock(bench: Bench) -> Iterator[Row]:
    """Say how stock Fabric fares with as much, once: its time is quadratic."""
    command = f"head -c {_OUTPUT_BYTES} /dev/zero"
    with opened(bench.server) as sandbox, references.stock_fabric(bench.server) as box:
        run_true(sandbox)
        box.run("true", hide=True, in_stream=False)
        contenders: Contenders = {
            OURS: lambda: sandbox.run(command, on_output=lambda *_: None),
            FABRIC: lambda: box.run(command, hide=True, in_stream=False),
        }
        times = {name: once(work) for name, work in contenders.items()}
    yield compared("16 MiB of output, to a listener, once", times, {})


def memory(bench: Bench) -> Iterator[Row]:
    """Say how much a process of its own grows by 1 GiB of output."""
    yield _growth(bench, "run", "1 GiB of output, head and tail kept: memory growth")
    yield _growth(bench, "listen", "1 GiB of output, to a listener: memory growth")


def _growth(bench: Bench, how: str, what: str) -> Row:
    done = subprocess.run(
        [sys.executable, gigabyte.__file__, gigabyte.pack(bench.server), how],
        check=True,
        capture_output=True,
        text=True,
    )
    growth_bytes, took_s, seen_bytes = done.stdout.split()
    met = int(growth_bytes) < _MOST_GROWTH_BYTES
    goal = Beside("", goal=f"under {mib(_MOST_GROWTH_BYTES)}", met=met)
    seen = f"{mib(int(seen_bytes))} on record, {took_s} s"
    return Row(what, mib(int(growth_bytes)), (goal, Beside("", seen)))
