"""What is remembered of a machine, and for how long it counts."""

import json
import time
from pathlib import Path

import pytest

from sandbox_ops.errors import (
    AuthenticationError,
    ConnectError,
    HostKeyError,
    RefusedError,
    SandboxError,
    TimedOutError,
)
from sandbox_ops.guard.reliability import ReliabilityFile


@pytest.fixture
def memory(tmp_path: Path) -> ReliabilityFile:
    return ReliabilityFile({"XDG_STATE_HOME": str(tmp_path)})


def note(memory: ReliabilityFile, machine: str, answers: str) -> None:
    """Remember times in their order: `+` answered, `-` did not."""
    for each in answers:
        memory.note(machine, answered=each == "+")


def test_a_machine_that_was_down_for_long_is_trusted_again_after_nine_answers(
    memory: ReliabilityFile,
) -> None:
    note(memory, "@a:", "-" * 40)
    assert memory.of("@a:").is_flaky
    note(memory, "@a:", "+" * 8)
    assert memory.of("@a:").is_flaky
    note(memory, "@a:", "+")
    assert memory.of("@a:").short == "9 of 12"
    assert not memory.of("@a:").is_flaky


def test_of_a_few_times_nothing_is_concluded(memory: ReliabilityFile) -> None:
    note(memory, "@a:", "---")
    assert not memory.of("@a:").is_flaky


def test_a_lost_job_counts_once_and_is_forgotten_with_its_time(
    memory: ReliabilityFile,
) -> None:
    for _ in range(3):
        memory.note("@a:", answered=True, lost=["remote-1", "remote-2"])
    assert memory.of("@a:").lost_jobs == 2
    assert memory.of("@a:").is_flaky
    for _ in range(12):
        memory.note("@a:", answered=True, lost=["remote-1", "remote-2"])
    assert memory.of("@a:").lost_jobs == 0


def test_machines_are_told_apart_and_old_times_do_not_count(
    memory: ReliabilityFile, tmp_path: Path
) -> None:
    note(memory, "@a:", "----")
    note(memory, "me@a:22", "++++")
    assert memory.of_each(["@a:", "me@a:22", "@b:"])["me@a:22"].answered == 4
    (file,) = tmp_path.rglob("machines.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    month_ago = int(time.time()) - 31 * 86400
    file.write_text("".join(json.dumps({**e, "at": month_ago}) + "\n" for e in lines))
    assert memory.of("@a:").asked == 0


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (ConnectError("refused"), 1),
        (TimedOutError("too slow"), 1),
        (HostKeyError("not known"), 0),
        (AuthenticationError("no key"), 0),
        (RefusedError("a dirty clone"), 0),
    ],
)
def test_a_machine_that_does_not_let_us_in_yet_is_not_called_unreliable(
    memory: ReliabilityFile, error: SandboxError, asked: int
) -> None:
    memory.note_failure("@a:", error)
    assert memory.of("@a:").asked == asked
