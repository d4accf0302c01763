"""What holds of the queue under random faults: no job twice, none forgotten, one a GPU."""

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faulty import machine
from queue_schedules import QueueSchedule, queue_machine
from what_happens import row

MACHINES = int(os.environ.get("SANDBOX_OPS_MACHINES", "2"))
SCHEDULES = int(os.environ.get("SANDBOX_OPS_SCHEDULES", "6"))


@row(
    "it waits in the queue while clients, the queue's keeper, supervisors, sessions and "
    "the machine die at random, and disks fill",
    "it begins once, or once an attempt; it is not forgotten; no GPU has two jobs",
)
@pytest.mark.chance
@pytest.mark.parametrize(
    "schedules",
    [
        pytest.param(SCHEDULES, marks=pytest.mark.timeout(200 + 20 * SCHEDULES)),
        pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(10_000)]),
    ],
)
@pytest.mark.slow
def test_the_queue_starts_each_job_once_under_random_faults(
    tmp_path: Path, schedules: int, seed: int, measured: Callable[[str], None]
) -> None:
    seeds = itertools.count(seed)
    faults: Counter[str] = Counter()
    broken: list[str] = []

    def work(number: int) -> int:
        done = 0
        with contextlib.ExitStack() as stack:
            here = stack.enter_context(machine(tmp_path / f"machine-{number}"))
            gpus = queue_machine(here)
            for own in seeds:
                if own >= seed + schedules or broken:
                    return done
                schedule = QueueSchedule(here, gpus, own)
                broken.extend(f"seed {own}: {words}" for words in schedule.run())
                faults.update(schedule.faults)
                faults["jobs"] += len(schedule.work)
                done += 1
        return done

    with ThreadPoolExecutor(MACHINES) as pool:
        done = sum(pool.map(work, range(MACHINES)))
    items = ", ".join(f"{count} {what}" for what, count in sorted(faults.items()))
    measured(f"{done} queue schedules from seed {seed}: {items}; {len(broken)} broken")
    assert not broken, "\n".join(broken)
