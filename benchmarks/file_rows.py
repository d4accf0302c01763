"""Rows about files: the end and the middle of a big one, and bringing one home."""

import functools
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import references
from bench import OURS, Bench, opened
from measure import Beside, Contenders, Row, compared, interleaved, seconds

from sandbox_ops.machine import files, listing, transfer
from sandbox_ops.models import Project
from sandbox_ops.workflows import put

_LINES = 10_000_000
_LINE = "step %8d loss 1.234567 lr 0.000300 tokens/s 123456 grad_norm 0.987654"
_PAD = 105
_MIDDLE = 9_000_000
_PAGE = 50
_NEXT_PAGE_S = 0.02
_DOWNLOAD_BYTES = 200_000_000
_SMALL_FILES = 10_000


def reading(bench: Bench) -> Iterator[Row]:
    """Say what lines of a 1 GB log cost."""
    log = bench.folder / "train.log"
    _write_log(log)
    pages = itertools.count(_MIDDLE + _PAGE, _PAGE)
    with opened(bench.server) as sandbox, references.Raw(bench.server) as raw:
        tail: Contenders = {
            OURS: lambda: files.read_lines(sandbox, str(log), limit=_PAGE),
            "exec `tail`": lambda: raw.run(f"tail -n {_PAGE} {log}"),
        }
        ends = interleaved(tail, bench.fewer(2))
        middle: Contenders = {
            OURS: lambda: files.read_lines(sandbox, str(log), _MIDDLE, _PAGE),
            "`tail -n +N \\| head`": lambda: raw.run(
                f"tail -n +{_MIDDLE} {log} | head -n {_PAGE}"
            ),
        }
        middles = interleaved(middle, bench.fewer(6))
        following: Contenders = {
            OURS: lambda: files.read_lines(sandbox, str(log), next(pages), _PAGE)
        }
        page_s = interleaved(following, bench.fewer(6))[OURS]
    log.unlink()
    yield compared("last 50 lines of a 1 GB log", ends, dict.fromkeys(tail, 2.0))
    yield compared("50 lines at line 9,000,000", middles, dict.fromkeys(middle, 1.2))
    goal = Beside("", goal="under 20 ms", met=page_s < _NEXT_PAGE_S)
    yield Row("the 50 lines after them", seconds(page_s), (goal,))


def _write_log(path: Path) -> None:
    with path.open("w", encoding="utf-8") as log:
        for number in range(1, _LINES + 1, 1000):
            lines = (_LINE % each for each in range(number, number + 1000))
            log.write("".join(f"{line:<{_PAD - 1}}\n" for line in lines))


def download(bench: Bench) -> Iterator[Row]:
    """Say how fast 200 MB come home, the checksums of both ends included."""
    remote, home = bench.folder / "remote", bench.folder / "home"
    remote.mkdir()
    home.mkdir()
    with (remote / "model").open("wb") as file:
        for _ in range(_DOWNLOAD_BYTES // 1_000_000):
            file.write(os.urandom(1_000_000))
    with (
        opened(bench.server) as sandbox,
        references.multiplexed(bench.server) as master,
    ):

        def ours() -> None:
            (collected,) = listing.files(sandbox, str(remote), ["model"])
            file, copy = str(remote / "model"), home / "ours"
            transfer.download(sandbox, file, copy, size_bytes=collected.size_bytes)

        contenders: Contenders = {
            OURS: ours,
            "`scp`, connection open": lambda: master.copy(
                remote / "model", home / "scp"
            ),
        }
        medians = interleaved(contenders, bench.fewer(8))
    goals = dict.fromkeys(contenders, 1.5)
    yield compared("download of 200 MB, checked by SHA-256", medians, goals)


def upload(bench: Bench) -> Iterator[Row]:
    """Say how fast 200 MB, and 10,000 small files, go there, checksums included."""
    local, there = bench.folder / "local", bench.folder / "there"
    (local / "many").mkdir(parents=True)
    there.mkdir()
    with (local / "model").open("wb") as file:
        for _ in range(_DOWNLOAD_BYTES // 1_000_000):
            file.write(os.urandom(1_000_000))
    for number in range(_SMALL_FILES):
        folder = local / "many" / f"class-{number % 10}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.png").write_bytes(os.urandom(4000))
    runs = itertools.count()
    with (
        opened(bench.server) as sandbox,
        references.multiplexed(bench.server) as master,
    ):
        workspace = Path(sandbox.config.workspace)

        def ours(name: str) -> None:
            to = f"{workspace}/{name}-{next(runs)}"
            put.put(sandbox, Project(), path=str(local / name), dest=to)

        def scp(name: str) -> None:
            master.send(local / name, there / f"{name}-{next(runs)}")

        for name, words in (
            ("model", "put of 200 MB, checked by SHA-256"),
            ("many", "put of 10,000 files of 4 kB, each checked by SHA-256"),
        ):
            contenders: Contenders = {
                OURS: functools.partial(ours, name),
                "`scp`, connection open": functools.partial(scp, name),
            }
            medians = interleaved(contenders, bench.fewer(20))
            yield compared(words, medians, dict.fromkeys(contenders, 1.5))
