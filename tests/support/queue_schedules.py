"""Random schedules of a queue and faults on one machine, and what must hold afterwards.

A schedule is its seed. Every job writes what really became of it outside of our reach, and
who held which GPU at the same time as another.
"""

import contextlib
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faulty import Machine
from gpus import Gpus, give_gpus
from schedules import CLIENTS
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import SandboxError
from sandbox_ops.machine import jobs, queue
from sandbox_ops.models import Job, JobState, SandboxConfig
from sandbox_ops.models.queue import QueueRequest, RetryPolicy

_COMMAND = """\
echo run $SANDBOX_ATTEMPT >>{truth}.runs
{work}
echo {code} >>{truth}.code
exit {code}
"""
_END_S = 120.0


@dataclass(slots=True)
class Work:
    """One start: what was asked, and what its caller got."""

    token: str
    code: int
    request: QueueRequest
    acked: str = ""
    hurt: bool = False  # we killed its leader, or stopped it


class QueueSchedule:
    """One run of a machine's queue, decided by a seed."""

    def __init__(self, machine: Machine, gpus: Gpus, seed: int) -> None:
        self.machine = machine
        self.gpus = gpus
        self.random = random.Random(seed)  # noqa: S311
        self.name = f"q{seed}"
        self.work: list[Work] = []
        self.faults: Counter[str] = Counter()
        self.seen: dict[str, Job] = {}
        self.broken: list[str] = []
        self._full = False

    def run(self) -> list[str]:
        """Run it; return every promise that was broken, in words."""
        steps = (self._start, self._doomed, self._stop, self._move, self._fault)
        try:
            for _ in range(self.random.randint(6, 14)):
                self.random.choices(steps, (6, 2, 1, 1, 4))[0]()
                self._look()
        finally:
            if self._full:
                self.machine.mounts.free(self.machine.records)
        self._check()
        return self.broken

    @property
    def _client(self) -> Sandbox:
        return self.random.choice(self.machine.clients)

    # -- work ---------------------------------------------------------------------

    def _new(self) -> tuple[Work, str]:
        token = f"{self.name}-{len(self.work)}"
        acked = [work.acked for work in self.work if work.acked]
        gpus = self.random.choice([0, 0, 1, 1, 2])
        retry = RetryPolicy(
            retries=self.random.choice([0, 0, 0, 1, 2]),
            on=self.random.choice([("exit", "signal", "lost"), ("lost",)]),
            backoff_s=0.1,
        )
        request = QueueRequest(
            gpus=gpus,
            slots=0 if gpus else self.random.choice([1, 2, 3]),
            priority=self.random.choice([0, 0, 1]),
            after=tuple(
                f"{job}:any" for job in self.random.sample(acked, min(1, len(acked)))
            )
            if self.random.random() < 0.15
            else (),
            retry=retry,
        )
        work = Work(token, self.random.choice([0, 0, 1, 3]), request)
        self.work.append(work)
        seconds = self.random.choice(["0", "0.05", "0.3", "1"])
        doing = f"{self.gpus.hold} 9000 {seconds}" if gpus else f"sleep {seconds}"
        truth = self.machine.truth / token
        return work, _COMMAND.format(truth=truth, work=doing, code=work.code)

    def _start(self) -> None:
        work, text = self._new()
        with contextlib.suppress(SandboxError):  # refused: then nothing may have run
            for _ in range(self.random.choice([1, 1, 2])):
                job = self._client.start(text, token=work.token, queue=work.request)
                if work.acked not in ("", job.id):
                    self.broken.append(f"1: {work.token}: {work.acked} and {job.id}")
                work.acked = job.id

    def _doomed(self) -> None:
        """Let a client of its own queue a job, and kill it anywhere meanwhile."""
        work, text = self._new()
        client = CLIENTS.Process(
            target=queue_one,
            args=(self.machine.config, text, work.token, work.request),
        )
        client.start()
        client.join(self.random.uniform(0.02, 0.5))
        client.kill()
        client.join()
        self.faults["client killed"] += 1

    def _stop(self) -> None:
        if work := self._any():
            work.hurt = True
            with contextlib.suppress(SandboxError):
                jobs.stop(self._client, work.acked, grace_s=0)

    def _move(self) -> None:
        if work := self._any():
            place = self.random.choice(["first", "last", "2"])
            with contextlib.suppress(SandboxError):
                queue.move(self._client, work.acked, place)

    def _any(self) -> Work | None:
        acked = [work for work in self.work if work.acked]
        return self.random.choice(acked) if acked else None

    def _look(self) -> None:
        with contextlib.suppress(SandboxError):
            for job in jobs.recent(self._client, 50):
                self._note(job)

    def _note(self, job: Job) -> None:
        before = self.seen.get(job.id)
        if before and before.state.ended and before.words != job.words:
            self.broken.append(f"3: {job.id} was {before.words}, is {job.words}")
        self.seen[job.id] = job

    # -- faults -------------------------------------------------------------------

    def _fault(self) -> None:
        faults: dict[str, Callable[[], object]] = {
            "keeper": self._kill_keeper,
            "supervisor": lambda: self._kill("pid"),
            "leader": lambda: self._kill("leader"),
            "sessions": self.machine.cut,
            "slow": self.machine.freeze,
            "disk": self._fill,
            "container": lambda: self._restart(boot_id=False),
            "reboot": lambda: self._restart(boot_id=True),
        }
        name = self.random.choices(list(faults), (8, 6, 3, 5, 2, 3, 1, 1))[0]
        self.faults[name] += 1
        faults[name]()

    def _kill(self, who: str) -> None:
        if work := self._any():
            work.hurt |= self.machine.kill(work.acked, who)

    def _fill(self) -> None:
        if not self._full:
            self.machine.mounts.fill(self.machine.records)
            self._full = True

    def _restart(self, *, boot_id: bool) -> None:
        for work in self.work:
            work.hurt = True
        self.machine.restart(boot_id=boot_id)

    def _kill_keeper(self) -> None:
        def identity() -> list[str]:
            files = self.machine.records.glob("v1/*/queue/*/keeper")
            return next(iter(files)).read_text().split()

        with contextlib.suppress(OSError, StopIteration, IndexError, ValueError):
            pid = self.machine.mounts.do(identity)[0]
            self.machine.kill_inner(int(pid), signal.SIGKILL)

    # -- what must hold -------------------------------------------------------------

    def _check(self) -> None:
        try:
            wait_until(self._is_over, _END_S, every_s=0.2)
        except AssertionError:
            left = [f"{j.id} {j.words}" for j in self._mine() if not j.state.ended]
            self.broken.append(f"2: not over after {_END_S:.0f} s: {left}")
            for job in self._mine():
                with contextlib.suppress(SandboxError):
                    jobs.stop(self._client, job.id, grace_s=0)
        mine = self._mine()
        for job in mine:
            self._note(job)
            if job.reason == "unsupervised" or job.state is JobState.LOST:
                with contextlib.suppress(SandboxError):
                    jobs.stop(self._client, job.id, grace_s=0)
        if shared := self.gpus.lines("shared"):
            self.broken.append(f"4: a GPU was held by two at once: {shared}")
        for work in self.work:
            self._check_work(
                work, [j for j in mine if f"/{work.token}.runs" in j.command]
            )
        if not self.broken:
            wait_until(self._is_clean, 30, what="a queue without entries")

    def _mine(self) -> list[Job]:
        listed = jobs.recent(self._client, 500)
        return [job for job in listed if f"/{self.name}-" in job.command]

    def _is_over(self) -> bool:
        with contextlib.suppress(SandboxError):
            listed = self._mine()
            for job in listed:
                self._note(job)
            return all(
                job.state.ended or job.reason == "unsupervised" for job in listed
            )
        return False

    def _is_clean(self) -> bool:
        def entries() -> list[Path]:
            base = next((self.machine.records / "v1").glob("*"))
            kinds = ("waiting", "held", "new")
            return [f for kind in kinds for f in base.glob(f"queue/*/{kind}/*")]

        return self.machine.mounts.do(entries) == []

    def _check_work(self, work: Work, mine: list[Job]) -> None:
        runs = self._truth(work, "runs").splitlines()
        if len(mine) > 1 or (runs and not mine):
            self.broken.append(f"1: {work.token} ran as {[j.id for j in mine]}")
        if len(set(runs)) != len(runs):
            self.broken.append(f"1: {work.token}: an attempt ran twice: {runs}")
        if len(runs) > work.request.retry.retries + 1:
            self.broken.append(f"1: {work.token} ran {len(runs)} times")
        if work.acked and work.acked not in {job.id for job in mine}:
            self.broken.append(f"1: {work.acked} was promised, and is not on record")
        for job in mine:
            finished = self._truth(work, "code").split()
            right = job.state in (JobState.SUCCEEDED, JobState.FAILED)
            if right and not work.hurt and job.exit_code != work.code:
                self.broken.append(f"5: {job.id} is {job.words}, really {finished}")
            if not right and not work.hurt and not self._may_be_lost(job):
                self.broken.append(f"2: {job.id} of {work.token} is {job.words}")

    def _may_be_lost(self, job: Job) -> bool:
        killed = ("supervisor", "leader", "container", "reboot")
        return job.state is JobState.LOST and any(self.faults[name] for name in killed)

    def _truth(self, work: Work, kind: str) -> str:
        file = self.machine.truth / f"{work.token}.{kind}"
        return file.read_text() if file.exists() else ""


def queue_one(
    config: SandboxConfig, command: str, token: str, request: QueueRequest
) -> None:
    """Queue a job, from a process that is going to be killed."""
    with Sandbox(config) as sandbox:
        sandbox.start(command, token=token, queue=request)


def queue_machine(machine: Machine) -> Gpus:
    """Give a machine two GPUs, before anybody connects."""
    return give_gpus(machine.server.home, 2)
