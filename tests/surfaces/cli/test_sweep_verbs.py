"""A sweep on the command line: what people read, what programs get, how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import INV, cli
from each_link import ThisComputer
from gitproject import make_git_project
from waiting import wait_until

TRAINING = """
import sys
lr, seed = float(sys.argv[1]), int(sys.argv[2])
for step in range(1, 4):
    print(f"step {step}/3 loss={lr + seed / step:.3f} accuracy={seed / 10}", flush=True)
sys.exit(3 if seed == 13 else 0)
"""
CONFIGURED = """
[project.train]
command = "python3 train.py {lr} {seed}"
best = "max:accuracy"
"""


@pytest.fixture(scope="module")
def clone(machine: ThisComputer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_git_project(tmp_path_factory.mktemp("sweeps"), "swept")
    toml = machine.write_toml(project.clone, CONFIGURED).read_text("utf-8")
    project.commit({"train.py": TRAINING, "sandbox.toml": toml}, push=True)
    assert cli("setup", cwd=project.clone).returncode == 0
    return project.clone


def answer(*arguments: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    done = cli(*arguments, "--json", cwd=cwd)
    assert done.returncode == code, done
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def swept(clone: Path, name: str, *words: str) -> dict[str, Any]:
    lists = ("--set", "lr=1e-3,1e-4", "--set", "seed=1..2")
    return answer("train", "--name", name, *lists, *words, cwd=clone)


def test_a_dry_run_shows_the_jobs_in_their_order_and_starts_none(clone: Path) -> None:
    value = swept(clone, "dry", "--dry-run", "--then", "echo all")
    assert value["dry_run"] is True
    assert [cell["command"] for cell in value["jobs"]] == [
        "python3 train.py 1e-3 1",
        "python3 train.py 1e-3 2",
        "python3 train.py 1e-4 1",
        "python3 train.py 1e-4 2",
    ]
    assert value["then"] == {"command": "echo all"}
    shown = cli(
        *("train", "--name", "dry", "--set", "lr=1", "--set", "seed=1..3"),
        *("--dry-run",), cwd=clone,
    )  # fmt: skip
    assert shown.returncode == 0, shown
    assert "would start" in shown.stdout
    assert "dry: 3 jobs would be started, in this order" in shown.stdout
    assert cli("jobs", "dry", cwd=clone).returncode == 66


def test_a_group_is_waited_for_listed_and_watched_as_one(clone: Path) -> None:
    value = swept(clone, "whole", "--then", 'echo "ok $SANDBOX_GROUP_SUCCEEDED"')
    assert set(value) >= {"group", "jobs", "skipped", "then"}
    assert (value["group"], value["skipped"]) == ("whole", [])
    assert value["jobs"][0]["name"] == "whole-lr1e-3-seed1"
    assert [job["cell"] for job in value["jobs"]] == [1, 2, 3, 4]
    waited = answer("wait", "whole", cwd=clone)
    assert len(waited["jobs"]) == 5
    assert waited["line"] == "5 ended: 5 succeeded"
    listed = answer("jobs", "whole", cwd=clone)
    assert (listed["cells"], listed["counts"]) == (4, {"succeeded": 4})
    assert listed["best"]["metric"] == "accuracy"
    assert listed["best"]["value"] == 0.2
    lowest = answer("jobs", "whole", "--metric", "loss", cwd=clone)["best"]
    assert lowest["name"] == "whole-lr1e-4-seed1"
    table = cli("jobs", "whole", cwd=clone).stdout
    assert "4 succeeded" in table
    assert "accuracy 0.2" in table
    monitored = answer("monitor", "whole", cwd=clone)
    assert monitored["groups"][0]["group"] == "whole"
    assert len(monitored["jobs"]) == 5
    assert cli("logs", "whole/then", cwd=clone).stdout.endswith("ok 4\n")
    assert "loss=1.000" not in cli("logs", "whole/2", cwd=clone).stdout


def test_a_fetch_of_a_group_brings_what_each_of_its_jobs_left(
    clone: Path, tmp_path: Path
) -> None:
    value = swept(clone, "home")
    answer("wait", "home", cwd=clone)
    home = answer("fetch", "home", "--into", str(tmp_path), cwd=clone)
    ids = [job["id"] for job in value["jobs"]]
    brought = {file["path"] for file in home["files"]}
    assert {f"logs/{job}/log" for job in ids} <= brought
    assert all(file["sha256"] for file in home["files"])
    one = answer("fetch", "home/2", "--into", str(tmp_path / "one"), cwd=clone)
    assert {file["path"].split("/")[1] for file in one["files"]} == {ids[1]}


def test_a_second_start_skips_and_failed_ones_run_again(clone: Path) -> None:
    lists = ("--set", "lr=1", "--set", "seed=1,13")
    answer("train", "--name", "again", *lists, cwd=clone)
    waited = cli("wait", "again", cwd=clone)
    assert waited.returncode == 3
    counts, failed = waited.stdout.splitlines()
    assert counts == "2 ended: 1 succeeded, 1 failed"
    assert '"again-seed13" failed' in failed
    value = answer("train", "--name", "again", *lists, cwd=clone)
    assert value["jobs"] == []
    assert [cell["reason"] for cell in value["skipped"]] == [
        "done",
        "failed (exit code 3)",
    ]
    assert [cell["job"]["state"] for cell in value["skipped"]] == [
        "succeeded",
        "failed",
    ]
    shown = cli("train", "--name", "again", *lists, cwd=clone).stdout
    assert "skipped: done (remote-" in shown
    assert "sandbox-ops train --name again --failed" in shown
    rerun = answer("train", "--name", "again", "--failed", cwd=clone)
    assert [job["cell"] for job in rerun["jobs"]] == [2]
    assert cli("wait", "again", cwd=clone).returncode == 3


def test_a_sweep_is_stopped_and_its_name_is_no_job(clone: Path) -> None:
    value = answer(
        *("train", "--name", "halt", "--set", "n=61..63", "--command", "sleep {n}"),
        cwd=clone,
    )
    assert len(value["jobs"]) == 3
    named = cli("logs", "halt", cwd=clone)
    assert named.returncode == 2
    assert "halt is a group of 3 jobs; name one of them: halt/1" in named.stderr
    stopped = answer("stop", "halt", cwd=clone)
    assert (len(stopped["jobs"]), stopped["left"]) == (3, [])
    states = {job["state"] for job in answer("jobs", "halt", cwd=clone)["jobs"]}
    assert states == {"stopped"}


def test_monitor_of_a_sweep_that_waits_says_why_and_does_not_call_it_no_jobs(
    clone: Path,
) -> None:
    first = answer("train", "--name", "first", "--command", "sleep 60", cwd=clone)
    words = ("train", "--name", "behind", "--set", "n=71..73", "--command", "sleep {n}")
    after = ("--after", first["job"]["id"])
    assert len(answer(*words, *after, cwd=clone)["jobs"]) == 3
    shown = cli("monitor", "behind", cwd=clone).stdout
    assert f"wait for {first['job']['id']}" in shown
    assert "no jobs" not in shown
    answer("stop", "behind", cwd=clone)
    answer("stop", "first", cwd=clone)


def test_what_makes_no_sweep_is_a_usage_error(clone: Path) -> None:
    for words in (
        ("--set", "lr=1,,2", "--set", "seed=1"),
        ("--set", "lr=1,1", "--set", "seed=1"),
        ("--set", "lr=1,2", "--set", "seed=1", "--watch"),
        ("--failed",),
        ("--set", "lr=1..1000", "--set", "seed=1..2"),
    ):
        assert cli("train", *words, cwd=clone).returncode == 2, words
    assert cli("train", "--name", "nobody", "--failed", cwd=clone).returncode == 66
    assert cli("wait", "x", "--any", "--all", cwd=clone).returncode == 2


def test_invoke_s_dry_run_is_the_sweep_s(clone: Path) -> None:
    (clone / "tasks.py").write_text("from sandbox_ops.tasks import ns\n")
    done = cli(
        "--dry", "train", "--name", "inv", "--set", "lr=1", "--set", "seed=1..2",
        cwd=clone, program=INV,
    )  # fmt: skip
    (clone / "tasks.py").unlink()
    assert done.returncode == 0, done
    assert "inv: 2 jobs would be started" in done.stdout


def test_a_group_is_offered_where_a_job_is_completed(clone: Path) -> None:
    swept(clone, "offered")
    answer("wait", "offered", cwd=clone)

    def names(verb: str) -> set[str]:  # none while the machine takes over a second
        done = cli("--complete", "--", verb, "", cwd=clone)
        return {line.split("\t")[0] for line in done.stdout.splitlines()}

    wait_until(lambda: "offered" in names("wait"), 30)
    wait_until(lambda: "offered" in names("jobs"), 30)
