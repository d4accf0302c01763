"""train --queue, jobs and move as a process, against a real machine."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import cli
from each_link import ThisComputer
from gitproject import GitProject

MakeMachine = Callable[..., ThisComputer]
SLOT = ("--queue", "--gpus", "0", "--slots", "1")


@pytest.fixture
def clone(make_machine: MakeMachine, git_project: GitProject) -> Path:
    toml = make_machine().write_toml(git_project.clone).read_text("utf-8")
    git_project.commit({"sandbox.toml": toml}, push=True)
    assert cli("setup", cwd=git_project.clone).returncode == 0
    return git_project.clone


def answer(*arguments: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    done = cli(*arguments, "--json", cwd=cwd)
    assert done.returncode == code, done
    output = json.loads(done.stdout)
    assert isinstance(output, dict)
    return output


@pytest.mark.timeout(180)  # fifteen programs, one after the other
def test_jobs_wait_in_an_order_that_can_be_seen_and_changed(clone: Path) -> None:
    first = answer("train", *SLOT, "--command", "sleep 600", cwd=clone)
    assert first["job"]["id"] == "remote-1"
    for name in ("a", "b"):
        done = cli("train", *SLOT, "--name", name, "--", "true", cwd=clone)
        assert done.returncode == 0, done
        assert " queued (waits for a slot" in done.stdout
    listed = {job["id"]: job for job in answer("jobs", cwd=clone)["jobs"]}
    assert [listed[f"remote-{n}"]["state"] for n in (1, 2, 3)] == [
        "running", "queued", "queued",
    ]  # fmt: skip
    assert [listed[f"remote-{n}"]["place"] for n in (1, 2, 3)] == [0, 1, 2]
    why = "waits for a slot: 1 of 1 are taken, by remote-1"
    assert listed["remote-2"]["waits_for"] == why
    moved = answer("move", "b", "--to", "first", cwd=clone)
    assert moved["job"]["state"] == "queued"
    table = cli("jobs", cwd=clone, env={"COLUMNS": "200"}).stdout
    assert "queued 1" in table
    assert "queued 2" in table
    assert table.count("1 of 1 are taken") == 1, "a reason is said once"
    assert f"remote-3 and remote-2 {why.replace('waits', 'wait')}" in table
    after = ("train", "--after", "b:any", "--gpus", "0", "--command", "true")
    chained = answer(*after, cwd=clone)["job"]
    assert chained["waits_for"] == "waits for the end of remote-3"
    for job in ("remote-2", "remote-1"):
        cli("stop", job, "--grace", "1", cwd=clone)
    assert answer("wait", chained["id"], cwd=clone)["job"]["state"] == "succeeded"
    assert cli("move", "a", cwd=clone).returncode == 75


@pytest.mark.slow
def test_a_training_is_tried_again_from_its_checkpoint(clone: Path) -> None:
    command = "echo with '{resume:--resume %}'; touch x.pt; exit 75"
    asked = (
        "train", "--gpus", "0", "--retries", "1", "--retry-on", "exit=75",
        "--resume-from", "*.pt", "--command", command,
    )  # fmt: skip
    job = answer(*asked, cwd=clone)["job"]
    ended = answer("wait", job["id"], cwd=clone, code=75)["job"]
    assert (ended["state"], ended["attempt"]) == ("failed", 2)
    assert Path(job["log_path"]).read_text() == "with\nwith --resume x.pt\n"
    attempts = answer("show", job["id"], cwd=clone)["attempts"]
    said = [(a["attempt"], a["state"], a["exit_code"], a["log_from"]) for a in attempts]
    assert said == [(1, "failed", 75, 0), (2, "failed", 75, len("with\n"))]
    assert [a["log_to"] for a in attempts] == [5, 24]
    assert attempts[0]["ended_at"] <= attempts[1]["started_at"]
    assert attempts[1]["ended_at"] == ended["ended_at"]
    table = cli("show", job["id"], cwd=clone).stdout
    assert re.search(
        r"^1 +failed \(exit code 75\) +20\S+ \S+ +\S+ +bytes 0 to 5$",
        table,
        re.MULTILINE,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--retry-on", "exit"), "--retry-on says how to retry"),
        (("--retries", "many"), "--retries takes a whole number, not `many`"),
        (("--retries", "1", "--retry-on", "fire"), "there is no retry on 'fire'"),
        (("--min-free-mem", "much"), "takes an amount of memory, not `much`"),
        (("--share", "0"), "the number of jobs on a GPU cannot be 0"),
        (("--priority", "5000"), "the priority cannot be 5000"),
        (("--after", "remote-77"), "no job remote-77"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_queued(
    clone: Path, words: tuple[str, ...], message: str
) -> None:
    done = cli("train", *words, "--command", "true", cwd=clone)
    assert done.returncode != 0
    assert message in done.stderr
    assert answer("jobs", cwd=clone)["jobs"] == []
