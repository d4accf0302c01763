"""The seven invariants of jobs, under random faults. The seventh is reset's own test."""

import contextlib
import itertools
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mounts import private_mounts
from schedules import Machine, Schedule
from sshd import SshServer
from what_happens import row

Make = Callable[..., SshServer]
MACHINES = 3
SCHEDULES = int(os.environ.get("SANDBOX_OPS_SCHEDULES", "24"))
SEED = int(os.environ.get("SANDBOX_OPS_SEED", "0")) or secrets.randbelow(10**6)


@pytest.fixture
def machines(make_sshd: Make, tmp_path: Path) -> Iterator[list[Machine]]:
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(MACHINES):
            mounts = stack.enter_context(private_mounts())
            boot_id = tmp_path / f"boot_id-{number}"
            boot_id.write_text(f"{number:036x}\n")
            mounts.bind(boot_id, Path("/proc/sys/kernel/random/boot_id"))
            server: SshServer = mounts.do(make_sshd)
            mounts.tmpfs(server.home / ".sandbox-ops", "size=16m,mode=700")
            made.append(stack.enter_context(Machine(server, mounts, boot_id)))
        yield made


@row(
    "clients, supervisors, sessions and the machine die at random, and the disk fills",
    "one start is one job; it ends once, and truly; nothing runs without a record",
)
@pytest.mark.parametrize(
    "schedules",
    [
        pytest.param(SCHEDULES, marks=pytest.mark.timeout(60 + 5 * SCHEDULES)),
        pytest.param(2000, marks=[pytest.mark.soak, pytest.mark.timeout(10_000)]),
    ],
)
def test_the_invariants_hold_under_random_faults(
    machines: list[Machine], schedules: int
) -> None:
    seeds = itertools.count(SEED)
    faults: Counter[str] = Counter()
    broken: list[str] = []

    def work(machine: Machine) -> int:
        done = 0
        for seed in seeds:
            if seed >= SEED + schedules or broken:
                return done
            schedule = Schedule(machine, seed)
            broken.extend(f"seed {seed}: {words}" for words in schedule.run())
            faults.update(schedule.faults)
            faults["jobs"] += len(schedule.work)
            done += 1
        return done

    with ThreadPoolExecutor(MACHINES) as pool:
        done = sum(pool.map(work, machines))
    told = ", ".join(f"{count} {what}" for what, count in sorted(faults.items()))
    print(f"\n{done} schedules from seed {SEED}: {told}; {len(broken)} broken")  # noqa: T201  # the summary
    assert broken == [], f"again with SANDBOX_OPS_SEED={SEED} SANDBOX_OPS_SCHEDULES=1"
