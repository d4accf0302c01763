"""Runs that own what they write, as a process: own trees, fetch of one run, setup's gaps."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import cli
from each_link import ThisComputer
from gitproject import make_git_project

CONFIGURED = """
[project]
outputs = ["models/"]
env = { GREETING = "hello there" }
path = ["bin"]
[project.train]
command = "greet >models/{job}.txt; echo $GREETING >{run_dir}/note; sleep {s}"
"""


@pytest.fixture(scope="module")
def clone(machine: ThisComputer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local clone, set up on the machine, that all tests of this file share."""
    project = make_git_project(tmp_path_factory.mktemp("verbs"), "bucket")
    toml = machine.write_toml(project.clone, CONFIGURED).read_text("utf-8")
    files = {
        "bin/greet": "#!/bin/sh\necho it is I\n",
        "models/README": "results\n",
        "sandbox.toml": toml,
    }
    project.write(files)
    (project.clone / "bin/greet").chmod(0o755)
    project.commit(files, push=True)
    return project.clone


def answer(*arguments: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    """The one JSON object of a call."""
    done = cli(*arguments, "--json", cwd=cwd)
    assert done.returncode == code, done
    output = json.loads(done.stdout)
    assert isinstance(output, dict)
    return output


def test_a_day_with_runs_in_trees_of_their_own(clone: Path) -> None:
    ready = answer("setup", cwd=clone)
    assert any(line.startswith("imports: ") for line in ready["not_checked"])
    shown = cli("setup", cwd=clone)
    assert "not checked: everything: nothing changed" in shown.stdout

    long = answer("train", "--own-tree", "--set", "s=60", cwd=clone)["job"]["id"]
    (clone / "new.txt").write_text("new code\n")
    for words in (["add", "new.txt"], ["commit", "-qm", "New"], ["push", "-q"]):
        make_git(clone, *words)
    assert answer("sync", cwd=clone)["commit_after"]

    short = answer("train", "--own-tree", "--set", "s=0", "--watch", cwd=clone)
    job = short["job"]["id"]
    report = answer("fetch", job, cwd=clone)
    names = {f["path"] for f in report["files"] if not f["path"].startswith("logs/")}
    assert names == {f"models/{job}.txt", f"runs/{job}/note"}
    assert all(f["sha256"] for f in report["files"])
    assert (clone / f"models/{job}.txt").read_text() == "it is I\n"
    assert (clone / f"runs/{job}/note").read_text() == "hello there\n"
    assert answer("stop", long, cwd=clone)["job"]["state"] == "stopped"


def make_git(clone: Path, *words: str) -> None:
    """Run git in the clone."""
    subprocess.run(["git", *words], cwd=clone, check=True)


def test_two_runs_of_one_file_are_refused_by_name(clone: Path) -> None:
    command = ("--command", "sleep 60; echo >models/a.txt --out models/a.txt")
    first = answer("train", *command, cwd=clone)["job"]["id"]
    refused = cli("train", *command, cwd=clone)
    assert refused.returncode == 75
    assert f"models/a.txt is written by {first}" in refused.stderr
    assert "--force same-output" in refused.stderr
    assert answer("stop", first, cwd=clone)["job"]["state"] == "stopped"
