"""A sweep in the machine's queue: two GPUs, no client connected, and what runs at its end."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cable import cable
from gitproject import GitProject
from gpus import Gpus, give_gpus
from machines import Place, set_up
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import groups, jobs, waiting
from sandbox_ops.models import Job
from sandbox_ops.models.groups import Group
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.stop import GroupStopReport, stop
from sandbox_ops.workflows.sweep import sweep
from sandbox_ops.workflows.sweep_report import SweepReport

MakeSshd = Callable[..., SshServer]


@dataclass(frozen=True)
class Farm:
    """A machine of its own with two GPUs and a project."""

    server: SshServer
    place: Place
    gpus: Gpus

    def start(self, name: str, **options: Any) -> SweepReport:  # noqa: ANN401
        options.setdefault("settings", {"n": tuple(map(str, range(1, 13)))})
        options.setdefault("command", f"{self.gpus.hold} 20000 0.{{n}}")
        settings = options.pop("settings")
        return sweep(
            self.place.sandbox, self.place.project, settings, name=name, **options
        )

    def ended(self, name: str) -> tuple[Job, ...]:
        wanted = waiting.WaitFor(timeout_s=90)
        report = waiting.wait(self.place.sandbox, [name], wanted)
        assert report.jobs, report
        return report.jobs

    def group(self, name: str) -> Group:
        group = groups.look(self.place.sandbox, name)
        assert group is not None
        return group


@pytest.fixture
def farm(make_sshd: MakeSshd, git_project: GitProject) -> Iterator[Farm]:
    server = make_sshd()
    gpus = give_gpus(server.home, 2)
    with Sandbox(server.config()) as sandbox:
        yield Farm(server, set_up(sandbox, git_project), gpus)


def test_twelve_cells_run_two_at_a_time_on_two_gpus(farm: Farm) -> None:
    report = farm.start("t1")
    assert report.ok
    assert len(report.jobs) == 12
    assert report.as_json()["jobs"][11]["state"] in {"queued", "running", "starting"}
    ended = farm.ended("t1")
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    assert len(farm.gpus.lines("began")) == 12
    assert farm.gpus.lines("shared") == []


@pytest.mark.parametrize("cells", [40, pytest.param(120, marks=pytest.mark.soak)])
@pytest.mark.slow
def test_a_client_that_is_killed_in_the_middle_changes_nothing(
    farm: Farm, tmp_path: Path, cells: int
) -> None:
    """The client is a process; it is killed once some of its cells were started."""
    settings = {"n": tuple(map(str, range(1, cells + 1)))}
    command = f"{farm.gpus.hold} 20000 0.0{{n}}"
    script = tmp_path / "client.py"
    values = tmp_path / "values"
    values.write_bytes(pickle.dumps((farm.place.sandbox.config, farm.place.project)))
    script.write_text(
        "import pathlib, pickle\n"
        "from sandbox_ops import Sandbox\n"
        "from sandbox_ops.workflows.sweep import sweep\n"
        f"config, project = pickle.loads(pathlib.Path({str(values)!r}).read_bytes())\n"
        "with Sandbox(config) as sandbox:\n"
        f"    sweep(sandbox, project, {settings!r}, name='cut', command={command!r})\n"
    )
    with subprocess.Popen([sys.executable, str(script)]) as client:
        wait_until(
            lambda: groups.look(farm.place.sandbox, "cut"), 30, what="the first cell"
        )
        client.send_signal(signal.SIGKILL)
    begun = len(farm.group("cut").members)
    report = farm.start("cut", settings=settings, command=command)
    assert report.ok
    assert len(report.jobs) + len(report.skipped) == cells
    assert len(report.skipped) >= begun
    ended = farm.ended("cut")
    assert len(ended) == cells
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    began = [Path(line.split()[0]).name for line in farm.gpus.lines("began")]
    assert sorted(began) == sorted(job.id for job in ended)
    assert farm.gpus.lines("shared") == []


@pytest.mark.parametrize("cells", [30, pytest.param(80, marks=pytest.mark.soak)])
@pytest.mark.slow
def test_a_link_that_is_cut_in_the_middle_of_a_start_makes_no_cell_twice(
    farm: Farm, tmp_path: Path, cells: int
) -> None:
    server = farm.server
    settings = {"n": tuple(map(str, range(1, cells + 1)))}
    command = f"{farm.gpus.hold} 20000 0.0{{n}}"
    with cable(server.host, server.port) as laid:
        known = tmp_path / "known_hosts"
        key = server.known_hosts.read_text().split(maxsplit=1)[1]
        known.write_text(f"[{server.host}]:{laid.port} {key}")
        config = replace(
            farm.place.sandbox.config, port=laid.port, known_hosts=str(known)
        )
        with Sandbox(config) as far, ThreadPoolExecutor(1) as thread:
            started = thread.submit(
                sweep, far, farm.place.project, settings, command=command, name="link"
            )
            wait_until(
                lambda: groups.look(farm.place.sandbox, "link"), 30, what="a cell"
            )
            laid.cut(reset=True)
            report = started.result(60)
        assert laid.links > 1
    assert report.ok
    assert len(report.jobs) == cells
    ended = farm.ended("link")
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    assert len(farm.gpus.lines("began")) == cells


@pytest.mark.parametrize("cells", [40, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.slow
def test_sessions_that_are_killed_again_and_again_make_no_cell_twice(
    farm: Farm, cells: int
) -> None:
    """The resident shells die with SIGKILL, wherever in a start they are."""
    settings = {"n": tuple(map(str, range(1, cells + 1)))}
    command = f"{farm.gpus.hold} 20000 0.0{{n}}"
    lines = farm.server.home / ".sandbox-ops/v1/home/groups/kill"
    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(farm.start, "kill", settings=settings, command=command)

        def has(count: int) -> bool:
            begun = lines.read_text().splitlines() if lines.exists() else []
            return started.done() or len(begun) >= count

        for count in (3, cells // 4, cells // 2, cells * 3 // 4):
            wait_until(partial(has, count), 60, what=f"{count} starts")
            for pid in farm.server.session_pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        report = started.result(90)
    assert report.ok, report.error
    assert len(report.jobs) == cells
    ended = farm.ended("kill")
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    assert len({job.id for job in ended}) == cells
    assert len(farm.gpus.lines("began")) == cells
    assert farm.gpus.lines("shared") == []


def test_then_runs_on_the_machine_once_when_all_have_ended_and_knows_how(
    farm: Farm,
) -> None:
    then = 'echo "$SANDBOX_GROUP $SANDBOX_GROUP_CELLS $SANDBOX_GROUP_SUCCEEDED '
    then += '$SANDBOX_GROUP_FAILED"; cat "$SANDBOX_GROUP_FILE"'
    report = farm.start(
        "agg",
        settings={"n": ("0", "1", "0.3")},
        command='echo "$SANDBOX_GROUP $SANDBOX_CELL"; sleep {n}; exit {n}',
        then=then,
        gpus=0,
    )
    assert report.then is not None
    assert report.as_json()["then"]["id"] == report.then.id
    farm.place.sandbox.close()
    with Sandbox(farm.server.config()) as again:
        done = jobs.wait(again, "agg/then", timeout_s=60)
        assert done.state is JobState.SUCCEEDED
        assert (done.group, done.cell) == ("agg", 0)
        first, *rows = Path(done.log_path).read_text().splitlines()
        assert first == "agg 3 1 2"
        ids = [job.id for job in report.jobs]
        shown = [row.split("\t")[:4] for row in rows]
        assert shown[0] == ["1", ids[0], "succeeded", "0"]
        assert shown[1] == ["2", ids[1], "failed", "1"]
        assert shown[2][2] == "failed"
        assert Path(rows[0].split("\t")[4], "run.json").exists()
        assert Path(report.jobs[1].log_path).read_text() == "agg 2\n"


def test_what_runs_at_the_end_waits_for_cells_that_were_added_later(
    farm: Farm, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = f"echo {{n}}; until [ -e {go} ]; do sleep 0.1; done"
    first = farm.start(
        "more", settings={"n": ("1", "2")}, gpus=0, command=command, then="echo all"
    )
    second = farm.start("more", settings={"n": ("3", "4")}, gpus=0, command=command)
    assert first.then is not None
    assert second.then is not None
    assert second.then.command == "echo all"
    go.touch()
    last = jobs.wait(farm.place.sandbox, "more/then", timeout_s=60)
    assert last.id == second.then.id
    assert last.state is JobState.SUCCEEDED
    assert farm.group("more").ended
    assert jobs.get(farm.place.sandbox, first.then.id).state is JobState.STOPPED


def test_a_group_that_waits_is_stopped_without_beginning(farm: Farm) -> None:
    farm.start("halt", command=f"{farm.gpus.hold} 20000 6{{n}}", then="echo never")
    wait_until(lambda: len(farm.gpus.lines("began")) == 2, 30, what="two that run")
    look = monitor(farm.place.sandbox, farm.place.project)
    row = look.groups[0]
    assert row.counts == {"queued": 10, "running": 2}
    assert row.then is not None
    listed = [view.job for view in look.jobs if view.job.group == "halt"]
    assert [job.state for job in listed] == [JobState.RUNNING] * 2
    report = stop(farm.place.sandbox, "halt")
    assert isinstance(report, GroupStopReport)
    assert report.ok, report.left
    assert len(report.stopped) == 13
    assert {job.state for job in farm.group("halt").jobs} == {JobState.STOPPED}
    assert len(farm.gpus.lines("began")) == 2


def test_the_options_of_the_queue_hold_for_every_cell(farm: Farm) -> None:
    report = farm.start(
        "share",
        command=f"{farm.gpus.hold} 9000 6{{n}}",
        settings={"n": ("1", "2", "3", "4", "5", "6")},
        queue=QueueOptions(share=3),
    )
    assert report.ok
    wait_until(lambda: len(farm.gpus.lines("began")) == 6, 30, what="three on a GPU")
    stop(farm.place.sandbox, "share")
