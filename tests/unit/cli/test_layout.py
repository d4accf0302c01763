"""Which columns give way where a terminal is narrow."""

import io

import pytest
from rich.console import Console

from sandbox_ops.cli import dashboard, terminal, views
from sandbox_ops.cli.encoding import plain
from sandbox_ops.cli.layout import GAP, Column, fit
from sandbox_ops.models import Job, JobState
from sandbox_ops.text.progress import Progress
from sandbox_ops.workflows.monitor import JobView, MonitorReport
from sandbox_ops.workflows.rows import monitor_rows

WIDTHS = (60, 80, 100, 140)
COMMAND = (
    "uv run python scripts/train.py --num-steps 500000 --save-path models/p.pt " * 2
)
COLUMNS = (
    Column(name="ID"),
    Column(name="STATE"),
    Column(name="METRICS", least=8, optional=True),
    Column(name="COMMAND", least=10, optional=True),
)


def drawn(thing: object, width: int) -> list[str]:
    """The lines of something drawn on a console that is so wide."""
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(thing)
    return captured.get().splitlines()


def report() -> MonitorReport:
    names = ("night-run-a", "sweep-lr-0.0003-seed-12345", "")
    return MonitorReport(
        sandbox="gpu1",
        reachable=True,
        jobs=tuple(
            JobView(
                job=Job(
                    id=f"remote-{number}",
                    name=name,
                    state=JobState.FAILED if number == 12 else JobState.RUNNING,
                    exit_code=127 if number == 12 else None,
                    command=COMMAND,
                    elapsed_s=4321.0,
                ),
                progress=Progress(
                    step=123456,
                    total=500000,
                    eta_s=98765.0,
                    metrics={"loss": 0.1234, "lr": 0.0003, "grad_norm": 1.5},
                    course=tuple(1 / n for n in range(1, 200)),
                ),
            )
            for number, name in zip((12, 11, 10), names, strict=True)
        ),
    )


def test_the_last_column_is_narrowed_first() -> None:
    assert fit(COLUMNS, (9, 7, 20, 80), 80) == (9, 7, 20, 80 - 36 - 3 * GAP)


def test_then_the_one_before_it() -> None:
    assert fit(COLUMNS, (9, 7, 20, 80), 9 + 7 + 15 + 10 + 3 * GAP) == (9, 7, 15, 10)


def test_then_the_last_one_is_left_out_and_its_room_is_used() -> None:
    assert fit(COLUMNS, (9, 7, 20, 80), 9 + 7 + 12 + 2 * GAP) == (9, 7, 12, None)


def test_ids_and_states_stay_however_narrow_it_is() -> None:
    assert fit(COLUMNS, (9, 7, 20, 80), 5) == (9, 7, None, None)


def test_a_wide_terminal_changes_nothing() -> None:
    assert fit(COLUMNS, (9, 7, 20, 80), 400) == (9, 7, 20, 80)


@pytest.mark.parametrize("width", WIDTHS)
def test_monitor_keeps_ids_names_states_and_progress_at_any_width(width: int) -> None:
    rows = [dashboard.row(each) for each in monitor_rows(report()).jobs]
    lines = drawn(terminal.table(dashboard.COLUMNS, rows, width), width)
    assert all(len(line) <= width for line in lines)
    assert [line.split()[0] for line in lines if line.startswith("remote-")] == [
        "remote-12",
        "remote-11",
        "remote-10",
    ]
    names = "".join(line[11:35].split("  ")[0].strip() for line in lines[1:])
    assert "night-run-a" in names
    assert "sweep-lr-0.0003-seed-12345" in names.replace(" ", "")
    assert "failed (127)" in lines[1]
    assert all("24%" in line for line in lines if line.startswith("remote-"))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_monitor_shows_the_loss_from_80_columns_on(width: int) -> None:
    rows = [dashboard.row(each) for each in monitor_rows(report()).jobs]
    lines = drawn(terminal.table(dashboard.COLUMNS, rows, width), width)
    assert sum("loss 0.1234" in line for line in lines) == 3


@pytest.mark.parametrize("width", [80, 100, 140])
def test_monitor_shows_the_course_of_the_loss_beside_it(width: int) -> None:
    rows = [dashboard.row(each) for each in monitor_rows(report()).jobs]
    lines = drawn(terminal.table(dashboard.COLUMNS, rows, width), width)
    assert sum("█▂▂▁▁▁▁▁" in line for line in lines) == 3
    assert "".join(map(plain, "▁▂▃▄▅▆▇█")) == "__--==##"


def test_a_column_in_which_nothing_is_said_is_left_out() -> None:
    rows = [("1", "running", "", "true"), ("2", "failed", "", "false")]
    lines = drawn(terminal.table(COLUMNS, rows, 80), 80)
    assert lines[0].split() == ["ID", "STATE", "COMMAND"]


@pytest.mark.parametrize("width", WIDTHS)
def test_jobs_keep_ids_and_states_and_cut_the_command_at_any_width(width: int) -> None:
    cells = [views.job_row(each.job) for each in report().jobs]
    lines = drawn(terminal.table(views.JOB_COLUMNS, cells, width), width)
    assert all(len(line) <= width for line in lines)
    ids = [line.split()[0] for line in lines if line.startswith("remote-")]
    assert ids == ["remote-12", "remote-11", "remote-10"]
    assert "failed (127)" in lines[1]
    assert sum("uv run" in line and "…" in line for line in lines) == 3


def test_without_a_terminal_nothing_is_cut() -> None:
    cells = [views.job_row(each.job) for each in report().jobs]
    lines = drawn(terminal.table(views.JOB_COLUMNS, cells), 10_000)
    assert all(COMMAND.strip() in line for line in lines[1:])
    assert "sweep-lr-0.0003-seed-12345" in "".join(lines)
