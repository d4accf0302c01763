"""on-idle, against a real sshd: a command here, never before the results are home."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from each_link import ThisComputer
from gitproject import GitProject
from machines import Place, set_up
from waiting import wait_until

from sandbox_ops import CancelToken, Sandbox
from sandbox_ops.errors import CancelledError, ConfigError, RefusedError
from sandbox_ops.guard import audit, user_folders
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job, Project
from sandbox_ops.workflows import on_idle as workflow
from sandbox_ops.workflows.train import train

INTERVAL_S = 0.2
on_idle = functools.partial(workflow.on_idle, ignore_others=True)
"""This machine is not a rented one: others work here."""


def log_lines() -> list[str]:
    path = user_folders.state_folder(os.environ) / audit.FILE
    return path.read_text("utf-8").splitlines()


@pytest.fixture
def place(
    make_machine: Callable[..., ThisComputer], git_project: GitProject
) -> Iterator[Place]:
    """A project on a machine that nobody else uses."""
    git_project.commit({".gitignore": "models/\nend-*\n"}, push=True)
    with Sandbox(make_machine().config()) as sandbox:
        yield set_up(sandbox, git_project)


@pytest.fixture
def project(place: Place) -> Project:
    return place.git.project(outputs=("models/",))


def started(place: Place, project: Project, name: str) -> Job:
    """A training that writes a file and lasts until it is told to end."""
    command = f"mkdir -p models; until [ -e end-{name} ]; do sleep 0.1; done; echo w >models/{name}.pt"
    return train(place.sandbox, project, command=command, name=name).job


def end(place: Place, name: str) -> None:
    place.write(f"end-{name}", "")


def trained(place: Place, project: Project, name: str) -> Job:
    job = started(place, project, name)
    end(place, name)
    return jobs.wait(place.sandbox, job.id, timeout_s=30)


def test_the_command_runs_here_once_all_has_ended_and_is_home(
    place: Place, project: Project, tmp_path: Path
) -> None:
    first = trained(place, project, "a")
    second = started(place, project, "b")
    out = tmp_path / "out"
    waits: list[list[str]] = []
    home = place.git.clone / "models/b.pt"
    command = f'echo "$SANDBOX_OPS_SANDBOX_NAME $(cat {home})" >{out}; echo stopped'
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(
            on_idle,
            place.sandbox,
            project,
            command=command,
            interval_s=INTERVAL_S,
            on_wait=lambda busy: waits.append([job.id for job in busy]),
        )
        wait_until(lambda: waits, 20)
        assert not out.exists()
        end(place, "b")
        report = doing.result(60)
    assert waits == [[second.id]]
    assert out.read_text() == "test w\n", "it ran before the results were home"
    assert (place.git.clone / "models/a.pt").read_text() == "w\n"
    assert (report.exit_code, report.output) == (0, ("stopped",))
    paths = {file.path for each in report.fetched for file in each.files}
    assert {"models/a.pt", "models/b.pt", f"logs/{first.id}/log"} <= paths
    assert all(file.sha256 for each in report.fetched for file in each.files)


def test_it_does_nothing_while_results_cannot_come_home(
    place: Place, project: Project, tmp_path: Path
) -> None:
    trained(place, project, "a")
    place.git.write({"models/a.pt": "mine"})
    ran = tmp_path / "ran"
    with pytest.raises(RefusedError, match=r"models/a\.pt"):
        on_idle(place.sandbox, project, command=f"touch {ran}")
    (place.git.clone / "models/a.pt").unlink()
    place.write("models/a.pt", "written by hand, and no run's any more")
    with pytest.raises(RefusedError, match="not all of remote-1 would be home"):
        on_idle(place.sandbox, project, command=f"touch {ran}")
    assert not ran.exists()
    on_idle(place.sandbox, project, command=f"touch {ran}", leave=("a",))
    assert ran.exists()


def test_runs_of_other_projects_are_not_left_behind(
    place: Place, project: Project, tmp_path: Path
) -> None:
    other = str(tmp_path / "other")
    Path(other).mkdir()
    job = place.sandbox.start("true", cwd=other, project_path=other)
    jobs.wait(place.sandbox, job.id, timeout_s=20)
    ran = tmp_path / "ran"
    with pytest.raises(RefusedError) as caught:
        on_idle(place.sandbox, project, command=f"touch {ran}")
    assert f"{job.id} in {other}" in caught.value.message
    assert not ran.exists()


def test_a_dry_run_says_all_of_it_and_does_nothing(
    place: Place, project: Project, tmp_path: Path
) -> None:
    trained(place, project, "a")
    running = started(place, project, "b")
    ran = tmp_path / "ran"
    report = on_idle(place.sandbox, project, command=f"touch {ran}", dry_run=True)
    value = report.as_json()
    assert value["running"] == [running.id]
    assert "models/a.pt" in {file["path"] for file in value["files"]}
    assert (value["command"], value["exit_code"]) == (f"touch {ran}", None)
    assert not ran.exists()
    assert not (place.git.clone / "models").exists()
    end(place, "b")


def test_the_machines_own_command_is_taken_and_its_failure_is_the_exit_code(
    place: Place, project: Project
) -> None:
    with pytest.raises(ConfigError, match="there is nothing to do when"):
        on_idle(place.sandbox, project)
    config = place.sandbox.config
    object.__setattr__(config, "on_idle", "echo cannot stop it >&2; exit 7")
    report = on_idle(place.sandbox, project)
    assert (report.ok, report.exit_code) == (False, 7)
    assert report.output == ("cannot stop it",)


def test_what_was_run_is_in_the_audit_log(place: Place, project: Project) -> None:
    on_idle(place.sandbox, project, command="true # give it back")
    lines = log_lines()
    noted = [json.loads(line) for line in lines]
    assert any("give it back" in json.dumps(each) for each in noted)


def test_a_cancel_ends_it_and_nothing_is_run(
    place: Place, project: Project, tmp_path: Path
) -> None:
    started(place, project, "a")
    token, ran = CancelToken(), tmp_path / "ran"
    waits: list[object] = []
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(
            on_idle,
            place.sandbox,
            project,
            command=f"touch {ran}",
            on_wait=waits.append,
            cancel=token,
        )
        wait_until(lambda: waits, 20)
        token.cancel()
        with pytest.raises(CancelledError):
            doing.result(20)
    assert not ran.exists()
    end(place, "a")


def test_somebody_else_at_work_there_is_not_cut_off(
    place: Place, project: Project, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "train.py").write_text("import time; time.sleep(60)")
    words = [sys.executable, "train.py"]
    with subprocess.Popen(words, cwd=tmp_path) as stranger:
        try:
            with pytest.raises(RefusedError) as caught:
                workflow.on_idle(place.sandbox, project, command=f"touch {ran}")
        finally:
            stranger.kill()
    assert f"pid {stranger.pid} of " in caught.value.message
    assert not ran.exists()
