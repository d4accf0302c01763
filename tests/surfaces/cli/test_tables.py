"""Tables and the screen of `monitor --watch`, at real terminals of real sizes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import PROGRAM
from each_link import ThisComputer
from slow import slow
from terminals import Terminal, lines_of
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs

LONG = (
    "for i in $(seq 1 5000); do echo step $i/5000 loss=0.5; sleep 0.1; done "
    "# uv run python scripts/train.py --num-steps 500000 --save-path models/p.pt"
)
ENDED = (
    "echo 'step 40/40 loss=0.125'; echo 'Traceback (most recent call last):'; exit 3"
)


@pytest.fixture(scope="module")
def place(
    machine: ThisComputer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A folder that knows a machine where ten jobs ended and one runs."""
    folder = tmp_path_factory.mktemp("tables")
    machine.write_toml(folder)
    with Sandbox(machine.config()) as sandbox:
        for _ in range(9):
            sandbox.start("exit 127")
        ended = sandbox.start(ENDED, name="ended-run")
        jobs.wait(sandbox, ended.id, timeout_s=30)
        running = sandbox.start(LONG, name="night-run-of-the-large-model")
        yield folder
        jobs.stop(sandbox, running.id, grace_s=1)


@pytest.mark.parametrize("verb", ["jobs", "monitor"])
@pytest.mark.parametrize("columns", [60, 140, *slow(80, 100)])
def test_ids_names_and_states_are_whole_at_any_width(
    place: Path, verb: str, columns: int
) -> None:
    with Terminal(PROGRAM, verb, cwd=place, columns=columns, lines=50) as terminal:
        assert terminal.end() == 0
        text = terminal.text()
    rows = lines_of(text, "remote-")
    rows = [row for row in rows if " | " not in row]
    assert len({row.split()[0] for row in rows}) == len(rows) >= 10
    assert "ended-run" in text
    assert "failed (3)" in text
    assert "failed (127)" in text
    running = next(row for row in rows if "running" in row)
    assert "night-run" in running
    assert all(len(row.rstrip()) <= columns for row in rows)


def test_the_screen_is_redrawn_when_its_size_changes_and_ends_at_q(
    place: Path,
) -> None:
    text = ("monitor", "--watch", "--interval", "600")
    with Terminal(PROGRAM, *text, cwd=place, columns=80, lines=24) as terminal:
        wait_until(lambda: "NAME" in terminal.screen(), 30)
        assert "COMMAND" not in terminal.screen()
        terminal.resize(160, 24)
        wait_until(lambda: "COMMAND" in terminal.screen(), 30)
        terminal.types("q")
        assert terminal.end() == 0
        assert "jobs go on" in terminal.text()


@pytest.mark.parametrize("lines", [6, *slow(10, 24)])
def test_warnings_and_final_metrics_stay_in_view_whatever_the_height(
    place: Path, lines: int
) -> None:
    text = ("monitor", "--watch", "--interval", "600")
    with Terminal(PROGRAM, *text, cwd=place, columns=100, lines=lines) as terminal:
        wait_until(lambda: "warning: " in terminal.screen(), 30)
        shown = terminal.screen().splitlines()
        assert len(shown) <= lines
        assert any(line.startswith("warning: ") for line in shown[:4])
        if lines > 6:
            assert "loss 0.125" in terminal.screen()
        terminal.types("\x03")
        assert terminal.end() == 130


def test_a_terminal_that_cannot_move_its_cursor_gets_one_look_below_the_other(
    place: Path,
) -> None:
    text = ("monitor", "--watch", "--interval", "0.5")
    with Terminal(PROGRAM, *text, cwd=place, env={"TERM": "dumb"}) as terminal:
        wait_until(lambda: terminal.text().count("NAME") > 1, 30)
        assert b"\x1b[" not in terminal.output()
        terminal.types("q")
        assert terminal.end() == 0
