"""fetch --push, against a real sshd and git: results on a branch, nothing else moved."""

import json
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up

from sandbox_ops import Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job, Project
from sandbox_ops.workflows.file_choice import FileChoice
from sandbox_ops.workflows.push_results import push_results
from sandbox_ops.workflows.train import train

SMALL = 1000


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    git_project.commit({".gitignore": "results/\n"}, push=True)
    return set_up(sandbox, git_project)


@pytest.fixture
def project(place: Place) -> Project:
    return place.git.project(outputs=("results/",))


def trained(place: Place, project: Project, command: str) -> Job:
    job = train(place.sandbox, project, command=command, name="night").job
    return jobs.wait(place.sandbox, job.id, timeout_s=30)


def on_origin(place: Place, branch: str) -> dict[str, str]:
    origin = place.git.origin
    names = place.git.git(
        "ls-tree", "-r", "--name-only", branch, at=origin
    ).splitlines()
    return {
        name: place.git.git("show", f"{branch}:{name}", at=origin) for name in names
    }


WRITE = "mkdir -p results; echo 0.93 >results/score.txt; echo it ran"


def test_results_are_a_commit_on_a_branch_and_the_tree_stays_as_it_is(
    place: Place, project: Project
) -> None:
    job = trained(place, project, WRITE)
    place.write("README.md", "edited there\n")
    head, status = place.head, place.run("status", "--porcelain")
    report = push_results(place.sandbox, project, job=job.id)
    assert (report.branch, report.pushed) == ("results/night", True)
    pushed = on_origin(place, "results/night")
    assert pushed["results/score.txt"] == "0.93"
    assert json.loads(pushed[f"logs/{job.id}/run.json"])["commit"] == head
    assert pushed["README.md"] == "# bucket-brigade", "an edit was committed as well"
    assert f"logs/{job.id}/log" not in pushed
    assert place.git.git("rev-parse", "results/night~1", at=place.git.origin) == head
    author = place.git.git(
        "log", "-1", "--format=%an %s", report.commit, at=place.git.origin
    )
    assert author == f"Rosa Tester Results of {job.id} (night) on test"
    assert (place.head, place.run("status", "--porcelain")) == (head, status)
    assert not list((place.clone / ".git").glob("sandbox-ops.*"))


def test_a_second_push_goes_on_top_of_the_first_and_the_same_pushes_nothing(
    place: Place, project: Project
) -> None:
    job = trained(place, project, WRITE)
    first = push_results(place.sandbox, project, job=job.id)
    again = push_results(place.sandbox, project, job=job.id)
    assert (again.commit, again.pushed) == (first.commit, False)
    other = trained(place, project, "echo more >results/more.txt")
    second = push_results(place.sandbox, project, job=other.id)
    parent = place.git.git("rev-parse", f"{second.commit}~1", at=place.git.origin)
    assert (second.pushed, parent) == (True, first.commit)


def test_what_is_too_large_for_git_is_refused_by_name(
    place: Place, project: Project
) -> None:
    job = trained(place, project, f"{WRITE}; head -c 5000 /dev/zero >results/model.pt")
    with pytest.raises(RefusedError) as caught:
        push_results(place.sandbox, project, job=job.id, most_bytes=SMALL * 4)
    assert "too large for git:\n  results/model.pt, 4.9 KiB" in caught.value.message
    assert "results" not in place.git.git("branch", at=place.git.origin)
    choice = FileChoice(exclude=("*.pt",))
    push_results(
        place.sandbox, project, job=job.id, choice=choice, most_bytes=SMALL * 4
    )
    assert "results/model.pt" not in on_origin(place, "results/night")


def test_a_dry_run_pushes_nothing(place: Place, project: Project) -> None:
    job = trained(place, project, WRITE)
    report = push_results(place.sandbox, project, job=job.id, dry_run=True)
    assert "results/score.txt" in {file.path for file in report.files}
    assert "results" not in place.git.git("branch", at=place.git.origin)


def test_a_remote_that_takes_no_push_is_explained(
    place: Place, project: Project
) -> None:
    job = trained(place, project, WRITE)
    hook = place.git.origin / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'no results here' >&2; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RefusedError, match="no results here"):
        push_results(place.sandbox, project, job=job.id)
    with pytest.raises(NotFoundError):
        push_results(place.sandbox, project, job="remote-99999999")
    assert Path(place.clone / "results/score.txt").exists()
