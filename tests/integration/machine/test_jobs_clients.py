"""Two who do not know of each other, on one machine: nobody's work is lost or mixed up."""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job

Make = Callable[..., SshServer]
Measured = Callable[[str], None]
OPERATIONS = int(os.environ.get("SANDBOX_OPS_OPERATIONS", "20"))


@row(
    "two people or agents use the machine at once",
    "each start, stop and answer is as if they were alone; a name or GPU has one holder",
)
@pytest.mark.chance
@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(OPERATIONS, marks=pytest.mark.timeout(60 + 3 * OPERATIONS)),
        pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
@pytest.mark.slow
def test_two_clients_do_random_things_at_once(
    make_sshd: Make, operations: int, seed: int, measured: Measured
) -> None:
    server = make_sshd()
    clients = [_Client(server, seed + n, operations) for n in range(2)]
    threads = [threading.Thread(target=client.work) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reported = Counter[str]()
    for client in clients:
        reported += client.done
    wrong = [arguments for client in clients for arguments in client.wrong]
    what = ", ".join(f"{count} {act}" for act, count in sorted(reported.items()))
    measured(
        f"two clients, {operations} random acts each, from seed {seed}: "
        f"{what}; {len(wrong)} wrong"
    )
    assert wrong == []
    ids = [job.id for client in clients for job in client.mine]
    assert len(set(ids)) == len(ids)
    with Sandbox(server.config()) as sandbox:
        values = {
            job.id
            for job in jobs.recent(sandbox, 4 * operations, include_commands=True)
        }
        assert set(ids) <= values
        for job_id in ids:
            jobs.stop(sandbox, job_id, grace_s=0)
    wait_until(lambda: not [x for x in server.leftovers().values() if "sleep" in x])


class _Client:
    """One of two who do not know of each other."""

    def __init__(self, server: SshServer, seed: int, operations: int) -> None:
        self.server = server
        self.operations = operations
        self.random = random.Random(seed)  # noqa: S311
        self.mine: list[Job] = []
        self.ended: dict[str, Job] = {}
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    def work(self) -> None:
        acts = (self._run, self._start, self._claim, self._look, self._stop, self._read)
        try:
            with Sandbox(self.server.config()) as sandbox:
                for _ in range(self.operations):
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
            for each in jobs.recent(sandbox, 10 * self.operations)
            if each.gpus == (0,)
            and each.state
            in (JobState.RUNNING, JobState.STOPPING)  # starting: may be refused
        ]
        if [each.id for each in holders] not in ([job.id], []):
            self.wrong.append(f"held by {holders}")
        jobs.stop(sandbox, job.id, grace_s=0)

    def _look(self, sandbox: Sandbox) -> None:
        for job in jobs.recent(sandbox, 50, include_commands=True):
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
