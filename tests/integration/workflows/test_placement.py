"""On which machine a training goes: real shells on this computer, each with a home."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import fake_gpus

from sandbox_ops import Project, Sandbox, SandboxConfig
from sandbox_ops.errors import RefusedError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine import jobs
from sandbox_ops.workflows.placement import PlacementReport, place
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync

IDLE = "0, H100, GPU-a, 0, 4, 81559, 30, 580.1"
BUSY = "0, H100, GPU-a, 97, 40000, 81559, 60, 580.1"


class Fleet:
    """Machines of a user, in their order."""

    def __init__(self, folder: Path, project: Project) -> None:
        self.folder, self.project = folder, project
        self.machines: list[Sandbox] = []
        self.memory = ReliabilityFile({"XDG_STATE_HOME": str(folder / "state")})

    def add(self, name: str, gpu: str = IDLE) -> Sandbox:
        home = self.folder / name
        home.mkdir()
        fake_gpus(home, gpu)
        return self._add(name, ("env", f"HOME={home}", "sh"), home)

    def add_dead(self, name: str) -> Sandbox:
        return self._add(
            name, ("sh", "-c", "echo no such box >&2; exit 255"), Path("/")
        )

    def _add(self, name: str, link: tuple[str, ...], workspace: Path) -> Sandbox:
        config = SandboxConfig(
            name=name, host=name, link=link, workspace=str(workspace)
        )
        self.machines.append(Sandbox(config))
        return self.machines[-1]

    def place(self, gpus: int | None = None) -> PlacementReport:
        return place(self.machines, self.project, gpus=gpus, memory=self.memory)


@pytest.fixture
def fleet(tmp_path: Path, git_project: GitProject) -> Iterator[Fleet]:
    made = Fleet(tmp_path, git_project.project(setup=("true",), verify=("true",)))
    yield made
    for machine in made.machines:
        machine.close()


def test_the_first_machine_in_the_users_order_that_is_ready_is_taken(
    fleet: Fleet,
) -> None:
    fleet.add("unprepared")
    for name in ("ready", "also-ready"):
        assert setup(fleet.add(name), fleet.project).ok
    report = fleet.place()
    assert (report.sandbox, report.did) == ("ready", ())


def test_a_machine_that_only_has_to_be_set_up_is_set_up(fleet: Fleet) -> None:
    machine = fleet.add("new")
    report = fleet.place()
    assert (report.sandbox, report.did) == ("new", ("setup",))
    assert (Path(machine.config.workspace) / fleet.project.name / ".git").exists()


def test_a_machine_with_other_code_is_synced(
    fleet: Fleet, git_project: GitProject
) -> None:
    machine = fleet.add("old")
    assert setup(machine, fleet.project).ok
    commit = git_project.commit({"more.txt": "x"}, push=True)
    report = fleet.place()
    assert report.sandbox == "old"
    assert report.did[0] == "sync"
    assert sync(machine, fleet.project).commit_after == commit


def test_why_the_others_were_not_taken_is_said(fleet: Fleet) -> None:
    fleet.add_dead("dead")
    fleet.add("busy", BUSY)
    fleet.add("free")
    report = fleet.place()
    assert report.sandbox == "free"
    reasons = {each.name: each.against for each in report.others}
    assert "no such box" in reasons["dead"]
    assert "1 GPUs are wanted, 0 are free" in reasons["busy"]


def test_where_no_machine_can_be_taken_each_reason_is_in_the_refusal(
    fleet: Fleet,
) -> None:
    fleet.add_dead("dead")
    fleet.add("busy", BUSY)
    with pytest.raises(RefusedError) as caught:
        fleet.place()
    message = str(caught.value)
    assert "dead: cannot reach" in message
    assert "busy: 1 GPUs are wanted" in message
    assert "train --on any --queue" in message


def test_code_that_jobs_run_is_not_changed_under_them(
    fleet: Fleet, git_project: GitProject
) -> None:
    machine = fleet.add("used")
    assert setup(machine, fleet.project).ok
    path = machine.project_path(fleet.project)
    job = machine.start("sleep 7737", cwd=path, project_path=path)
    git_project.commit({"more.txt": "x"}, push=True)
    with pytest.raises(RefusedError, match=rf"its code is another, and {job.id} runs"):
        fleet.place()
    jobs.stop(machine, job.id, grace_s=0)


def test_a_machine_that_often_fails_is_tried_last(fleet: Fleet) -> None:
    fleet.add("flaky")
    fleet.add("steady")
    assert fleet.place().sandbox == "flaky"
    assert fleet.place().sandbox == "flaky"
    for _ in range(4):
        fleet.memory.note("@flaky:", answered=False)
    assert fleet.place().sandbox == "steady"
    assert "answered 3 of 7 times" in str(fleet.memory.of("@flaky:"))


def test_lost_jobs_count_once_and_the_file_is_private(tmp_path: Path) -> None:
    memory = ReliabilityFile({"XDG_STATE_HOME": str(tmp_path)})
    for _ in range(3):
        memory.note("@box:", answered=True, lost=["remote-1", "remote-2"])
    assert memory.of("@box:").lost_jobs == 2
    file = tmp_path / "sandbox-ops" / "machines.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("{broken\n" + file.read_text() + '{"at": "x"}\n[]\n')
    assert memory.of("@box:").asked == 3


def test_memory_that_cannot_be_written_stops_nothing(fleet: Fleet) -> None:
    os.mkfifo(fleet.folder / "state")
    fleet.add("free")
    assert fleet.place().sandbox == "free"


def test_no_reason_is_given_against_a_machine_that_only_comes_later(
    fleet: Fleet,
) -> None:
    fleet.add("first")
    fleet.add("second")  # has to be set up, too
    report = fleet.place()
    assert report.did == ("setup",)
    assert report.others == ()
