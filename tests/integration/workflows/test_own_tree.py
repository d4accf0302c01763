"""Runs in trees of their own, against a real sshd: a sync never reaches them."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest
import records
from gitproject import GitProject
from machines import Place, set_up
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import RefusedError, UsageError
from sandbox_ops.machine import jobs, run_outputs
from sandbox_ops.models import Project
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.sync import sync
from sandbox_ops.workflows.train import TrainReport, train

WAIT = "until [ -e $SANDBOX_RUN_DIR/go ]; do sleep 0.05; done"


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    files = {
        "train.py": "print('first')\n",
        "lib.py": "WORD = 'first'\n",
        "requirements.txt": "# nothing\n",
        ".gitignore": "data/\nmodels/\n",
    }
    git_project.commit(files, push=True)
    place = set_up(sandbox, git_project)
    place.write("data/set.txt", "the data\n")
    return place


@pytest.fixture
def project(place: Place) -> Project:
    return place.git.project(outputs=("models/",), links=("data/", ".venv"))


def start(
    place: Place, project: Project, command: str, **options: object
) -> TrainReport:
    options.setdefault("own_tree", True)
    return train(place.sandbox, project, command=command, **options)  # type: ignore[arg-type]


def log(place: Place, report: TrainReport) -> str:
    ended = jobs.wait(place.sandbox, report.job.id, timeout_s=30)
    text = Path(report.job.log_path).read_text()
    assert ended.state is JobState.SUCCEEDED, text
    return text


def prune(base: Path) -> bool:
    """Run the pruner when every job is long ended and none among the newest."""
    for name in ("last", "last-cmd"):
        (base / name).write_text("1000\n")
    (base / "keep").write_text("days=0\ncount=0\nmib=0\n")
    library = max((base.parents[1] / "lib").iterdir(), key=os.path.getmtime)
    return subprocess.run(["sh", library, "prune", base], check=True).returncode == 0


def test_a_sync_brings_new_code_and_a_run_in_its_own_tree_never_sees_it(
    place: Place, project: Project
) -> None:
    started = start(place, project, f"{WAIT}; python train.py; cat data/set.txt; pwd")
    old = place.head
    new = place.git.commit({"train.py": "print('second')\n"}, push=True)
    assert sync(place.sandbox, project).commit_after == new
    assert place.head == new
    run_dir = place.clone / "runs" / started.job.id
    (run_dir / "go").touch()
    assert log(place, started).startswith("first\nthe data\n/")
    record = json.loads((Path(started.job.log_path).parent / "run.json").read_text())
    assert record["commit"] == old
    assert record["cwd"] == started.job.project_path != str(place.clone)
    assert place.run("status", "--porcelain") == ""


def test_it_uses_the_clones_environment_and_its_own_code(
    place: Place, project: Project
) -> None:
    site = next((place.clone / ".venv/lib").glob("python*/site-packages"))
    (site / "editable.pth").write_text(f"{place.clone}\n")
    command = (
        "mkdir sub; cd sub; python -c 'import lib; print(lib.__file__, flush=True)'"
    )
    started = start(place, project, f"{command}; echo $VIRTUAL_ENV")
    tree = started.job.project_path
    assert log(place, started) == f"{tree}/lib.py\n{place.clone}/.venv\n"


def test_what_it_wrote_comes_home_to_the_usual_places(
    place: Place, project: Project
) -> None:
    project = dataclasses.replace(project, train_tree="own")
    started = start(
        place,
        project,
        "mkdir models; echo 1 >models/a.pt; echo 2 >{run_dir}/b",
        own_tree=False,
    )
    log(place, started)
    report = fetch(place.sandbox, project, job=started.job.id)
    names = {file.path for file in report.files if not file.path.startswith("logs/")}
    assert names == {"models/a.pt", f"runs/{started.job.id}/b"}
    assert not (place.clone / "models").exists()


def test_two_of_them_may_write_the_same_path(place: Place, project: Project) -> None:
    command = "sleep 60 # --out models/a.pt"
    started = [start(place, project, command) for _ in range(2)]
    for each in started:
        jobs.stop(place.sandbox, each.job.id, grace_s=1)


def test_edits_that_are_forced_are_in_its_tree_and_its_record(
    place: Place, project: Project
) -> None:
    place.write("train.py", "print('edited there')\n")
    started = start(place, project, "python train.py", force=["stale-code"])
    assert log(place, started) == "edited there\n"
    assert (Path(started.job.log_path).parent / "dirty.patch").exists()


def test_a_start_that_is_refused_leaves_no_tree(place: Place, project: Project) -> None:
    trees = Path(place.sandbox.config.workspace) / ".sandbox-ops/trees"
    first = start(place, project, "sleep 60", name="night")
    before = set(trees.iterdir())
    with pytest.raises(RefusedError, match="night"):
        start(place, project, "sleep 60", name="night")
    with pytest.raises(UsageError):
        start(place, project, "sleep 60", name="a/b")
    assert set(trees.iterdir()) == before
    assert place.run("worktree", "list").count("\n") == 1
    jobs.stop(place.sandbox, first.job.id, grace_s=1)


def test_a_reset_leaves_it_running_and_says_so(place: Place, project: Project) -> None:
    started = start(place, project, f"{WAIT}; python train.py")
    place.write("train.py", "print('edited in the clone')\n")
    report = reset(place.sandbox, project)
    assert report.stopped == ()
    assert f"in trees of their own, left running: {started.job.id}" in report.warnings
    (place.clone / "runs" / started.job.id / "go").touch()
    assert log(place, started) == "first\n"


def test_a_submodule_is_in_its_tree(
    place: Place, project: Project, make_git_project_here: object
) -> None:
    part = make_git_project_here("part", files={"a.txt": "of the part\n"})  # type: ignore[operator]
    allow = ("-c", "protocol.file.allow=always")
    place.git.git(*allow, "submodule", "-q", "add", part.url, "part")
    place.git.git("commit", "-qm", "Add a part")
    place.git.push()
    for at in (place.clone,):
        place.git.git("config", "protocol.file.allow", "always", at=at)
    config = Path(place.sandbox.home) / ".gitconfig"
    before = config.read_text() if config.exists() else None
    config.write_text('[protocol "file"]\n\tallow = always\n')
    try:
        sync(place.sandbox, project)
        started = start(place, project, "cat part/a.txt")
        assert log(place, started) == "of the part\n"
    finally:
        config.unlink() if before is None else config.write_text(before)


# -- the end of a tree ------------------------------------------------------------


def test_the_tree_goes_with_the_record_results_and_edits_do_not(
    make_machine: object, git_project: GitProject
) -> None:
    server = make_machine()  # type: ignore[operator]
    git_project.commit({".gitignore": "data/\nmodels/\n", "a.py": "1\n"}, push=True)
    project = git_project.project(outputs=("models/", "data/out/"), links=("data",))
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        place.write("data/out/shared", "of all")
        started = start(
            place,
            project,
            "mkdir -p models/deep; echo 1 >'models/deep/a b.pt'; echo x >>a.py; "
            "echo 2 >new.py; echo 3 >data/out/mine",
        )
        log(place, started)
        run_outputs.read(sandbox, started.job.id)
    tree = Path(started.job.project_path)
    base = records.folder_of(server.home)
    prune(base)
    assert not tree.exists()
    assert not Path(started.job.log_path).parent.exists()
    run_dir = place.clone / "runs" / started.job.id
    assert (run_dir / "models/deep/a b.pt").read_text() == "1\n"
    assert (place.clone / "data/out/mine").read_text() == "3\n"
    backup = place.run("for-each-ref", "--format=%(refname)", "refs/sandbox-ops/backup")
    assert place.run("show", f"{backup}:new.py") == "2"
    assert place.run("show", f"{backup}:a.py") == "1\nx"
    assert place.run("worktree", "list").count("\n") == 0
    assert list((base / "trees").iterdir()) == []


def test_a_tree_that_cannot_be_rescued_stays_with_its_record(
    make_machine: object, git_project: GitProject
) -> None:
    server = make_machine()  # type: ignore[operator]
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        started = start(place, git_project.project(), "echo 2 >new.py")
        log(place, started)
    tree = Path(started.job.project_path)
    lock = Path(place.run("rev-parse", "--absolute-git-dir")) / "worktrees" / tree.name
    (lock / "index.lock").touch()
    base = records.folder_of(server.home)
    prune(base)
    assert (tree / "new.py").exists()
    assert Path(started.job.log_path).exists()
    (lock / "index.lock").unlink()
    wait_until(lambda: prune(base) and not tree.exists())


def test_the_jobs_of_a_sweep_have_a_tree_each(place: Place, project: Project) -> None:
    report = sweep(
        place.sandbox,
        project,
        {"lr": ["1", "2"]},
        command="python train.py {lr}; mkdir models; echo {lr} >models/a.pt",
        name="t1",
        own_tree=True,
    )
    assert report.ok
    trees = {job.project_path for job in report.jobs}
    assert len(trees) == 2
    for job in report.jobs:
        assert jobs.wait(place.sandbox, job.id, timeout_s=30).state is (
            JobState.SUCCEEDED
        )
    assert {(Path(tree) / "models/a.pt").read_text() for tree in trees} == {
        "1\n",
        "2\n",
    }
    again = sweep(
        place.sandbox,
        project,
        {"lr": ["1", "2"]},
        command="python train.py {lr}; mkdir models; echo {lr} >models/a.pt",
        name="t1",
        own_tree=True,
    )
    assert [cell.skipped for cell in again.skipped] == ["done", "done"]
