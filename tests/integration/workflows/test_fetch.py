"""fetch, against a real sshd: whole files, in their place, over nothing else."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from each_link import ThisComputer
from gitproject import GitProject
from machines import Place, set_up
from mounts import private_mounts

from sandbox_ops import Sandbox
from sandbox_ops.errors import (
    ConfigError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    UsageError,
)
from sandbox_ops.machine import jobs, transfer
from sandbox_ops.models import Project
from sandbox_ops.models.transfers import TransferProgress
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.fetch_places import destination
from sandbox_ops.workflows.train import train

MakeMachine = Callable[..., ThisComputer]
WEIGHTS = "weights\n" * 100_000


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    place = set_up(sandbox, git_project)
    place.write("models/policy 1.pt", WEIGHTS)
    place.write("models/deep/x.json", "{}")
    place.write("results/a.csv", "1,2\n")
    place.write("results/b.txt", "not declared\n")
    return place


@pytest.fixture
def project(place: Place) -> Project:
    return place.git.project(outputs=("models/", "results/*.csv"))


def test_declared_outputs_come_to_the_same_places(
    place: Place, project: Project
) -> None:
    reports: list[TransferProgress] = []
    report = fetch(place.sandbox, project, on_progress=reports.append)
    assert report.ok
    assert report.into == str(place.git.clone)
    paths = ["models/deep/x.json", "models/policy 1.pt", "results/a.csv"]
    assert [file.path for file in report.files] == paths
    for file in report.files:
        data = (place.git.clone / file.path).read_bytes()
        assert data == (place.clone / file.path).read_bytes()
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert file.size_bytes == len(data)
    last, total = reports[-1], sum(file.size_bytes for file in report.files)
    assert (last.path, last.total_done_bytes) == ("results/a.csv", total)
    assert {each.total_bytes for each in reports} == {total}
    complete = {(p.path, p.done_bytes) for p in reports if p.done_bytes == p.size_bytes}
    assert complete == {(file.path, file.size_bytes) for file in report.files}
    assert not list(place.git.clone.rglob("*.part"))


def test_what_is_here_already_is_kept(place: Place, project: Project) -> None:
    fetch(place.sandbox, project)
    before = (place.git.clone / "results/a.csv").stat().st_ino
    report = fetch(place.sandbox, project)
    assert all(file.kept for file in report.files)
    assert (place.git.clone / "results/a.csv").stat().st_ino == before


def test_files_here_that_differ_are_named_before_anything_comes(
    place: Place, project: Project
) -> None:
    place.git.write({"results/a.csv": "mine", "models/policy 1.pt": "x" * len(WEIGHTS)})
    with pytest.raises(RefusedError) as caught:
        fetch(place.sandbox, project)
    assert caught.value.message == (
        "files here differ from those that would come:\n"
        "  models/policy 1.pt\n  results/a.csv"
    )
    assert not (place.git.clone / "models/deep/x.json").exists()
    assert (place.git.clone / "results/a.csv").read_text() == "mine"
    report = fetch(place.sandbox, project, overwrite=True)
    assert not any(file.kept for file in report.files)
    assert (place.git.clone / "models/policy 1.pt").read_text() == WEIGHTS


def test_a_dry_run_lists_sizes_and_brings_nothing(
    place: Place, project: Project
) -> None:
    report = fetch(place.sandbox, project, dry_run=True)
    sizes = {file["path"]: file["size_bytes"] for file in report.as_json()["files"]}
    assert sizes["models/policy 1.pt"] == len(WEIGHTS)
    assert not (place.git.clone / "models").exists()


def test_they_can_go_somewhere_else(
    place: Place, project: Project, tmp_path: Path
) -> None:
    report = fetch(place.sandbox, project, into=str(tmp_path / "home"))
    assert report.into == str(tmp_path / "home")
    assert (tmp_path / "home/results/a.csv").read_text() == "1,2\n"
    assert not (place.git.clone / "results").exists()


def test_a_jobs_log_and_record_come_with_its_outputs(
    place: Place, project: Project
) -> None:
    command = "echo it ran; echo 3 >>results/a.csv"
    started = train(place.sandbox, project, command=command, name="night")
    jobs.wait(place.sandbox, started.job.id, timeout_s=20)
    report = fetch(place.sandbox, project, job=started.job.id)
    folder = place.git.clone / "logs" / started.job.id
    assert (folder / "log").read_text() == "it ran\n"
    assert '"commit"' in (folder / "run.json").read_text()
    assert (place.git.clone / "results/a.csv").exists()
    assert {f"logs/{started.job.id}/log", "results/a.csv"} <= {
        file.path for file in report.files
    }


def test_a_job_without_declared_outputs_still_has_a_log(place: Place) -> None:
    started = train(place.sandbox, place.project, command="echo it ran")
    jobs.wait(place.sandbox, started.job.id, timeout_s=20)
    report = fetch(place.sandbox, place.project, job=started.job.id)
    assert {Path(file.path).name for file in report.files} == {"log", "run.json"}


def test_nothing_declared_and_nothing_there_are_distinguished(place: Place) -> None:
    with pytest.raises(ConfigError, match="no outputs are declared"):
        fetch(place.sandbox, place.project)
    with pytest.raises(NotFoundError, match=r"no file there matches nothing\*"):
        fetch(place.sandbox, place.git.project(outputs=("nothing*",)))
    with pytest.raises(NotFoundError, match="no job remote-99999999"):
        fetch(place.sandbox, place.project, job="remote-99999999")


def test_outside_of_a_clone_a_folder_is_needed(
    place: Place, project: Project, tmp_path: Path
) -> None:
    nowhere = dataclasses.replace(project, root=None)
    with pytest.raises(UsageError, match="no local clone"):
        fetch(place.sandbox, nowhere)
    assert fetch(place.sandbox, nowhere, into=str(tmp_path / "x")).files


def _list(home: Path, place: Place, *names: str) -> None:
    """Make the machine name these files whatever it is asked for."""
    for name in names:
        place.write(name, "planted\n")
    listing = " ".join(f"\"$1\"/../'{name}'" for name in names)
    find = home / "planted" / "find"
    find.parent.mkdir()
    find.write_text(f"#!/bin/sh\nprintf '%s\\0' {listing}\n")
    find.chmod(0o755)
    with (home / ".profile").open("a") as profile:
        profile.write(f'PATH="{find.parent}:$PATH"\n')


@pytest.mark.parametrize(
    "name", ["conftest.py", ".envrc", ".claude/settings.json", "Makefile", "modelsx/a"]
)
def test_a_machine_cannot_plant_what_was_not_asked_for(
    name: str, make_machine: MakeMachine, git_project: GitProject
) -> None:
    server = make_machine()
    config = server.config()
    with Sandbox(config) as sandbox:
        place = set_up(sandbox, git_project)
    _list(server.home, place, "models/a.pt", name)
    project = git_project.project(outputs=("models/",))
    asked_for = pytest.raises(ProtocolError, match="was not asked for")
    with Sandbox(config) as sandbox, asked_for:
        fetch(sandbox, project)
    assert not (git_project.clone / name).exists()
    assert not (git_project.clone / "models").exists()


def test_hidden_and_tracked_files_stay_there_unless_they_are_named(
    place: Place,
) -> None:
    place.git.commit({"models/README": "tracked\n"})
    place.write("models/README", "from there\n")
    place.write("models/.envrc", "planted\n")
    report = fetch(place.sandbox, place.git.project(outputs=("models/",)))
    assert [f.path for f in report.files] == [
        "models/deep/x.json",
        "models/policy 1.pt",
    ]
    (warning,) = report.warnings
    assert warning == (
        "left there; to have one, declare it by its name in `outputs`:\n"
        "  models/.envrc: its name begins with a dot\n"
        "  models/README: git tracks it here"
    )
    assert not (place.git.clone / "models/.envrc").exists()
    named = place.git.project(outputs=("models/.envrc", "models/README"))
    fetch(place.sandbox, named, overwrite=True)
    assert (place.git.clone / "models/README").read_text() == "from there\n"


def test_what_does_not_fit_is_refused_before_the_first_byte(
    place: Place, project: Project, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    place.write("models/huge", "x" * (3 << 20))
    with private_mounts() as mounts:
        mounts.tmpfs(small, "size=1m")
        with pytest.raises(
            RefusedError, match=r"are to be fetched, and only .* are free in"
        ):
            mounts.do(lambda: fetch(place.sandbox, project, into=str(small)))
        assert mounts.do(lambda: list(small.iterdir())) == []


def test_a_disk_that_gets_full_meanwhile_is_reported(
    place: Place, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    remote = place.write("models/huge", "x" * (3 << 20))
    with private_mounts() as mounts:
        mounts.tmpfs(small, "size=1m")
        size = remote.stat().st_size
        with pytest.raises(RefusedError, match="No space left"):
            mounts.do(
                lambda: transfer.download(
                    place.sandbox, str(remote), small / "huge", size_bytes=size
                )
            )


def test_a_part_is_private_and_never_behind_a_link(
    place: Place, project: Project, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    local = place.git.clone / "results/a.csv"
    local.parent.mkdir()
    part = transfer.part_of(local)
    part.symlink_to(precious)
    fetch(place.sandbox, project)
    assert precious.read_text() == "mine"
    local.unlink()
    part.hardlink_to(precious)
    fetch(place.sandbox, project)
    assert precious.read_text() == "mine"
    assert local.read_text() == "1,2\n"
    assert local.stat().st_nlink == 1


def test_a_link_here_that_leads_out_is_not_followed(
    place: Place, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (place.git.clone / "models").symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedError, match="a link or a folder is in the way"):
        fetch(place.sandbox, project, overwrite=True)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", "", "a\0b", ".git/hooks/x", "a/.GIT/config"],
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ProtocolError):
        destination(tmp_path, path)


def test_a_link_or_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(RefusedError):
            destination(tmp_path, name)


def test_a_file_that_was_named_comes_from_anywhere_below_workspace_and_home(
    place: Place, project: Project
) -> None:
    place.write("runs/3/m.csv", "1\n")
    place.write("runs/4/m.csv", "2\n")
    (place.clone.parent / "else.bin").write_bytes(b"\0" * 5000)
    report = fetch(
        place.sandbox,
        project,
        paths=["runs/*/m.csv", f"{place.clone.parent}/else.bin", "models/deep"],
    )
    came = {file.path: file.sha256 for file in report.files}
    assert came.keys() == {
        "fetched/3/m.csv",
        "fetched/4/m.csv",
        "fetched/else.bin",
        "models/deep/x.json",
    }
    assert came["fetched/else.bin"] == hashlib.sha256(b"\0" * 5000).hexdigest()
    assert (place.git.clone / "fetched/4/m.csv").read_text() == "2\n"


def test_a_name_that_matches_nothing_is_answered_with_what_is_there(
    place: Place, project: Project
) -> None:
    place.write("runs/final.pt", "x")
    place.write("runs/old/x.pt", "x")
    with pytest.raises(NotFoundError) as caught:
        fetch(place.sandbox, project, paths=["runs/finl.pt"])
    there = f"{place.clone}/runs has:\n  final.pt\n  old/"
    assert caught.value.message.endswith(there)
    with pytest.raises(NotFoundError, match="results/"):
        fetch(place.sandbox, project, paths=["nowhere/at/all"])


def test_a_file_that_programs_read_unasked_does_not_come_by_its_name(
    place: Place, project: Project
) -> None:
    place.write("models/.envrc", "echo pwned")
    place.write("models/deep/.vscode/tasks.json", "{}")
    report = fetch(place.sandbox, project, paths=["models/deep"])
    assert [file.path for file in report.files] == ["models/deep/x.json"]
    assert "models/deep/.vscode/tasks.json: its name begins with a dot" in str(
        report.warnings
    )
    with pytest.raises(NotFoundError, match="begins with a dot"):
        fetch(place.sandbox, project, paths=["models/.envrc"])
