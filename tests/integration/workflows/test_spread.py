"""A sweep over several machines: real shells on this computer, each with a home."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fleet import Machine, make_machine, ran
from gitproject import GitProject
from waiting import wait_until
from what_happens import row

from sandbox_ops import Project, Sandbox
from sandbox_ops.errors import CancelledError, NotFoundError, RefusedError, UsageError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine import groups, waiting
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.spread import spread
from sandbox_ops.workflows.spread_report import SpreadReport
from sandbox_ops.workflows.stop import stop
from sandbox_ops.workflows.sweep import sweep

COMMAND = 'echo {n} >>"$HOME/ran"; sleep 0.3'


class Fleet:
    """Three machines and a project of theirs."""

    def __init__(self, folder: Path, git: GitProject) -> None:
        self.folder, self.git = folder, git
        self.project: Project = git.project(setup=("true",), verify=("true",))
        self.machines = [make_machine(folder, name) for name in ("a", "b", "c")]
        self.sandboxes = [machine.open() for machine in self.machines]
        self.memory = ReliabilityFile({"XDG_STATE_HOME": str(folder / "state")})
        self.steps: list[str] = []

    def start(
        self,
        n_cells: int,
        *names: str,
        **options: Any,  # noqa: ANN401
    ) -> SpreadReport:
        settings = {"n": tuple(map(str, range(1, n_cells + 1)))} if n_cells else {}
        options.setdefault("command", COMMAND if n_cells else "")
        chosen = [s for s in self.sandboxes if s.config.name in (names or "abc")]
        return spread(
            chosen,
            self.project,
            settings,
            name="t1",
            gpus=0,
            queue=QueueOptions(slots=2),
            memory=self.memory,
            on_step=self.steps.append,
            **options,
        )

    def machine(self, name: str) -> Machine:
        return next(each for each in self.machines if each.name == name)

    def sandbox(self, name: str) -> Sandbox:
        return next(each for each in self.sandboxes if each.config.name == name)

    def wait(self, *names: str) -> None:
        for sandbox in self.sandboxes:
            if sandbox.config.name in (names or "abc") and groups.look(sandbox, "t1"):
                waiting.wait(sandbox, ["t1"], waiting.WaitFor(timeout_s=60))

    def stop(self) -> None:
        for sandbox in self.sandboxes:
            if groups.look(sandbox, "t1"):
                stop(sandbox, "t1", confirm=True)

    @property
    def ran(self) -> dict[str, int]:
        return dict(ran(self.machines))

    @property
    def list_file(self) -> Path:
        return self.git.clone / ".git/sandbox-ops/sweeps/t1.jsonl"


@pytest.fixture
def fleet(tmp_path: Path, git_project: GitProject) -> Iterator[Fleet]:
    made = Fleet(tmp_path, git_project)
    yield made
    for sandbox in made.sandboxes:
        sandbox.close()


def once(n_cells: int) -> dict[str, int]:
    return {str(n): 1 for n in range(1, n_cells + 1)}


@pytest.mark.slow
def test_each_cell_runs_once_on_one_of_the_machines_and_all_machines_get_some(
    fleet: Fleet,
) -> None:
    report = fleet.start(18)
    assert (report.error, report.unknown, report.not_started) == (None, (), ())
    assert len(report.jobs) == 18
    assert {name for name, _ in report.jobs} == {"a", "b", "c"}
    assert {share.did for share in report.shares} == {("setup",)}
    fleet.wait()
    assert fleet.ran == once(18)
    numbers = sorted(job.cell or 0 for _, job in report.jobs)
    assert numbers == list(range(1, 19))
    assert fleet.list_file.stat().st_mode & 0o777 == 0o600


@row(
    "it is a cell of a sweep over several machines, and its machine dies",
    "what that machine never got goes to the others; what it got is reported as not known, "
    "and runs nowhere else unless you say so",
)
@pytest.mark.slow
def test_the_cells_of_a_machine_that_dies_go_to_the_others_and_none_runs_twice(
    fleet: Fleet,
) -> None:
    with ThreadPoolExecutor() as pool:
        call = pool.submit(fleet.start, 40)
        wait_until(lambda: len(fleet.machine("b").ran) >= 2, 40)
        fleet.machine("b").cut_off()
        report = call.result(timeout=100)
    assert report.not_started == ()
    assert {standing.machine for _, standing in report.unknown} <= {"b"}
    fleet.wait("a", "c")
    fleet.machine("b").come_back()
    again = fleet.start(40)
    assert (again.error, again.unknown) == (None, ())
    fleet.wait()
    assert fleet.ran == once(40)
    assert len(fleet.machine("a").ran) + len(fleet.machine("c").ran) > 20


@pytest.mark.slow
def test_a_machine_that_comes_back_goes_on_with_the_same_call(fleet: Fleet) -> None:
    fleet.machine("c").cut_off()
    with ThreadPoolExecutor() as pool:
        slow = COMMAND.replace("0.3", "2")
        call = pool.submit(fleet.start, 30, command=slow)
        wait_until(lambda: fleet.machine("a").ran, 40)
        fleet.machine("c").come_back()
        report = call.result(timeout=150)
    assert (report.error, report.unknown, report.not_started) == (None, (), ())
    assert any(name == "c" for name, _ in report.jobs)
    fleet.wait()
    assert fleet.ran == once(30)


@pytest.mark.slow
def test_done_cells_are_skipped_wherever_they_ran_and_new_ones_get_new_numbers(
    fleet: Fleet,
) -> None:
    fleet.start(6)
    fleet.wait()
    again = fleet.start(8)
    assert sorted(job.cell or 0 for _, job in again.jobs) == [7, 8]
    assert [standing.why for _, standing in again.skipped] == ["done"] * 6
    fleet.wait()
    fleet.list_file.unlink()  # another clone knows nothing, and asks the machines
    third = fleet.start(8, "a", "b", "c")
    assert (len(third.skipped), third.jobs) == (8, ())
    assert fleet.ran == once(8)


@pytest.mark.slow
def test_what_failed_is_run_again_on_any_machine_as_it_was_started(
    fleet: Fleet,
) -> None:
    command = 'echo {n} >>"$HOME/ran"; [ {n} != 2 ] || [ -e $HOME/../fixed ]'
    fleet.start(3, command=command)
    fleet.wait()
    assert fleet.start(3, command=command).jobs == ()
    (fleet.folder / "fixed").touch()
    again = fleet.start(0, failed=True)
    assert [job.cell for _, job in again.jobs] == [2]
    fleet.wait()
    assert fleet.ran == {"1": 1, "2": 2, "3": 1}
    assert fleet.start(0, failed=True).jobs == ()


@pytest.mark.slow
def test_cells_of_a_machine_that_is_gone_are_not_started_again_unless_asked_for(
    fleet: Fleet,
) -> None:
    report = fleet.start(4, "a", command=f"{COMMAND}; sleep 60")
    assert len(report.jobs) == 4
    fleet.machine("a").cut_off()
    again = fleet.start(4, "b", command=f"{COMMAND}; sleep 60")
    assert (again.jobs, len(again.unknown)) == ((), 4)
    assert again.error is not None
    assert again.error.exit_code == 255
    assert "--failed" in str(again.next_steps[0])
    planned = fleet.start(0, "b", failed=True, dry_run=True)
    assert len(planned.planned) == 4
    assert "a does not answer, and may have started 4 cells" in planned.warnings[0]
    forced = fleet.start(0, "b", failed=True)
    assert {name for name, _ in forced.jobs} == {"b"}
    fleet.machine("a").come_back()
    fleet.stop()


@pytest.mark.slow
def test_a_list_with_a_torn_line_is_read_and_goes_on(fleet: Fleet) -> None:
    fleet.start(3)
    fleet.wait()
    with fleet.list_file.open("a") as file:
        file.write('{"handed": 4, "to": "a", "sta')
    report = fleet.start(5)
    assert sorted(job.cell or 0 for _, job in report.jobs) == [4, 5]
    fleet.wait()
    assert fleet.ran == once(5)


@pytest.mark.slow
def test_two_calls_do_not_hand_out_the_same_sweep_at_once(fleet: Fleet) -> None:
    token = CancelToken()
    with ThreadPoolExecutor() as pool:
        call = pool.submit(
            fleet.start, 30, command=f"{COMMAND}; sleep 60", cancel=token
        )
        wait_until(lambda: fleet.machine("a").ran, 40)
        with pytest.raises(
            RefusedError, match="is assigning the cells of t1 right now"
        ):
            fleet.start(30)
        token.cancel()
        with pytest.raises(CancelledError):
            call.result(timeout=60)
    fleet.stop()


def test_a_plain_sweep_does_not_start_what_several_machines_have(fleet: Fleet) -> None:
    fleet.start(3)
    with pytest.raises(RefusedError, match="t1 is handed out to several machines"):
        sweep(
            fleet.sandbox("a"),
            fleet.project,
            {"n": ("1", "2")},
            name="t1",
            command="x {n}",
        )
    fleet.wait()


@pytest.mark.slow
def test_what_cannot_be_is_refused_before_a_machine_is_asked(fleet: Fleet) -> None:
    with pytest.raises(
        UsageError, match="--then runs on the machine that has all cells"
    ):
        fleet.start(3, then="echo")
    with pytest.raises(NotFoundError, match="no list of a sweep t1"):
        fleet.start(0, failed=True)
    outside = dataclasses.replace(fleet.project, root="")
    with pytest.raises(UsageError, match="keeps its list in the local clone"):
        spread(
            fleet.sandboxes,
            outside,
            {"n": ("1",)},
            command="x {n}",
            memory=fleet.memory,
        )
    for machine in fleet.machines:
        machine.cut_off()
    with pytest.raises(RefusedError, match="no such box"):
        fleet.start(3)
