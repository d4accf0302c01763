"""Rows about short commands: warm, cold, far away, from many threads."""

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import references
from bench import OURS, Bench, opened, run_true
from far import far_server, round_trip_s
from measure import (
    Beside,
    Contenders,
    Row,
    against,
    compared,
    interleaved,
)
from references import ASYNCSSH, FABRIC, RAW, SSH
from sshd import SshServer, start_sshd

from sandbox_ops.machine import log_reading

RTT_S = 0.05
_LOOK = "look"
_THREADS = 8
_COMMANDS_A_THREAD = 25
_LEAST_RATE = 200
_START_UP_S = 0.15


@dataclass(frozen=True, slots=True)
class _Rush:
    """What many threads got done: calls a second, and how many of them failed."""

    rate: float
    failures: int


def warm(bench: Bench) -> Iterator[Row]:
    """Say what a command costs on an open connection."""
    with _all_open(bench.server) as contenders:
        medians = interleaved(contenders, bench.rounds)
    look = {OURS: medians.pop(_LOOK), RAW: medians[RAW]}
    yield compared('`Sandbox.run("true")`, on record', medians, {SSH: 1.0})
    yield compared('`Sandbox.request("look")`', look, {RAW: 1.3})


def reading_jobs(bench: Bench) -> Iterator[Row]:
    """Say what `remote_bash_output` asks of the machine, of a job and of a command."""
    with (
        opened(bench.server) as sandbox,
        references.multiplexed(bench.server) as ssh,
    ):
        job = sandbox.start("echo it").id
        command = sandbox.run("echo it; echo of it >&2").job.id
        contenders: Contenders = {
            job: lambda: log_reading.read(sandbox, job),
            command: lambda: log_reading.read(sandbox, command),
            SSH: lambda: ssh.run("true"),
        }
        medians = interleaved(contenders, bench.rounds)
    for name, what in ((job, "a job"), (command, "a command, both streams")):
        shown = {OURS: medians[name], SSH: medians[SSH]}
        yield compared(f"`remote_bash_output` of {what}", shown, {SSH: 0.5})


def cold(bench: Bench) -> Iterator[Row]:
    """Say what it takes from nothing to the first answer, and to the end."""
    medians = interleaved(_cold(bench.server), bench.fewer(3))
    yield compared("connect, `true`, close", medians, {RAW: 1.2})


def far(bench: Bench) -> Iterator[Row]:
    """Say the same of a machine 50 ms away, in round trips too."""
    with far_server(bench.folder / "far", RTT_S) as server:
        rtt_s = round_trip_s(server)
        with _all_open(server) as contenders:
            medians = interleaved(contenders, bench.fewer(3))
        closed = interleaved(_cold(server), bench.fewer(6))
    look = {OURS: medians.pop(_LOOK), RAW: medians[RAW]}
    for what, match, goal in (
        ('`Sandbox.run("true")`', medians, 1.3),
        ('`Sandbox.request("look")`', look, 1.3),
        ("connect, `true`, close", closed, None),
    ):
        goals = {} if goal else {RAW: 1.2, ASYNCSSH: 1.0}
        row = compared(f"{what}, 50 ms away", match, goals)
        trip = against("a round trip", match[OURS], rtt_s, goal)
        yield Row(row.what, row.shown, (trip, *row.beside))


def threads(bench: Bench) -> Iterator[Row]:
    """Say how many short commands a second eight threads get done."""
    ours: list[_Rush] = []
    raws: list[_Rush] = []
    with opened(bench.server) as sandbox, references.Raw(bench.server) as raw:
        for _ in range(bench.fewer(12)):
            ours.append(_rush(lambda: run_true(sandbox)))
            raws.append(_rush(lambda: raw.run("true")))
    rate = statistics.median(rush.rate for rush in ours)
    lost = sum(rush.failures for rush in ours)
    met = rate >= _LEAST_RATE and not lost
    goal = Beside("", goal=f"at least {_LEAST_RATE}/s, all well", met=met)
    other = Beside(RAW, _in_words(raws))
    yield Row("`run`, 8 threads on one connection", _in_words(ours), (goal, other))


def _in_words(rushes: Sequence[_Rush]) -> str:
    rate = statistics.median(rush.rate for rush in rushes)
    lost = sum(rush.failures for rush in rushes)
    asked = len(rushes) * _THREADS * _COMMANDS_A_THREAD
    return f"{rate:.0f}/s, {lost} of {asked} failed"


def _rush(run: Callable[[], object]) -> _Rush:
    """Let the threads call it, each many times."""
    failures: list[Exception] = []

    def work() -> None:
        for _ in range(_COMMANDS_A_THREAD):
            try:
                run()
            except Exception as error:  # noqa: BLE001  # counted
                failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(_THREADS)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took_s = time.perf_counter() - began
    return _Rush(_THREADS * _COMMANDS_A_THREAD / took_s, len(failures))


def bashrc(bench: Bench) -> Iterator[Row]:
    """Say what a start-up file that takes 150 ms costs a warm command."""
    quick = "the same without the sleep"
    with start_sshd(bench.folder / "slow") as slow:
        for name in (".bashrc", ".bash_profile"):
            (slow.home / name).write_text(f"sleep {_START_UP_S}\n", "utf-8")
        with (
            opened(bench.server) as unburdened,
            opened(slow) as sandbox,
            references.Raw(slow) as raw,
            references.multiplexed(slow) as master,
        ):
            contenders: Contenders = {
                OURS: lambda: run_true(sandbox),
                quick: lambda: run_true(unburdened),
                RAW: lambda: raw.run("true"),
                SSH: lambda: master.run("true"),
            }
            medians = interleaved(contenders, bench.fewer(3))
    yield compared("`run`, ~/.bashrc sleeps 150 ms", medians, {quick: 1.1})


@contextlib.contextmanager
def _all_open(server: SshServer) -> Iterator[Contenders]:
    """Open every client; return what each does for one command."""
    with (
        opened(server) as sandbox,
        references.Raw(server) as raw,
        references.Asyncssh(server) as asyncssh,
        references.multiplexed(server) as master,
        references.stock_fabric(server) as fabric,
    ):
        yield {
            OURS: lambda: run_true(sandbox),
            _LOOK: lambda: sandbox.request("look"),
            RAW: lambda: raw.run("true"),
            ASYNCSSH: lambda: asyncssh.run("true"),
            SSH: lambda: master.run("true"),
            FABRIC: lambda: fabric.run("true", hide=True, in_stream=False),
        }


def _cold(server: SshServer) -> Contenders:
    """Return what each does from nothing to its first answer, and the closing."""

    def ours() -> None:
        with opened(server) as sandbox:
            run_true(sandbox)

    def raw() -> None:
        with references.Raw(server) as client:
            client.run("true")

    def asyncssh() -> None:
        with references.Asyncssh(server) as client:
            client.run("true")

    def fabric() -> None:
        with references.stock_fabric(server) as client:
            client.run("true", hide=True, in_stream=False)

    def ssh() -> None:
        references.ssh(server, "true")

    return {OURS: ours, RAW: raw, ASYNCSSH: asyncssh, FABRIC: fabric, "`ssh`": ssh}
