"""reset, against a real sshd: what it says and in which order it acts."""

from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.sync import sync


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    git_project.commit({"train.py": "print(1)\n"}, push=True)
    return set_up(sandbox, git_project)


def change(place: Place) -> None:
    place.write("train.py", "edited there\n")
    place.write("notes.txt", "made there\n")
    place.write("models/best.pt", "an output\n")
    place.run("commit", "-q", "--allow-empty", "-m", "Made there")


def test_what_was_done_there_is_rescued_and_undone(place: Place) -> None:
    change(place)
    before = place.head
    project = place.git.project(outputs=("models/",))
    report = reset(place.sandbox, project)
    assert report.ok
    assert (report.commit_before, report.commit_after) == (before, place.git.head)
    assert report.dirty == (" M train.py",)
    assert report.untracked == ("notes.txt",)
    assert [line[8:] for line in report.unpushed] == ["Made there"]
    assert place.head == place.git.head
    assert place.run("status", "--porcelain") == "?? models/"
    assert (place.clone / "models/best.pt").read_text() == "an output\n"
    ref = report.backup_ref or ""
    assert place.run("rev-parse", f"{ref}^") == before
    assert report.restore is not None
    restore = str(report.restore.arguments["command"])
    result = place.sandbox.run(restore, cwd=str(place.clone))
    assert result.ok
    assert (place.clone / "train.py").read_text() == "edited there\n"
    assert (place.clone / "notes.txt").read_text() == "made there\n"


def test_outputs_that_git_tracks_stay_and_a_sync_goes_on(place: Place) -> None:
    place.git.commit(
        {"results/a b.json": "old\n", "results/gone": "x", "train.py": "print(2)\n"},
        push=True,
    )
    sync(place.sandbox, place.project)
    project = place.git.project(outputs=("results/",))
    place.write("results/a b.json", "new\n")
    (place.clone / "results/gone").unlink()
    place.write("train.py", "edited there\n")
    report = reset(place.sandbox, project)
    assert report.dirty == (" M train.py",)
    assert (place.clone / "results/a b.json").read_text() == "new\n"
    assert (place.clone / "results/gone").read_text() == "x"
    assert (place.clone / "train.py").read_text() == "print(2)\n"
    place.git.commit({"train.py": "print(3)\n"}, push=True)
    assert sync(place.sandbox, project).commit_after == place.git.head
    assert (place.clone / "results/a b.json").read_text() == "new\n"
    place.git.commit({"results/a b.json": "theirs\n"}, push=True)
    with pytest.raises(RefusedError, match="in the way"):
        sync(place.sandbox, project)
    reset(place.sandbox, project)
    assert place.head == place.git.head
    assert (place.clone / "results/a b.json").read_text() == "new\n"


def test_a_dry_run_shows_it_all_and_changes_nothing(place: Place) -> None:
    change(place)
    job = place.sandbox.start("sleep 60", cwd=str(place.clone))
    upstream = place.git.commit({"train.py": "print(2)\n"}, push=True)
    before, refs = place.head, place.run("for-each-ref")
    report = reset(place.sandbox, place.project, dry_run=True)
    assert report.dry_run
    assert report.stopped == (job.id,)
    assert (report.commit_before, report.commit_after) == (before, upstream)
    assert report.dirty == (" M train.py",)
    assert report.untracked == ("models/", "notes.txt")
    assert len(report.unpushed) == 1
    assert report.backup_ref
    assert (place.head, place.run("for-each-ref")) == (before, refs)
    assert (place.clone / "train.py").read_text() == "edited there\n"
    assert not jobs.get(place.sandbox, job.id).state.ended


def test_our_jobs_in_the_tree_are_stopped_and_no_others(place: Place) -> None:
    ours = place.sandbox.start("sleep 60", cwd=str(place.clone))
    other = place.sandbox.start("sleep 60", cwd="/")
    report = reset(place.sandbox, place.project)
    assert report.stopped == (ours.id,)
    assert jobs.get(place.sandbox, ours.id).state is JobState.STOPPED
    assert not jobs.get(place.sandbox, other.id).state.ended
    jobs.stop(place.sandbox, other.id, grace_s=1)


def test_what_an_ended_command_left_running_there_is_ended(place: Place) -> None:
    left = place.sandbox.run("setsid sleep 61 >/dev/null 2>&1 &", cwd=str(place.clone))
    assert jobs.get(place.sandbox, left.job.id).survivors == 1
    assert reset(place.sandbox, place.project).stopped == (left.job.id,)
    assert jobs.get(place.sandbox, left.job.id).survivors == 0


def test_nothing_to_rescue_makes_no_backup(place: Place) -> None:
    upstream = place.git.commit({"train.py": "print(2)\n"}, push=True)
    report = reset(place.sandbox, place.project)
    assert report.as_json() | {"foreign": []} == {
        "sandbox": "test",
        "stopped": [],
        "backup_ref": None,
        "commit_before": report.commit_before,
        "commit_after": upstream,
        "dry_run": False,
        "dirty": [],
        "untracked": [],
        "unpushed": [],
        "foreign": [],
        "warnings": [],
        "restore": "",
    }
    assert place.head == upstream


def test_the_logs_folder_stays(place: Place) -> None:
    place.write("logs/old.log", "kept\n")
    assert reset(place.sandbox, place.project).backup_ref is None
    assert (place.clone / "logs/old.log").exists()


def test_a_sync_works_again_afterwards(place: Place) -> None:
    change(place)
    with pytest.raises(RefusedError, match="reset"):
        sync(place.sandbox, place.project)
    reset(place.sandbox, place.project)
    place.git.commit({"train.py": "print(2)\n"}, push=True)
    assert sync(place.sandbox, place.project).commit_after == place.git.head


def test_git_at_work_refuses_before_any_job_is_stopped(place: Place) -> None:
    change(place)
    job = place.sandbox.start("sleep 60", cwd=str(place.clone))
    (place.clone / ".git/index.lock").touch()
    with pytest.raises(RefusedError, match="nothing can be rescued"):
        reset(place.sandbox, place.project)
    assert not jobs.get(place.sandbox, job.id).state.ended
    jobs.stop(place.sandbox, job.id, grace_s=1)


def test_an_upstream_out_of_reach_refuses_before_any_job_is_stopped(
    place: Place, tmp_path: Path
) -> None:
    change(place)
    job = place.sandbox.start("sleep 60", cwd=str(place.clone))
    place.git.origin.rename(tmp_path / "gone")
    with pytest.raises(NotFoundError):
        reset(place.sandbox, place.project)
    assert not jobs.get(place.sandbox, job.id).state.ended
    assert (place.clone / "train.py").read_text() == "edited there\n"
    jobs.stop(place.sandbox, job.id, grace_s=1)


def test_without_a_clone_setup_is_named(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    with pytest.raises(NotFoundError) as caught:
        reset(sandbox, git_project.project())
    assert "sandbox-ops setup" in caught.value.hint
