"""Random schedules of work and faults on one machine, and what must hold afterwards.

A schedule is its seed. Every job writes what really became of it outside of our reach;
after the faults are undone the records are held against that.
"""

import contextlib
import dataclasses
import functools
import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.synchronize import Event

import treework
from faulty import Machine
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import SandboxError
from sandbox_ops.machine import jobs
from sandbox_ops.models import CommandResult, Job, JobState, SandboxConfig

_COMMAND = """\
echo run >>{truth}.runs
{escape}
for i in $(seq {lines}); do echo {token} line $i {pad}; sleep {pause}; done
echo {code} >{truth}.code
exit {code}
"""
_KILLED = (128 + signal.SIGKILL, 128 + signal.SIGTERM)  # a shutdown says TERM first
_PAD = "x" * 1000  # so that a log outgrows the block that it has
CLIENTS = multiprocessing.get_context("forkserver")
CLIENTS.set_forkserver_preload(
    ["sandbox_ops", "sandbox_ops.ssh.connection", "schedules", "queue_schedules"]
)
_SELDOM, _OFTEN = 0.15, 0.25


@dataclasses.dataclass(slots=True)
class Work:
    """One start: what was asked, and what its caller was told."""

    token: str
    lines: int
    code: int
    foreground: bool = False
    acked: str = ""
    answer: "Future[CommandResult] | None" = None
    hurt: bool = False  # we killed its leader, or stopped it

    @property
    def log(self) -> bytes:
        return b"".join(
            f"{self.token} line {n} {_PAD}\n".encode() for n in range(1, self.lines + 1)
        )


