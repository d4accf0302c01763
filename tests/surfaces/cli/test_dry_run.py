"""Invoke's --dry: a verb does nothing, or refuses; none does what it would do else."""

from pathlib import Path

import pytest
from command_line import INV, cli
from each_link import ThisComputer
from gitproject import GitProject
from machines import set_up

from sandbox_ops import JobState, Sandbox
from sandbox_ops.cli.face import Verb
from sandbox_ops.machine import jobs
from sandbox_ops.tasks import ns

LOOKS = {
    "allow-list",
    "audit",
    "completion",
    "diff",
    "doctor",
    "events",
    "jobs",
    "logs",
    "monitor",
    "runs",
    "show",
    "wait",
}
REHEARSED = {
    "fetch",
    "mcp-install",
    "on-idle",
    "plugin-install",
    "put",
    "reset",
    "train",
}
REFUSED = {
    "agent",
    "allow",
    "demo",
    "login",
    "logout",
    "move",
    "export",
    "note",
    "pin",
    "plot",
    "rerun",
    "run",
    "sandboxes",
    "setup",
    "shell",
    "stop",
    "sync",
    "tag",
    "trust",
    "tunnel",
    "untag",
}


@pytest.fixture
def place(machine: ThisComputer, tmp_path: Path) -> Path:
    machine.write_toml(tmp_path)
    (tmp_path / "tasks.py").write_text("from sandbox_ops.tasks import ns\n")
    return tmp_path


def test_every_verb_is_of_one_of_the_three_kinds() -> None:
    assert set(ns.tasks) == LOOKS | REHEARSED | REFUSED
    assert all(isinstance(task, Verb) for task in ns.tasks.values())


@pytest.mark.parametrize("verb", sorted(REFUSED))
def test_what_cannot_be_rehearsed_is_refused_by_name(place: Path, verb: str) -> None:
    done = cli("--dry", verb, cwd=place, program=INV)
    assert done.returncode == 2, done
    assert f"`{verb}` has no dry run, and --dry was given" in done.stderr
    assert done.stdout == ""


def test_stop_leaves_the_job_alone(place: Path, shared_sandbox: Sandbox) -> None:
    job = shared_sandbox.start("sleep 60")
    done = cli("--dry", "stop", "--job", job.id, cwd=place, program=INV)
    assert done.returncode == 2
    assert jobs.get(shared_sandbox, job.id).state is JobState.RUNNING
    jobs.stop(shared_sandbox, job.id, grace_s=1)


def test_reset_only_shows_what_it_would_do(
    machine: ThisComputer, git_project: GitProject, shared_sandbox: Sandbox
) -> None:
    there = set_up(shared_sandbox, git_project)
    edited = there.write("train.py", "# a quick hack\n")
    clone = git_project.clone
    config = shared_sandbox.config
    machine.write_toml(clone, workspace=config.workspace)
    (clone / "tasks.py").write_text("from sandbox_ops.tasks import ns\n")
    done = cli("--dry", "reset", cwd=clone, program=INV)
    assert done.returncode == 0, done
    assert "would be rescued to" in done.stdout
    assert "To have them back" not in done.stdout
    assert edited.read_text("utf-8") == "# a quick hack\n"


def test_mcp_install_only_shows_what_it_would_write(place: Path) -> None:
    text = ("mcp-install", "--host", "claude", "--yes")
    done = cli("--dry", *text, cwd=place, program=INV)
    assert done.returncode == 0, done
    assert '+    "sandbox-ops": {' in done.stdout
    assert not (place / ".mcp.json").exists()


def test_a_verb_that_only_looks_does_so(place: Path) -> None:
    done = cli("--dry", "jobs", "--json", cwd=place, program=INV)
    assert done.returncode == 0, done
    assert done.stdout.startswith('{"jobs": ')
