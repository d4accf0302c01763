"""A sweep over several machines: real shells on this computer, each with a home."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fleet import Machine, make_machine, ran
from gitproject import GitProject
from waiting import wait_until

from sandbox_ops import Project, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.guard.reliability import ReliabilityFile
from sandbox_ops.machine import groups, waiting
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.spread import spread
from sandbox_ops.workflows.spread_report import SpreadReport
from sandbox_ops.workflows.sweep import sweep

COMMAND = 'echo {n} >>"$HOME/ran"; sleep 0.3'


class Fleet:
    """Three machines and a project of theirs."""

    def __init__(self, folder: Path, git: GitProject) -> None:
        self.folder, self.git = folder, git
        self.project: Project = git.project(setup=("true",), verify=("true",))
        self.machines = [make_machine(folder, name) for name in ("a", "b", "c")]
        self.sandboxes = [machine.open() for machine in self.machines]
        self.memory = ReliabilityFile({"XDG_STATE_HOME": str(folder / "state")})
        self.steps: list[str] = []

    def start(
        self, n_cells: int, *names: str, **options: Any  # noqa: ANN401
    ) -> SpreadReport:
        settings = {"n": tuple(map(str, range(1, n_cells + 1)))} if n_cells else {}
        options.setdefault("command", COMMAND if n_cells else "")
        chosen = [s for s in self.sandboxes if s.config.name in (names or "abc")]
        return spread(
            chosen,
            self.project,
            settings,
            name="t1",
            gpus=0,
            queue=QueueOptions(slots=2),
            memory=self.memory,
            on_step=self.steps.append,
            **options,
        )

    def machine(self, name: str) -> Machine:
        return next(each for each in self.machines if each.name == name)

    def sandbox(self, name: str) -> Sandbox:
        return next(each for each in self.sandboxes if each.config.name == name)

    def wait(self, *names: str) -> None:
        for sandbox in self.sandboxes:
            if sandbox.config.name in (names or "abc") and groups.look(sandbox, "t1"):
                waiting.wait(sandbox, ["t1"], waiting.WaitFor(timeout_s=60))

    @property
    def ran(self) -> dict[str, int]:
        return dict(ran(self.machines))

    @property
    def list_file(self) -> Path:
        return self.git.clone / ".git/sandbox-ops/sweeps/t1.jsonl"


@pytest.fixture
def fleet(tmp_path: Path, git_project: GitProject) -> Iterator[Fleet]:
    made = Fleet(tmp_path, git_project)
    yield made
    for sandbox in made.sandboxes:
        sandbox.close()


def once(n_cells: int) -> dict[str, int]:
    return {str(n): 1 for n in range(1, n_cells + 1)}


def test_each_cell_runs_once_on_one_of_the_machines_and_all_machines_get_some(
    fleet: Fleet,
) -> None:
    report = fleet.start(18)
    assert (report.error, report.unknown, report.not_started) == (None, (), ())
    assert len(report.jobs) == 18
    assert {name for name, _ in report.jobs} == {"a", "b", "c"}
    assert {share.did for share in report.shares} == {("setup",)}
    fleet.wait()
    assert fleet.ran == once(18)
    numbers = sorted(job.cell or 0 for _, job in report.jobs)
    assert numbers == list(range(1, 19))
    assert fleet.list_file.stat().st_mode & 0o777 == 0o600