class Schedule:
    """One run of a machine, decided by a seed."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine = machine
        self.random = random.Random(seed)  # noqa: S311
        self.name = f"s{seed}"
        self.work: list[Work] = []
        self.faults: Counter[str] = Counter()
        self.seen: dict[str, Job] = {}
        self.broken: list[str] = []
        self._over = threading.Event()
        self._before: frozenset[str] = frozenset()
        self._full = False

    def run(self) -> list[str]:
        """Run it; return every invariant that was broken, in words."""
        earlier = jobs.recent(self._client, 500, include_commands=True)
        self._before = frozenset(job.id for job in earlier)
        observer = threading.Thread(target=self._observe)
        observer.start()
        steps = (
            *(self._start, self._run, self._doomed, self._stop),
            *(self._tree, self._fault),
        )
        try:
            for _ in range(self.random.randint(4, 7)):
                self.random.choices(steps, (4, 2, 1, 1, 2, 4))[0]()
        finally:
            self._undo_faults()
            self._over.set()
            observer.join()
        self._check()
        return self.broken

    @property
    def _client(self) -> Sandbox:
        return self.random.choice(self.machine.clients)

    # -- work ---------------------------------------------------------------------

    def _new(self, *, foreground: bool = False) -> tuple[Work, str]:
        token = f"{self.name}-{len(self.work)}"
        work = Work(
            token,
            lines=self.random.choice([0, 1, 20, 20]),
            code=self.random.choice([0, 0, 1, 3, 143]),
            foreground=foreground,
        )
        self.work.append(work)
        escapes = ("", "", "setsid sleep 30 >/dev/null 2>&1 &")
        text = _COMMAND.format(
            truth=self.machine.truth / token, token=token, lines=work.lines,
            code=work.code, pause=self.random.choice(["0", "0.01", "0.04"]), pad=_PAD,
            escape=self.random.choice(escapes),
        )  # fmt: skip
        return work, text

    def _start(self) -> None:
        work, text = self._new()
        with contextlib.suppress(SandboxError):  # refused: then nothing may have run
            work.acked = self._client.start(text, token=work.token).id
            again = self._client.start(text, token=work.token).id
            if again != work.acked:
                self.broken.append(f"1: {work.token} is {work.acked} and {again}")

    def _run(self) -> None:
        work, text = self._new(foreground=True)
        work.answer = self._client.submit(text).future

    def _doomed(self) -> None:
        """Let a client of its own start a job, and kill it anywhere meanwhile."""
        work, text = self._new()
        arguments = (self.machine.config, text, work.token)
        self._kill_client(start_one, arguments, self.random.uniform(0.02, 0.4))

    def _kill_client(
        self, target: Callable[..., None], arguments: tuple[object, ...], after_s: float
    ) -> None:
        client = CLIENTS.Process(target=target, args=arguments)
        client.start()
        client.join(after_s)
        client.kill()
        client.join()
        self.faults["client killed"] += 1

    def _stop(self) -> None:
        acked = [work for work in self.work if work.acked]
        if acked:
            work = self.random.choice(acked)
            work.hurt = True
            with contextlib.suppress(SandboxError):
                jobs.stop(self._client, work.acked, grace_s=0)

    def _tree(self) -> None:
        """Edit the clone there, then reset or sync it while something happens."""
        tree, do = self.machine.tree, self.machine.mounts.do
        token = f"{self.name}-tree-{self.faults['trees']}"
        self.faults["trees"] += 1
        do(lambda: tree.edit(self.random, token))
        do(lambda: tree.advance(self.random, token))
        verb = self.random.choice(("reset", "reset", "reset", "sync"))
        full = self.random.random() < _SELDOM
        if full:
            self.faults["tree's disk full"] += 1
            self.machine.mounts.fill(self.machine.projects)
        self._change(verb)
        wait_until(self._tree_is_quiet, 60, what="the end of what works on the tree")
        if full:
            self.machine.mounts.free(self.machine.projects)
        do(tree.tidy)
        if lost := do(tree.lost):
            self.broken.append(f"7: after a {verb}: lost {lost}")
        do(tree.forget)

    def _change(self, verb: str) -> None:
        config, project = self.machine.config, self.machine.tree.git.project()
        if self.random.random() < _OFTEN:
            far = dataclasses.replace(project, root=None)  # no git of its own dies here
            after_s = self.random.uniform(0.2, 1.5)
            self._kill_client(treework.change, (config, far, verb), after_s)
            return
        work = threading.Thread(target=treework.change, args=(config, project, verb))
        work.start()
        threading.Event().wait(self.random.uniform(0, 0.6))
        if self.random.random() > _SELDOM:
            self.random.choices((self._kill_in_tree, self._fault), (2, 1))[0]()
        work.join()

    def _tree_is_quiet(self) -> bool:
        alive = [
            job
            for job in jobs.recent(self._client, 20, include_commands=True)
            if job.command.startswith("repo_") and not self._settled(job)
        ]
        return not alive and not self.machine.at_work_on_tree()

    # -- faults -------------------------------------------------------------------

    def _kill_in_tree(self) -> None:
        for pause_s in (self.random.uniform(0, 0.4), 0):
            with contextlib.suppress(AssertionError):  # it may be over, or be refused
                wait_until(self.machine.at_work_on_tree, 0.6, every_s=0.005)
            threading.Event().wait(pause_s)
        pids = self.machine.at_work_on_tree()
        self.faults["git killed"] += bool(pids)
        for pid in self.random.choice((pids, pids[:1], pids[-1:])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _fault(self) -> None:
        faults: dict[str, Callable[[], None]] = {
            "supervisor killed": lambda: self._kill("pid"),
            "leader killed": lambda: self._kill("leader"),
            "sessions killed": self.machine.cut,
            "link slow": self.machine.freeze,
            "disk full": self._fill,
            "container restarted": lambda: self._restart(boot_id=False),
            "reboot": lambda: self._restart(boot_id=True),
        }
        name = self.random.choices(list(faults), (8, 4, 8, 4, 4, 1, 1))[0]
        self.faults[name] += 1
        faults[name]()

    def _kill(self, who: str) -> None:
        acked = [work for work in self.work if work.acked]
        if acked:
            work = self.random.choice(acked)
            work.hurt |= self.machine.kill(work.acked, who)

    def _fill(self) -> None:
        if not self._full:
            self.machine.mounts.fill(self.machine.records)
            self._full = True

    def _restart(self, *, boot_id: bool) -> None:
        for work in self.work:
            work.hurt = True
        self.machine.restart(boot_id=boot_id)

    def _undo_faults(self) -> None:
        for work in self.work:
            if work.answer:
                with contextlib.suppress(SandboxError):
                    work.acked = work.answer.result(40).job.id
        alive = [job for job in self._recent() if not job.state.ended]
        for job in alive:
            wait_until(functools.partial(self._has_settled, job.id), 40, what=job.id)
        if self._full:
            self.machine.mounts.free(self.machine.records)

    def _has_settled(self, job_id: str) -> bool:
        return self._settled(jobs.get(self._client, job_id))

    def _settled(self, job: Job) -> bool:
        return job.state.ended or job.reason == "unsupervised" or self._idle(job)

    def _idle(self, job: Job) -> bool:
        return job.state is JobState.STARTING and not self.machine.processes()

    def _recent(self) -> list[Job]:
        listed = jobs.recent(self._client, 100, include_commands=True)
        return [job for job in listed if job.id not in self._before]

    # -- what must hold -------------------------------------------------------------

    def _observe(self) -> None:
        """Look all the time: what has ended may never be anything else."""
        with Sandbox(self.machine.config) as client:
            while not self._over.wait(0.03):
                with contextlib.suppress(SandboxError):
                    for job in jobs.recent(client, 12, include_commands=True):
                        self._note(job)

    def _note(self, job: Job) -> None:
        before = self.seen.get(job.id)
        if before and before.state.ended and _end(before) != _end(job):
            self.broken.append(f"3: {job.id} was {_end(before)}, is {_end(job)}")
        self.seen[job.id] = job

    def _check(self) -> None:
        listed = self._recent()
        for job in listed:
            self._sweep(job)
        after = self._recent()
        for job in after:
            self._note(job)
            if not job.state.ended:
                self.broken.append(f"2: {job.id} has not ended: {job.words}")
        if left := self.machine.processes():
            self.broken.append(f"6: processes without a living record: {left}")
        for work in self.work:
            mine = [job for job in after if f"/{work.token}.runs" in job.command]
            self._check_work(work, mine)
        acked = [work.acked for work in self.work if work.acked]
        if len(set(acked)) != len(acked):
            self.broken.append(f"1: an id was given twice: {acked}")

    def _sweep(self, job: Job) -> None:
        """Stop a job; twice where the machine is so busy that once is not enough."""
        for _ in range(2):
            try:
                jobs.stop(self._client, job.id, grace_s=0)
            except SandboxError as error:
                output = str(error)
            else:
                return
        self.broken.append(f"2: {job.words}: {job.command[:60]}: {output}")

    def _check_work(self, work: Work, mine: list[Job]) -> None:
        runs = self._told(work, "runs").count("run")
        began = [job for job in mine if job.reason != "never started"]
        if runs > 1 or len(began) > 1 or (runs and not mine):
            self.broken.append(f"1: {work.token} ran {runs} times, as {mine}")
        if work.acked and work.acked not in {job.id for job in mine}:
            self.broken.append(f"1: {work.acked} was promised, and is not on record")
        for job in mine:
            if job.state in (JobState.SUCCEEDED, JobState.FAILED):
                self._check_end(work, job)
            elif self._told(work, "code") and not work.hurt:
                self.broken.append(f"4: {job.id} had an exit code, and is {job.words}")

    def _check_end(self, work: Work, job: Job) -> None:
        reported = self._told(work, "code").strip()
        killed = work.hurt and job.exit_code in _KILLED
        if not killed and (job.exit_code != work.code or reported != str(work.code)):
            self.broken.append(
                f"4: {job.id} is {job.words}, really {reported or 'none'}"
            )
        piece = jobs.output(self._client, job.id, offset=0)
        data = b"".join(
            line
            for line in piece.data.splitlines(keepends=True)
            if line.startswith(work.token.encode())
        )
        whole = data == work.log or (killed and work.log.startswith(data))
        if not whole and not job.log_incomplete:
            self.broken.append(f"5: {job.id} lacks output, and does not say so")

    def _told(self, work: Work, what: str) -> str:
        file = self.machine.truth / f"{work.token}.{what}"
        return file.read_text() if file.exists() else ""


def start_one(
    config: SandboxConfig, command: str, token: str, begun: Event | None = None
) -> None:
    """Start a job, from a process that is going to be killed."""
    if begun:
        begun.set()
    with Sandbox(config) as sandbox:
        sandbox.start(command, token=token)


def _end(job: Job) -> tuple[object, ...]:
    return job.state, job.reason, job.exit_code, job.log_incomplete
