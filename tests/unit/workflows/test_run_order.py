"""The order of runs: by their numbers in one store, by the clocks among several."""

from sandbox_ops.models import Job, JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import run_order


def run(store: str, number: int, started_at: float | None) -> Run:
    job = Job(id=f"remote-{number}", state=JobState.SUCCEEDED, started_at=started_at)
    return Run(sandbox=store, store=store, job=job)


def test_of_one_machine_the_number_says_which_came_last_whatever_its_clock_says() -> (
    None
):
    runs = [run("a", 1, 10.9), run("a", 2, 10.2), run("a", 3, None)]
    ordered = run_order.newest_first(runs)
    assert [each.number for each in ordered] == [3, 2, 1]


def test_runs_of_several_machines_are_in_the_order_of_their_clocks() -> None:
    runs = [run("a", 1, 1.0), run("b", 9, 2.0), run("a", 2, 3.0), run("b", 10, 4.0)]
    ordered = run_order.newest_first(runs)
    assert [each.number for each in ordered] == [10, 2, 9, 1]


def test_a_run_that_never_began_moves_no_other() -> None:
    runs = [run("a", 1, 5.0), run("a", 2, None), run("b", 7, 4.0), run("b", 8, 6.0)]
    ordered = run_order.newest_first(runs)
    assert [each.number for each in ordered] == [8, 2, 1, 7]
