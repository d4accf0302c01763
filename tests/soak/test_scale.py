"""What is too slow for every run: `pytest -m soak`, or `make soak`."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import records
from mounts import Mounts, private_mounts
from sshd import SshServer

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs

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
