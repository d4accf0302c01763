"""What a question starts on the machine besides a command itself. Counted, not timed."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containers import start_container

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs, log_reading

_LAST_PID = "read -r _ _ _ _ last </proc/loadavg; echo $last"


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Sandbox]:
    """A machine where nobody else starts anything."""
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("3b8a7c3e-0000-4000-8000-000000000001\n")
    with (
        start_container(tmp_path / "machine", boot_id) as server,
        Sandbox(server.config()) as sandbox,
    ):
        yield sandbox


def _least_processes(sandbox: Sandbox, ask: Callable[[], object] = lambda: None) -> int:
    """Return how many a command and what is asked before it take.

    By the last number that the kernel gave, in a pid namespace where nobody else is. The least of
    some: a clock looks now and then what has become of a command.
    """
    numbers = []
    for _ in range(30):
        ask()
        numbers.append(int(sandbox.run(_LAST_PID).stdout.text))
    return min(after - before for before, after in itertools.pairwise(numbers))


def test_a_warm_command_takes_four_processes_its_own_among_them(alone: Sandbox) -> None:
    """A folder for it, its supervisor, itself, and who reads what it said."""
    assert _least_processes(alone) == 4


def test_output_of_a_command_takes_no_more_processes_than_that_of_a_job(
    alone: Sandbox,
) -> None:
    """Who says how long the streams are, and who reads them."""
    command = alone.run("echo it; echo of it >&2").job.id
    job = alone.start("echo it").id
    jobs.wait(alone, job, timeout_s=20)
    idle = _least_processes(alone)
    for asked in (command, job):
        taken = _least_processes(alone, lambda: log_reading.read(alone, asked))  # noqa: B023
        assert taken - idle == 2


def test_to_see_that_a_log_has_nothing_new_takes_one_process(alone: Sandbox) -> None:
    job = alone.start("echo it; exec sleep 600").id
    idle = _least_processes(alone)
    seen = jobs.output(alone, job)
    asked = {"offset": seen.next_offset, "inode": seen.inode}
    assert _least_processes(alone, lambda: jobs.output(alone, job, **asked)) - idle == 1
    jobs.stop(alone, job, grace_s=0)
