"""sweep: many trainings as one group, against a real sshd."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gitproject import GitProject
from machines import Place, set_up

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.machine import groups, jobs, waiting
from sandbox_ops.models import job_ids
from sandbox_ops.models.groups import Group
from sandbox_ops.models.waiting import WaitEvent
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.group_jobs import group_jobs
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.stop import GroupStopReport, stop
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.sweep_report import SweepReport
from sandbox_ops.workflows.train import train

TRAINING = """import sys
lr, seed = float(sys.argv[1]), int(sys.argv[2])
for step in range(1, 4):
    print(f"step {step}/3 loss={lr * 100 + seed / step:.3f}", flush=True)
if seed == 13:
    raise SystemExit(3)
"""
COMMAND = "python3 train.py {lr} {seed}"


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    git_project.commit({"train.py": TRAINING}, push=True)
    return set_up(sandbox, git_project)


def start(place: Place, name: str, **options: Any) -> SweepReport:  # noqa: ANN401
    settings = options.pop("settings", {"lr": ("1e-3", "1e-4"), "seed": ("1", "2")})
    options.setdefault("command", COMMAND)
    return sweep(place.sandbox, place.project, settings, name=name, **options)


def ended(place: Place, name: str) -> tuple[Any, ...]:
    report = waiting.wait(place.sandbox, [name], waiting.WaitFor(timeout_s=60))
    assert report.event is WaitEvent.ENDED
    return report.jobs


def group_of(place: Place, name: str) -> Group:
    group = groups.look(place.sandbox, name)
    assert group is not None
    return group


def test_each_combination_of_the_settings_is_a_job_whose_name_tells_it(
    place: Place,
) -> None:
    report = start(place, "names")
    assert report.ok
    assert [job.name for job in report.jobs] == [
        "names-lr1e-3-seed1",
        "names-lr1e-3-seed2",
        "names-lr1e-4-seed1",
        "names-lr1e-4-seed2",
    ]
    assert [(job.group, job.cell) for job in report.jobs] == [
        ("names", number) for number in (1, 2, 3, 4)
    ]
    numbers = [int(job.id.removeprefix("remote-")) for job in report.jobs]
    assert numbers == sorted(numbers)
    assert {job.state for job in ended(place, "names")} == {JobState.SUCCEEDED}
    record = json.loads((Path(report.jobs[1].log_path).parent / "run.json").read_text())
    assert record["settings"] == {"lr": "1e-3", "seed": "2"}
    assert (record["group"], record["cell"]) == ("names", 2)
    assert record["command"] == "python3 train.py 1e-3 2"
    assert (place.clone / "logs/names-lr1e-4-seed2.log").is_symlink()


def test_values_with_commas_dots_slashes_and_blanks_reach_the_command_as_they_are(
    place: Place,
) -> None:
    values = ("a,b", "c/d", "e f", "g..h", "it's")
    report = start(place, "odd", command="printf '%s|' {x}", settings={"x": values})
    assert [job.name for job in report.jobs] == [
        "odd-xa_b", "odd-xc_d", "odd-xe_f", "odd-xg..h", "odd-xit_s",
    ]  # fmt: skip
    ended(place, "odd")
    written = [Path(job.log_path).read_text() for job in report.jobs]
    assert written == [f"{value}|" for value in values]


def test_names_that_would_be_the_same_are_told_apart_by_their_cell(
    place: Place,
) -> None:
    report = start(
        place, "same", command="echo {x}", settings={"x": ("a/b", "a,b", "y" * 80)}
    )
    names = [job.name for job in report.jobs]
    assert names[:2] == ["same-xa_b", "same-xa_b-2"]
    assert len(names[2]) == 64
    assert names[2].endswith("-3")
    ended(place, "same")


def test_a_second_start_skips_what_is_done_and_adds_what_is_new(place: Place) -> None:
    start(place, "second")
    ended(place, "second")
    more = {"lr": ("1e-3", "1e-4"), "seed": ("1", "2", "3")}
    report = start(place, "second", settings=more)
    assert [job.name for job in report.jobs] == [
        "second-lr1e-3-seed3",
        "second-lr1e-4-seed3",
    ]
    assert [job.cell for job in report.jobs] == [5, 6]
    assert [cell.skipped for cell in report.skipped] == ["done"] * 4
    assert report.as_json()["skipped"][0]["job"]["state"] == "succeeded"
    ended(place, "second")
    again = start(place, "second", again=True)
    assert [job.cell for job in again.jobs] == [1, 2, 3, 4]
    ended(place, "second")
    assert len(group_of(place, "second").members) == 6


def test_a_changed_command_is_another_cell(place: Place) -> None:
    start(place, "changed", settings={"lr": ("1e-3",), "seed": ("1", "2")})
    ended(place, "changed")
    report = start(
        place,
        "changed",
        settings={"lr": ("1e-3",), "seed": ("1", "2")},
        command=f"{COMMAND} --more",
    )
    assert [job.cell for job in report.jobs] == [3, 4]
    ended(place, "changed")


def test_cells_that_are_done_with_other_code_are_skipped_and_told(place: Place) -> None:
    start(place, "code")
    ended(place, "code")
    old = place.head
    place.git.commit({"train.py": f"{TRAINING}print('more')\n"}, push=True)
    place.run("pull", "-q")
    settings = {"lr": ("1e-3", "1e-4"), "seed": ("1", "2", "3")}
    report = start(place, "code", settings=settings)
    assert len(report.jobs) == 2
    assert any(old[:10] in warning for warning in report.warnings)
    assert "--again" in report.next_steps[0].command
    ended(place, "code")


def test_failed_cells_run_again_without_telling_their_settings_again(
    place: Place,
) -> None:
    settings = {"lr": ("1e-3",), "seed": ("1", "13")}
    start(place, "bad", settings=settings)
    assert [job.state for job in ended(place, "bad")] == [
        JobState.SUCCEEDED,
        JobState.FAILED,
    ]
    as_before = start(place, "bad", settings=settings)
    assert not as_before.jobs
    assert [cell.skipped for cell in as_before.skipped] == [
        "done",
        "failed (exit code 3)",
    ]
    assert as_before.next_steps[0].command == ("sandbox-ops train --name bad --failed")
    report = sweep(place.sandbox, place.project, {}, name="bad", failed=True)
    assert [job.cell for job in report.jobs] == [2]
    assert report.jobs[0].command == "python3 train.py 1e-3 13"
    ended(place, "bad")
    record = json.loads((Path(report.jobs[0].log_path).parent / "run.json").read_text())
    assert record["settings"] == {"lr": "1e-3", "seed": "13"}
    assert jobs.get(place.sandbox, "bad/2").id == report.jobs[0].id


def test_a_dry_run_starts_nothing_and_shows_all(place: Place) -> None:
    report = start(place, "dry", dry_run=True)
    assert [cell.name for cell in report.planned] == [
        "dry-lr1e-3-seed1",
        "dry-lr1e-3-seed2",
        "dry-lr1e-4-seed1",
        "dry-lr1e-4-seed2",
    ]
    assert report.as_json()["jobs"][0]["command"] == "python3 train.py 1e-3 1"
    assert groups.look(place.sandbox, "dry") is None
    place.git.commit({"train.py": "print()\n"}, push=True)
    stale = start(place, "dry", dry_run=True)
    assert "refused" in stale.warnings[0]


def test_two_clients_that_start_the_same_sweep_at_once_make_no_cell_twice(
    place: Place,
) -> None:
    settings = {"lr": ("1e-3",), "seed": tuple(map(str, range(1, 13)))}

    def begin(sandbox: Sandbox) -> SweepReport:
        return sweep(sandbox, place.project, settings, command=COMMAND, name="race")

    with Sandbox(place.sandbox.config) as other, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(begin, each) for each in (place.sandbox, other)]
        reports = [each.result() for each in both]
    assert all(report.ok for report in reports)
    ended(place, "race")
    members = group_of(place, "race").members
    assert [member.number for member in members] == list(range(1, 13))
    every = jobs.recent(place.sandbox, 200)
    ours = [job for job in every if job.group == "race"]
    assert len(ours) == 12


def test_a_start_that_was_cut_off_is_repeated_and_makes_no_cell_twice(
    place: Place,
) -> None:
    """Half of the cells are started, as by a client that died; then the whole line again."""
    settings = {"lr": ("1e-3",), "seed": tuple(map(str, range(1, 9)))}
    half = {"lr": ("1e-3",), "seed": tuple(map(str, range(1, 5)))}
    start(place, "cut", settings=half)
    report = start(place, "cut", settings=settings)
    assert [job.cell for job in report.jobs] == [5, 6, 7, 8]
    ended(place, "cut")
    assert len(group_of(place, "cut").members) == 8


def test_a_group_is_one_row_with_counts_and_its_best(place: Place) -> None:
    start(place, "row", settings={"lr": ("1e-3", "1e-4"), "seed": ("1", "13")})
    ended(place, "row")
    listed = group_jobs(place.sandbox, place.project, "row")
    shown = listed.as_json()
    assert (shown["group"], shown["cells"]) == ("row", 4)
    assert shown["counts"] == {"succeeded": 2, "failed": 2}
    assert shown["best"]["metric"] == "loss"
    assert shown["best"]["value"] == pytest.approx(0.01 + 1 / 3, abs=0.001)
    assert shown["best"]["name"] == "row-lr1e-4-seed1"
    highest = group_jobs(place.sandbox, place.project, "row", metric="max:loss")
    assert highest.as_json()["best"]["name"] == "row-lr1e-3-seed13"
    watched = monitor(place.sandbox, place.project, job="row")
    assert len(watched.jobs) == 4
    assert watched.groups[0].n_cells == 4
    assert monitor(place.sandbox, job="row/3").jobs[0].job.cell == 3
    with pytest.raises(UsageError, match="metric"):
        group_jobs(place.sandbox, place.project, "row", metric="avg:loss")
    with pytest.raises(NotFoundError, match="no job of row has a metric `acc`"):
        group_jobs(place.sandbox, place.project, "row", metric="max:acc")


def test_a_group_is_stopped_whole(place: Place) -> None:
    start(place, "long", command="sleep {x}", settings={"x": ("61", "62", "63")})
    report = stop(place.sandbox, "long")
    assert isinstance(report, GroupStopReport)
    assert report.ok
    assert len(report.stopped) == 3
    assert [job.state for job in ended(place, "long")] == [JobState.STOPPED] * 3
    rerun = sweep(
        place.sandbox, place.project, {}, name="long", failed=True, dry_run=True
    )
    assert len(rerun.planned) == 3


def test_a_wait_for_a_group_ends_when_all_its_jobs_have_ended(place: Place) -> None:
    start(place, "all", settings={"lr": ("1e-3",), "seed": ("1", "2", "13")})
    report = waiting.wait(place.sandbox, ["all"], waiting.WaitFor(timeout_s=60))
    assert report.line == "3 ended: 2 succeeded, 1 failed"
    assert report.exit_code == 3
    assert len(report.as_json()["jobs"]) == 3
    start(place, "any", command="sleep {x}", settings={"x": ("0.1", "60")})
    first = waiting.WaitFor(timeout_s=60, for_all=False)
    assert waiting.wait(place.sandbox, ["any"], first).job.cell == 1
    stop(place.sandbox, "any")


def test_one_of_a_group_is_named_by_its_cell_and_a_group_is_no_job(
    place: Place,
) -> None:
    report = start(place, "one", settings={"lr": ("1e-3",), "seed": ("1", "2")})
    ended(place, "one")
    assert jobs.get(place.sandbox, "one/2").id == report.jobs[1].id
    with pytest.raises(UsageError, match=r"one is a group of 2 jobs.*one/1, one/2"):
        jobs.get(place.sandbox, "one")
    with pytest.raises(NotFoundError):
        jobs.get(place.sandbox, "one/9")


def test_a_fetch_of_a_group_brings_the_log_and_record_of_each(
    place: Place, tmp_path: Path
) -> None:
    report = start(place, "home", settings={"lr": ("1e-3",), "seed": ("1", "2")})
    ended(place, "home")
    brought = fetch(place.sandbox, place.project, job="home", into=str(tmp_path))
    for job in report.jobs:
        assert (tmp_path / f"logs/{job.id}/log").read_text().endswith("\n")
        assert (tmp_path / f"logs/{job.id}/run.json").exists()
    assert all(file.sha256 for file in brought.files)


def test_a_group_belongs_to_one_project(
    place: Place, make_git_project_here: Callable[..., GitProject]
) -> None:
    start(place, "mine")
    other = make_git_project_here("another")
    there = set_up(place.sandbox, other)
    with pytest.raises(RefusedError, match="mine is a group of jobs of"):
        start(there, "mine")
    ended(place, "mine")


def test_more_cells_than_can_be_and_a_value_twice_are_refused(place: Place) -> None:
    many = {"lr": tuple(map(str, range(101))), "seed": tuple(map(str, range(10)))}
    with pytest.raises(UsageError, match="1010 jobs"):
        start(place, "many", settings=many)
    with pytest.raises(UsageError, match="twice"):
        start(place, "many", settings={"lr": ("1", "1"), "seed": ("1",)})


def steps_so_far(place: Place) -> int:
    return job_ids.number(place.sandbox.run("true").job.id)


def test_ten_jobs_cost_the_preflight_of_one(place: Place) -> None:
    def steps_of(n_jobs: int) -> int:
        seeds = tuple(str(n_jobs * 100 + number) for number in range(n_jobs))
        before = steps_so_far(place)
        start(place, f"cheap{n_jobs}", settings={"lr": ("1",), "seed": seeds})
        return steps_so_far(place) - before

    assert steps_of(10) == steps_of(2)
    ended(place, "cheap10")
    ended(place, "cheap2")


def test_a_sweep_of_one_and_a_plain_training_of_its_name(place: Place) -> None:
    report = start(place, "solo", settings={"lr": ("1",), "seed": ("1",)}, again=True)
    assert [job.name for job in report.jobs] == ["solo"]
    ended(place, "solo")
    job = train(place.sandbox, place.project, command="true", name="solo").job
    assert jobs.get(place.sandbox, "solo").id == job.id


def test_cells_that_would_write_the_same_declared_file_are_refused_before_the_start(
    place: Place,
) -> None:
    project = place.git.project(outputs=("models/",))
    settings = {"seed": ("1", "2")}
    with pytest.raises(
        RefusedError, match=r"models/a.pt would be written by"
    ) as caught:
        sweep(
            place.sandbox,
            project,
            settings,
            name="clash",
            command="echo {seed} > models/a.pt",
        )
    assert "clash-seed1, clash-seed2" in caught.value.message
    assert "{run_dir}" in caught.value.hint
    assert groups.look(place.sandbox, "clash") is None
    command = "mkdir -p models; echo {seed} >models/{name}.pt"
    report = sweep(place.sandbox, project, settings, name="apart", command=command)
    assert report.ok
    ended(place, "apart")
    written = {path.name for path in (place.clone / "models").iterdir()}
    assert written == {"apart-seed1.pt", "apart-seed2.pt"}
