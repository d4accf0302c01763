"""sync and setup over the connection: no git server is asked; and what is not committed."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from each_link import ThisComputer
from gitproject import GitProject
from machines import Place

from sandbox_ops import Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Project
from sandbox_ops.workflows.rerun import rerun
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync
from sandbox_ops.workflows.train import train


@pytest.fixture
def project(git_project: GitProject) -> Iterator[Project]:
    """A project whose git server cannot be reached any more."""
    git_project.commit({"train.py": "print(1)\n", ".gitignore": "data/\n"})
    away = git_project.origin.with_name("away.git")
    shutil.move(git_project.origin, away)
    yield git_project.project(setup=("true",), verify=("true",))
    shutil.move(away, git_project.origin)


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject, project: Project) -> Place:
    report = setup(sandbox, project, via="ssh")
    assert report.ok, report.steps[-1].detail
    return Place(sandbox, git_project)


def test_the_first_clone_and_later_commits_come_without_a_git_server(
    place: Place, project: Project
) -> None:
    git = place.git
    assert place.head == git.head
    assert (place.clone / "train.py").read_text() == "print(1)\n"
    assert place.run("remote", "get-url", "origin") == git.url
    assert place.run("symbolic-ref", "--short", "HEAD") == "main"
    commit = git.commit({"big.bin": "x" * 100_000, "train.py": "print(2)\n"})
    report = sync(place.sandbox, project, via="ssh")
    assert (report.commit_after, place.head) == (commit, commit)
    assert report.warnings == ()
    assert place.run("status", "--porcelain") == ""
    again = sync(place.sandbox, project, via="ssh")
    assert again.commit_before == again.commit_after == commit
    assert not list(Path(place.sandbox.base).glob("bundles/*"))


def test_only_what_is_missing_there_is_sent(place: Place, project: Project) -> None:
    from sandbox_ops.git import bundles

    place.git.commit({"big.bin": "".join(map(str, range(200_000)))})
    sync(place.sandbox, project, via="ssh")
    before = place.git.head
    place.git.commit({"small": "x"})
    folder = Path(place.sandbox.base)
    refs = {"refs/heads/main": place.git.head}
    bundles.write(str(place.git.clone), folder / "b", refs, [before])
    assert (folder / "b").stat().st_size < 2000
    sync(place.sandbox, project, via="ssh")
    assert place.head == place.git.head


def test_edits_here_are_refused_without_dirty_and_edits_there_always(
    place: Place, project: Project
) -> None:
    place.git.write({"train.py": "print(3)\n"})
    with pytest.raises(RefusedError, match="are not committed"):
        sync(place.sandbox, project, via="ssh")
    place.write("train.py", "edited there\n")
    with pytest.raises(RefusedError, match="there are edits in"):
        sync(place.sandbox, project, dirty=True)
    assert (place.clone / "train.py").read_text() == "edited there\n"


def test_a_reset_goes_back_to_what_came_last(place: Place, project: Project) -> None:
    commit = place.git.commit({"train.py": "print(2)\n"})
    sync(place.sandbox, project, via="ssh")
    place.write("train.py", "a hack\n")
    assert reset(place.sandbox, project, dry_run=True).commit_after == commit
    report = reset(place.sandbox, project)
    assert (report.commit_after, bool(report.backup_ref)) == (commit, True)
    assert (place.clone / "train.py").read_text() == "print(2)\n"


def edited(git: GitProject) -> None:
    """Edit, add, remove, and make a file executable; commit nothing."""
    git.write({"train.py": "print(9)\n", "new/file.py": "new\n", "data/x": "ignored"})
    git.git("rm", "-q", "--cached", "README.md")
    (git.clone / "README.md").unlink()
    (git.clone / "run.sh").write_text("true\n")
    (git.clone / "run.sh").chmod(0o755)


def test_what_is_not_committed_is_a_commit_there_and_nothing_changes_here(
    place: Place, project: Project
) -> None:
    git = place.git
    edited(git)
    before = git.git("status", "--porcelain"), git.git("count-objects")
    report = sync(place.sandbox, project, dirty=True)
    assert (git.git("status", "--porcelain"), git.git("count-objects")) == before
    assert report.base_commit == git.head
    assert place.head == report.commit_after != git.head
    assert place.run("rev-parse", "HEAD~1") == git.head
    assert (place.clone / "train.py").read_text() == "print(9)\n"
    assert (place.clone / "new/file.py").read_text() == "new\n"
    assert (place.clone / "run.sh").stat().st_mode & 0o111
    assert not (place.clone / "README.md").exists()
    assert not (place.clone / "data").exists()
    ref = f"refs/sandbox-ops/dirty/{report.patch_sha256[:16]}"
    assert place.run("rev-parse", ref) == place.head
    body = place.run("log", "-1", "--format=%B")
    assert f"Base: {git.head}" in body
    assert f"Patch-SHA256: {report.patch_sha256}" in body
    again = sync(place.sandbox, project, dirty=True)
    assert again.commit_after == report.commit_after, "the same state, another commit"


def test_results_that_fetch_brought_are_not_sent_back_with_uncommitted_code(
    place: Place, project: Project
) -> None:
    place.write("runs/remote-1/model.txt", "the run's own\n")
    for path in ("runs/remote-1/model.txt", "logs/gpu1/remote-1/log"):
        place.git.write({path: "brought home\n"})
    place.git.write({"train.py": "print(9)\n"})
    report = sync(place.sandbox, project, dirty=True)
    changed = place.run("diff", "--name-only", place.git.head, report.commit_after)
    assert changed == "train.py"
    assert (place.clone / "runs/remote-1/model.txt").read_text() == "the run's own\n"


def test_a_run_of_code_that_was_not_committed_is_run_again_with_that_code(
    place: Place, project: Project, make_machine: Callable[..., ThisComputer]
) -> None:
    place.git.write({"train.py": "print('dirty run')\n", "new.py": "new\n"})
    sync(place.sandbox, project, dirty=True)
    job = train(place.sandbox, project, command="cat train.py new.py", gpus=0).job
    assert jobs.wait(place.sandbox, job.id, timeout_s=30).exit_code == 0
    place.git.commit({"train.py": "print('another')\n"}, "Another")
    sync(place.sandbox, project, via="ssh")
    again = rerun(place.sandbox, project, job.id)
    ended = jobs.wait(place.sandbox, again.job.id, timeout_s=30)
    assert Path(ended.log_path).read_text() == "print('dirty run')\nnew\n"
    assert again.differs == ()
    with Sandbox(make_machine().config(name="other")) as other:
        assert setup(other, project, via="ssh").ok
        with pytest.raises(RefusedError, match="is neither in the clone"):
            rerun(other, project, f"test:{job.id}")
        assert jobs.recent(other) == ()


def test_a_training_runs_on_what_was_not_committed_and_its_record_says_which(
    place: Place, project: Project
) -> None:
    place.git.write({"train.py": "print('dirty run')\n"})
    report = sync(place.sandbox, project, dirty=True)
    job = train(place.sandbox, project, command="cat train.py").job
    ended = jobs.wait(place.sandbox, job.id, timeout_s=30)
    folder = Path(ended.log_path).parent
    assert (folder / "log").read_text() == "print('dirty run')\n"
    assert (
        json.loads((folder / "run.json").read_text())["commit"] == report.commit_after
    )
    place.git.write({"train.py": "print('edited again')\n"})
    with pytest.raises(RefusedError, match="edits here are not committed"):
        train(place.sandbox, project, command="cat train.py")


def test_after_a_dirty_state_the_committed_one_comes_back_and_the_other_is_kept(
    place: Place, project: Project
) -> None:
    place.git.write({"train.py": "print(9)\n"})
    dirty = sync(place.sandbox, project, dirty=True)
    place.git.git("commit", "-qam", "Now it is")
    report = sync(place.sandbox, project, via="ssh")
    assert place.head == place.git.head
    assert report.warnings == (), "the dirty state needs no second backup"
    assert place.run("cat-file", "-t", dirty.commit_after) == "commit"


def test_a_file_too_large_for_git_is_refused_by_name(
    place: Place, project: Project
) -> None:
    place.git.write({"weights.bin": "x" * (9 << 20)})
    with pytest.raises(RefusedError) as caught:
        sync(place.sandbox, project, dirty=True)
    assert "  weights.bin, 9 MiB" in caught.value.message
    assert "sandbox-ops put" in caught.value.hint
    assert place.head == place.git.head


def test_a_wrong_way_and_a_push_without_a_server_are_usage_errors(
    place: Place, project: Project
) -> None:
    with pytest.raises(UsageError, match="--via takes git or ssh, not `ftp`"):
        sync(place.sandbox, project, via="ftp")
    with pytest.raises(UsageError, match="--push is for the git remote"):
        sync(place.sandbox, project, dirty=True, push=True)
    with pytest.raises(UsageError, match="there is no local clone here"):
        sync(place.sandbox, dataclasses.replace(project, root=None), via="ssh")


def test_with_the_git_server_back_a_plain_sync_goes_by_it_again(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    project = git_project.project(setup=("true",), verify=("true",))
    assert setup(sandbox, project, via="ssh").ok
    place = Place(sandbox, git_project)
    commit = git_project.commit({"a": "1"}, push=True)
    assert sync(sandbox, project).commit_after == commit
    away = git_project.origin.with_name("away.git")
    shutil.move(git_project.origin, away)
    with pytest.raises(NotFoundError, match="does not appear to be a git repository"):
        reset(sandbox, project)
    assert place.head == commit
