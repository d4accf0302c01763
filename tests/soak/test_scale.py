"""What is too slow for every run: `pytest -m soak`, or `make soak`."""

import os
import random
import secrets
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import records
from mounts import Mounts, private_mounts
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox, jobs
from sandbox_ops.errors import RefusedError
from sandbox_ops.models import Job

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
Make = Callable[..., SshServer]
FOLDERS = 200_000
LIMIT_S = 0.5


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


def timed(name: str, action: Callable[[], object]) -> float:
    spans = []
    for _ in range(5):
        started = time.monotonic()
        action()
        spans.append(time.monotonic() - started)
    print(f"{name}: {min(spans):.3f} to {max(spans):.3f} s")  # noqa: T201  # the summary
    return sorted(spans)[2]


def test_two_hundred_thousand_old_jobs_cost_nothing(
    mounts: Mounts, make_sshd: Make
) -> None:
    server: SshServer = mounts.do(make_sshd)
    mounts.tmpfs(server.home / ".sandbox-ops", "size=4g,nr_inodes=3m,mode=700")
    with Sandbox(server.config()) as sandbox:
        live = sandbox.start("sleep 7801")
        assert sandbox.run("true").ok
        mounts.do(lambda: _fill_up(server.home), 300)
        took = {
            "start": timed("start", lambda: sandbox.start("true")),
            "run": timed("run", lambda: sandbox.run("true")),
            "list": timed("newest 50", lambda: jobs.recent(sandbox, 50)),
            "status": timed("status", lambda: jobs.status(sandbox, path="/")),
            "get": timed("one job", lambda: jobs.get(sandbox, f"remote-{FOLDERS}")),
        }
        assert {name: s for name, s in took.items() if s > LIMIT_S} == {}
        assert live.id in {job.id for job in jobs.recent(sandbox, 50)}
        began = time.monotonic()
        mounts.do(lambda: _prune(server.home), 600)
        print(f"pruned in {time.monotonic() - began:.0f} s")  # noqa: T201  # the summary
        left = int(sandbox.run("ls ~/.sandbox-ops/v1/*/jobs | wc -l").stdout.text)
        assert left < 5100
        assert jobs.get(sandbox, live.id).state is JobState.RUNNING
        jobs.stop(sandbox, live.id, grace_s=0)


def _fill_up(home: Path) -> None:
    base = records.folder_of(home)
    model = records.write(base, 3, age_days=1, now=time.time())
    records.copies(base, 4, FOLDERS, model)


def _prune(home: Path) -> None:
    base = records.folder_of(home)
    library = next((home / ".sandbox-ops" / "lib").iterdir())
    subprocess.run(["sh", library, "prune", base], check=True)


OPERATIONS = int(os.environ.get("SANDBOX_OPS_OPERATIONS", "200"))
SEED = int(os.environ.get("SANDBOX_OPS_SEED", "0")) or secrets.randbelow(10**6)


def test_two_clients_do_two_hundred_random_things_at_once(make_sshd: Make) -> None:
    server = make_sshd()
    seed = SEED
    clients = [_Client(server, seed + n) for n in range(2)]
    threads = [threading.Thread(target=client.work) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = Counter[str]()
    for client in clients:
        told += client.done
    print(f"seed {seed}: {dict(told)}")  # noqa: T201  # the summary
    assert [client.wrong for client in clients] == [[], []]
    ids = [job.id for client in clients for job in client.mine]
    assert len(set(ids)) == len(ids)
    with Sandbox(server.config()) as sandbox:
        found = {job.id for job in jobs.recent(sandbox, 4 * OPERATIONS)}
        assert set(ids) <= found
        for job_id in ids:
            jobs.stop(sandbox, job_id, grace_s=0)
    wait_until(lambda: not [x for x in server.leftovers().values() if "sleep" in x])


class _Client:
    """One of two who do not know of each other."""

    def __init__(self, server: SshServer, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)  # noqa: S311
        self.mine: list[Job] = []
        self.ended: dict[str, Job] = {}
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    def work(self) -> None:
        acts = (self._run, self._start, self._claim, self._look, self._stop, self._read)
        try:
            with Sandbox(self.server.config()) as sandbox:
                for _ in range(OPERATIONS):
                    act = self.random.choice(acts)
                    self.done[act.__name__.strip("_")] += 1
                    act(sandbox)
        except Exception as error:  # noqa: BLE001  # told by the test's thread
            self.wrong.append(repr(error))

    def _run(self, sandbox: Sandbox) -> None:
        n = self.random.randrange(256)
        result = sandbox.run(f"echo {n}; exit {n % 100}")
        if (result.stdout.text, result.exit_code) != (f"{n}\n", n % 100):
            self.wrong.append(f"{n}: {result}")

    def _start(self, sandbox: Sandbox) -> None:
        self.mine.append(sandbox.start(f"echo {len(self.mine)}; sleep 60"))

    def _claim(self, sandbox: Sandbox) -> None:
        """Of one name and of one GPU there is never more than one that lives."""
        try:
            job = sandbox.start("sleep 60", name="one", unique_name=True, gpus=(0,))
        except RefusedError:
            return
        self.mine.append(job)
        holders = [
            each
            for each in jobs.recent(sandbox, 10 * OPERATIONS)
            if each.gpus == (0,)
            and each.state
            in (JobState.RUNNING, JobState.STOPPING)  # starting: may be refused
        ]
        if [each.id for each in holders] not in ([job.id], []):
            self.wrong.append(f"held by {holders}")
        jobs.stop(sandbox, job.id, grace_s=0)

    def _look(self, sandbox: Sandbox) -> None:
        for job in jobs.recent(sandbox, 50):
            before = self.ended.get(job.id)
            if before and (before.state, before.exit_code) != (
                job.state,
                job.exit_code,
            ):
                self.wrong.append(f"{before} became {job}")
            if job.state.ended:
                self.ended[job.id] = job

    def _stop(self, sandbox: Sandbox) -> None:
        known = [job for job in jobs.recent(sandbox, 20) if not job.foreground]
        if known:  # anybody's
            report = jobs.stop(sandbox, self.random.choice(known).id, grace_s=0)
            if not report.job.state.ended or report.left:
                self.wrong.append(f"not stopped: {report}")

    def _read(self, sandbox: Sandbox) -> None:
        if self.mine:
            n = self.random.randrange(len(self.mine))
            data = jobs.output(sandbox, self.mine[n].id, offset=0).data
            if data not in (b"", f"{n}\n".encode()):
                self.wrong.append(f"{self.mine[n].id} says {data!r}")
