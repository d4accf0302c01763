"""The seven invariants of jobs, under random faults."""

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faulty import Machine, machine
from schedules import Schedule
from what_happens import row

MACHINES = int(os.environ.get("SANDBOX_OPS_MACHINES", "3"))
SCHEDULES = int(os.environ.get("SANDBOX_OPS_SCHEDULES", "12"))


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(machine(tmp_path / f"machine-{number}"))
            for number in range(MACHINES)
        ]


@row(
    "clients, supervisors, sessions and the machine die at random, and disks fill",
    "one start is one job; it ends once, and truly; nothing runs without a record; "
    "of the work tree nothing is lost",
)
@pytest.mark.chance
@pytest.mark.parametrize(
    "schedules",
    [
        pytest.param(SCHEDULES, marks=pytest.mark.timeout(60 + 5 * SCHEDULES)),
        pytest.param(2000, marks=[pytest.mark.soak, pytest.mark.timeout(10_000)]),
    ],
)
@pytest.mark.slow
def test_the_invariants_hold_under_random_faults(
    machines: list[Machine],
    schedules: int,
    seed: int,
    measured: Callable[[str], None],
) -> None:
    seeds = itertools.count(seed)
    faults: Counter[str] = Counter()
    broken: list[str] = []

    def work(machine: Machine) -> int:
        done = 0
        for own in seeds:
            if own >= seed + schedules or broken:
                return done
            schedule = Schedule(machine, own)
            broken.extend(f"seed {own}: {arguments}" for arguments in schedule.run())
            faults.update(schedule.faults)
            faults["jobs"] += len(schedule.work)
            done += 1
        return done

    with ThreadPoolExecutor(MACHINES) as pool:
        done = sum(pool.map(work, machines))
    items = ", ".join(f"{count} {what}" for what, count in sorted(faults.items()))
    measured(f"{done} schedules from seed {seed}: {items}; {len(broken)} broken")
    assert not broken, "\n".join(
        broken
    )  # again: SANDBOX_OPS_SEED, SANDBOX_OPS_SCHEDULES
