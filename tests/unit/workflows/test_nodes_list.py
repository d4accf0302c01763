"""Which machines a run over several is on, as the clone remembers it."""

import subprocess
from pathlib import Path

import pytest

from sandbox_ops.errors import RefusedError
from sandbox_ops.models import Project
from sandbox_ops.workflows import nodes_list
from sandbox_ops.workflows.nodes_list import NodesEntry


@pytest.fixture
def project(tmp_path: Path) -> Project:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return Project(root=str(tmp_path), name="p")


def test_of_each_name_the_newest_run_counts_until_it_is_anothers(
    project: Project,
) -> None:
    assert nodes_list.named(project, "ddp") is None
    nodes_list.note(project, NodesEntry(name="ddp", run="1", machines=("a", "b")))
    nodes_list.note(project, NodesEntry(name="other", run="2", machines=("c", "d")))
    newest = NodesEntry(
        name="ddp", run="3", machines=("b", "c"), jobs={"b": "remote-1"}
    )
    nodes_list.note(project, newest)
    assert nodes_list.named(project, "ddp") == newest
    nodes_list.forget(project, "ddp")
    assert nodes_list.named(project, "ddp") is None
    assert nodes_list.named(project, "other")


def test_the_list_is_its_owners_alone_and_survives_a_torn_line(
    project: Project,
) -> None:
    nodes_list.note(project, NodesEntry(name="ddp", run="1", machines=("a", "b")))
    file = Path(project.root or "") / ".git/sandbox-ops/nodes.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open("a") as out:
        out.write('{"name": "ddp", "machi')
    nodes_list.note(project, NodesEntry(name="x", run="2", machines=("a", "b")))
    assert nodes_list.named(project, "ddp")
    assert nodes_list.named(project, "x")


def test_a_list_that_cannot_be_written_is_said_before_anything_starts(
    project: Project,
) -> None:
    folder = Path(project.root or "") / ".git/sandbox-ops"
    folder.mkdir()
    (folder / "nodes.jsonl").mkdir()
    with pytest.raises(RefusedError, match="cannot write the list of runs"):
        nodes_list.note(project, NodesEntry(name="d", run="1", machines=("a", "b")))


def test_without_a_clone_nothing_is_remembered() -> None:
    nodes_list.note(Project(), NodesEntry(name="d", run="1", machines=("a", "b")))
    assert nodes_list.named(Project(), "d") is None
