"""sync, against a real sshd and real repositories."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up

from sandbox_ops import Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.git import local
from sandbox_ops.machine import jobs
from sandbox_ops.workflows.sync import sync


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    git_project.commit({"src/train.py": "print(1)\n"}, push=True)
    return set_up(sandbox, git_project)


def test_a_pushed_commit_arrives(place: Place) -> None:
    before = place.head
    after = place.git.commit({"src/train.py": "print(2)\n"}, push=True)
    report = sync(place.sandbox, place.project)
    assert report.ok
    assert report.as_json() == {
        "sandbox": "test",
        "branch": "main",
        "commit_before": before,
        "commit_after": after,
        "pushed": False,
        "base_commit": "",
        "patch_sha256": "",
        "warnings": [],
    }
    assert place.head == after
    assert (place.clone / "src/train.py").read_text() == "print(2)\n"


def test_nothing_new_changes_nothing(place: Place) -> None:
    report = sync(place.sandbox, place.project)
    assert report.commit_before == report.commit_after == place.git.head


def test_edits_here_are_listed_with_the_commands_that_fix_it(place: Place) -> None:
    place.git.write({"src/train.py": "print(2)\n"})
    with pytest.raises(RefusedError) as caught:
        sync(place.sandbox, place.project, push=True)
    assert caught.value.message == (
        f"edits in {place.git.clone} are not committed:\n   M src/train.py"
    )
    assert "git commit" in caught.value.hint
    assert "git stash" in caught.value.hint


def test_untracked_files_here_only_warn(place: Place) -> None:
    place.git.write({"notes.txt": "mine\n"})
    report = sync(place.sandbox, place.project)
    assert report.warnings == ("files that git does not know stay here:\n  notes.txt",)


def test_results_that_came_home_are_no_untracked_work(place: Place) -> None:
    place.git.write(
        {
            "logs/remote-1/log": "step 1\n",
            "runs/gpu1/remote-2/model.pt": "x",
            "models/best/policy.pt": "x",
            "notes.txt": "mine\n",
            "runs/plan.md": "mine\n",
        }
    )
    project = dataclasses.replace(place.project, outputs=("models/",))
    warned = sync(place.sandbox, project).warnings
    assert warned == ("files that git does not know stay here:\n  notes.txt\n  runs/",)
    for own in ("notes.txt", "runs/plan.md"):
        (Path(place.git.clone) / own).unlink()
    assert sync(place.sandbox, project).warnings == ()


def test_an_edit_of_a_tracked_file_counts_wherever_it_lies(place: Place) -> None:
    place.git.commit({"runs/remote-1/summary.md": "good\n"}, "Results")
    sync(place.sandbox, place.project, push=True)
    place.git.write({"runs/remote-1/summary.md": "better\n"})
    with pytest.raises(RefusedError, match=r"runs/remote-1/summary\.md"):
        sync(place.sandbox, place.project)
    sync(place.sandbox, place.project, dirty=True)
    assert (place.clone / "runs/remote-1/summary.md").read_text() == "better\n"


def test_commits_that_were_not_pushed_are_refused_then_pushed(place: Place) -> None:
    head = place.git.commit({"src/train.py": "print(2)\n"}, "Second try")
    with pytest.raises(RefusedError) as caught:
        sync(place.sandbox, place.project)
    assert caught.value.message.endswith(f"\n  {head[:7]} Second try")
    assert "git push origin main" in caught.value.hint
    report = sync(place.sandbox, place.project, push=True)
    assert (report.pushed, report.commit_after) == (True, head)
    assert place.git.git("rev-parse", "main", at=place.git.origin) == head


def test_no_upstream_need_be_configured(place: Place) -> None:
    place.git.git("branch", "--unset-upstream")
    head = place.git.commit({"src/train.py": "print(2)\n"})
    with pytest.raises(RefusedError, match="not on origin"):
        sync(place.sandbox, place.project)
    assert sync(place.sandbox, place.project, push=True).commit_after == head


def test_a_branch_that_is_new_is_pushed_only_if_asked(place: Place) -> None:
    place.git.git("checkout", "-q", "-b", "feature/x")
    head = place.git.commit({"src/train.py": "print(3)\n"}, "On a branch")
    project = dataclasses.replace(place.project, branch="feature/x")
    with pytest.raises(RefusedError, match="On a branch"):
        sync(place.sandbox, project)
    report = sync(place.sandbox, project, push=True)
    assert (report.branch, report.commit_after) == ("feature/x", head)
    assert place.run("symbolic-ref", "--short", "HEAD") == "feature/x"


def test_two_lines_of_work_are_not_joined_for_anybody(
    place: Place, tmp_path: Path
) -> None:
    other = tmp_path / "colleague"
    place.git.git("clone", "-q", place.git.url, str(other), at=tmp_path)
    place.git.git("config", "user.email", "c@example.com", at=other)
    place.git.git("config", "user.name", "Colleague", at=other)
    place.git.git("commit", "-q", "--allow-empty", "-m", "Theirs", at=other)
    place.git.git("push", "-q", at=other)
    place.git.commit({"src/train.py": "print(2)\n"}, "Ours")
    for push in (False, True):
        with pytest.raises(RefusedError, match="has diverged: 1 commits here, 1 other"):
            sync(place.sandbox, place.project, push=push)


def test_a_clone_that_is_behind_syncs_its_own_commit(place: Place) -> None:
    local = place.git.head
    place.git.commit({"src/train.py": "print(2)\n"}, push=True)
    place.git.git("reset", "-q", "--hard", local)
    report = sync(place.sandbox, place.project)
    assert report.commit_after == local
    assert "origin is 1 commits ahead" in report.warnings[0]


def test_a_rewritten_upstream_is_followed_and_the_old_commit_kept(place: Place) -> None:
    old = place.head
    place.git.git("commit", "-q", "--amend", "-m", "Rewritten")
    place.git.git("push", "-q", "--force", "origin", "main")
    report = sync(place.sandbox, place.project)
    assert place.head == place.git.head
    ref = report.warnings[0].rpartition(" ")[2]
    assert place.run("rev-parse", ref) == old


def test_a_detached_head_there_is_put_on_its_branch(place: Place) -> None:
    place.run("checkout", "-q", "--detach", "HEAD~1")
    sync(place.sandbox, place.project)
    assert place.run("symbolic-ref", "--short", "HEAD") == "main"


def test_edits_there_are_listed_and_a_reset_offered(place: Place) -> None:
    place.write("src/train.py", "edited there\n")
    with pytest.raises(RefusedError) as caught:
        sync(place.sandbox, place.project)
    assert caught.value.message == (
        f"there are edits in {place.clone} on test:\n   M src/train.py"
    )
    assert "sandbox-ops reset" in caught.value.hint
    assert (place.clone / "src/train.py").read_text() == "edited there\n"


def test_commits_there_are_listed_and_a_reset_offered(place: Place) -> None:
    place.run("commit", "-q", "--allow-empty", "-m", "Made there")
    with pytest.raises(RefusedError, match="Made there"):
        sync(place.sandbox, place.project)


def test_a_file_there_in_the_way_is_named(place: Place) -> None:
    place.write("results.csv", "made there\n")
    before = place.head
    place.git.commit({"results.csv": "upstream\n"}, push=True)
    with pytest.raises(RefusedError, match=r"results\.csv"):
        sync(place.sandbox, place.project)
    assert place.head == before


def test_a_job_that_uses_the_tree_is_named(place: Place) -> None:
    job = place.sandbox.start("sleep 60", cwd=str(place.clone), name="night")
    with pytest.raises(RefusedError, match=f"{job.id} night"):
        sync(place.sandbox, place.project)
    jobs.stop(place.sandbox, job.id, grace_s=1)
    assert sync(place.sandbox, place.project).ok


def test_nothing_is_pushed_where_the_machine_refuses(place: Place) -> None:
    upstream = place.git.head
    place.git.commit({"train.py": "print(2)\n"})
    job = place.sandbox.start("sleep 60", cwd=str(place.clone))
    with pytest.raises(RefusedError, match=job.id):
        sync(place.sandbox, place.project, push=True)
    assert place.git.git("ls-remote", "origin", "main").startswith(upstream)


def test_what_was_pushed_is_said_where_the_machine_fails_afterwards(
    place: Place,
) -> None:
    place.run("remote", "set-url", "origin", f"{place.git.url}/")
    place.write("train.py2", "x")
    place.git.commit({"train.py2": "incoming\n"})
    with pytest.raises(RefusedError, match="in the way") as refused:
        sync(place.sandbox, place.project, push=True)
    assert "main was pushed before that" in refused.value.hint


def test_a_switch_of_branch_is_no_rewritten_upstream(place: Place) -> None:
    place.git.git("switch", "-q", "-c", "other")
    place.git.commit({"train.py": "print(2)\n"})
    place.git.git("push", "-q", "origin", "other")
    other = place.git.project(branch="other")
    assert sync(place.sandbox, other).branch == "other"
    place.git.git("switch", "-q", "main")
    report = sync(place.sandbox, place.project)
    assert (report.branch, report.commit_after) == ("main", place.git.head)
    assert report.warnings == ()
    assert place.run("for-each-ref", "refs/sandbox-ops/backup") == ""


def test_a_held_index_lock_is_named(place: Place) -> None:
    (place.clone / ".git/index.lock").touch()
    with pytest.raises(RefusedError, match=r"index\.lock is held"):
        sync(place.sandbox, place.project)


def test_without_a_clone_there_setup_is_named(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    with pytest.raises(NotFoundError) as caught:
        sync(sandbox, git_project.project())
    assert "sandbox-ops setup" in caught.value.hint


def test_without_a_clone_here_upstream_is_taken(place: Place) -> None:
    head = place.git.commit({"src/train.py": "print(2)\n"}, push=True)
    report = sync(place.sandbox, dataclasses.replace(place.project, root=None))
    assert report.commit_after == head
    assert "no local clone" in report.warnings[0]


def test_a_detached_head_here_needs_a_branch(place: Place) -> None:
    place.git.git("checkout", "-q", "--detach")
    with pytest.raises(UsageError, match="HEAD is detached"):
        sync(place.sandbox, dataclasses.replace(place.project, branch=""))
    assert sync(place.sandbox, place.project).branch == "main"


def test_machines_that_are_synced_at_once_may_all_ask_for_the_push(
    git_project: GitProject,
) -> None:
    head = git_project.commit({"src/train.py": "print(3)\n"})
    tree = local.look(str(git_project.clone), "main", ())
    with ThreadPoolExecutor(6) as threads:
        pushes = [threads.submit(local.push, tree, "origin") for _ in range(6)]
        assert [push.result(30) for push in pushes] == [None] * 6
    assert git_project.git("rev-parse", "main", at=git_project.origin) == head
