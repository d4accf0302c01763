"""train and monitor, against a real sshd."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from each_link import ThisComputer
from gitproject import GitProject
from machines import Place, fake_gpus, set_up
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.machine import jobs
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.train import TrainReport, train

TRAINING = """import sys, time
steps = int(sys.argv[1])
for step in range(1, steps + 1):
    print(f"step {step}/{steps} loss={1 / step:.3f}", flush=True)
open("done", "w").close()
"""
MakeMachine = Callable[..., ThisComputer]
IDLE = "0, H100, GPU-a, 0, 4, 81559, 30, 580.1"
BUSY = "1, H100, GPU-b, 97, 40000, 81559, 60, 580.1"


def project_of(git_project: GitProject) -> GitProject:
    git_project.commit({"train.py": TRAINING, ".gitignore": "done\n"}, push=True)
    return git_project


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    return set_up(sandbox, project_of(git_project))


@pytest.fixture
def gpu_place(make_machine: MakeMachine, git_project: GitProject) -> Iterator[Place]:
    """A machine of its own with one free and one busy GPU."""
    server = make_machine()
    fake_gpus(server.home, IDLE, BUSY, processes="GPU-b, 435, 39000, python\n")
    with Sandbox(server.config()) as sandbox:
        yield set_up(sandbox, project_of(git_project))


def ended(place: Place, report: TrainReport) -> JobState:
    return jobs.wait(place.sandbox, report.job.id, timeout_s=20).state


def start(place: Place, **options: Any) -> TrainReport:  # noqa: ANN401
    command = options.pop("command", "python3 train.py 3")
    return train(place.sandbox, place.project, command=command, **options)


def folder(report: TrainReport) -> Path:
    return Path(report.job.log_path).parent


def test_a_training_runs_in_the_clone_with_a_record_and_a_log(place: Place) -> None:
    report = start(place, name="night", command="python3 train.py {n} --seed 7", settings={"n": "3"})  # fmt: skip
    assert report.ok
    assert report.as_json()["job"]["id"] == report.job.id
    assert ended(place, report) is JobState.SUCCEEDED
    assert (place.clone / "done").exists()
    log = (place.clone / "logs/night.log").read_text()
    assert log.splitlines()[-1] == "step 3/3 loss=0.333"
    assert place.run("status", "--porcelain") == ""
    record = json.loads((folder(report) / "run.json").read_text())
    assert record["commit"] == place.git.head
    assert record["dirty"] is False
    assert (record["seed"], record["settings"]) == (7, {"n": "3"})
    assert record["command"] == "python3 train.py 3 --seed 7"
    assert record["cwd"] == str(place.clone)
    assert (record["branch"], record["repo"]) == ("main", place.git.url)
    assert record["environment_is_current"] is True


def test_the_configured_command_is_a_template(place: Place) -> None:
    project = dataclasses.replace(place.project, train_command="echo steps={steps}")
    report = train(place.sandbox, project, settings={"steps": "a b"})
    assert ended(place, report) is JobState.SUCCEEDED
    assert Path(report.job.log_path).read_text() == "steps=a b\n"
    with pytest.raises(UsageError, match="needs steps"):
        train(place.sandbox, project)
    with pytest.raises(UsageError, match="no training command"):
        train(place.sandbox, place.project)


def test_a_deadline_ends_it(place: Place) -> None:
    report = start(place, command="sleep 60", time_s=0.5)
    assert ended(place, report) is JobState.TIMED_OUT


def test_a_second_job_of_a_name_is_refused_while_the_first_lives(place: Place) -> None:
    first = start(place, command="sleep 60", name="night")
    with pytest.raises(RefusedError, match="night"):
        start(place, name="night")
    second = start(place, name="night", force=["same-name"])
    link = place.clone / "logs/night.log"
    assert link.readlink() == Path(second.job.log_path)
    jobs.stop(place.sandbox, first.job.id, grace_s=1)
    assert start(place, name="night").job.id not in {first.job.id, second.job.id}


def test_code_that_was_not_synced_is_stale(place: Place) -> None:
    old = place.head
    new = place.git.commit({"train.py": "print(2)\n"}, push=True)
    with pytest.raises(RefusedError) as caught:
        start(place)
    message = f"{place.clone} is at {old[:10]}, main here at {new[:10]}"
    assert caught.value.message == message
    assert "--force stale-code" in caught.value.hint
    assert "sandbox-ops sync" in caught.value.hint
    report = start(place, force=["stale-code"], gpus=0)
    assert report.warnings == (f"stale-code: {message}",)


def test_edits_there_are_recorded_when_they_are_forced(place: Place) -> None:
    place.write("train.py", "print('edited there')\n")
    with pytest.raises(RefusedError, match=r"there are edits in .*\n +M train\.py"):
        start(place)
    report = start(place, command="python3 train.py", force=["stale-code"])
    assert ended(place, report) is JobState.SUCCEEDED
    record = json.loads((folder(report) / "run.json").read_text())
    assert record["dirty"] is True
    place.git.git("apply", str(folder(report) / "dirty.patch"))
    assert (place.git.clone / "train.py").read_text() == "print('edited there')\n"


def test_every_objection_is_reported_at_once(place: Place) -> None:
    place.run("commit", "-q", "--allow-empty", "-m", "Made there")
    with pytest.raises(RefusedError) as caught:
        start(place, gpus=3)
    assert "3 GPUs are wanted" in caught.value.message
    assert "Made there" in caught.value.message
    forced = "--force busy-gpu --force stale-code --force unpushed"
    assert forced in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"name": "-x"},
        {"name": "a/b"},
        {"name": "a" * 65},
        {"force": ["everything"]},
        {"gpus": -1},
        {"settings": {"steps": "1"}},
    ],
)
def test_what_cannot_be_is_a_usage_error(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        start(place, **options)


def test_a_machine_without_gpus_is_warned_of(place: Place) -> None:
    report = start(place)
    assert report.warnings == (
        "the GPUs were not checked: nvidia-smi is not installed",
    )
    assert start(place, gpus=0).warnings == ()


def test_the_free_gpu_is_claimed_and_visible_to_the_job(gpu_place: Place) -> None:
    report = start(gpu_place, command="echo $CUDA_VISIBLE_DEVICES; sleep 60")
    assert report.job.gpus == (0,)
    log = Path(report.job.log_path)
    wait_until(lambda: log.read_text() == "0\n")
    record = json.loads((folder(report) / "run.json").read_text())
    assert record["gpus"] == [{"index": 0, "name": "H100", "uuid": "GPU-a"}]
    assert "CUDA_VISIBLE_DEVICES" in record["env_names"]
    with pytest.raises(RefusedError) as caught:
        start(gpu_place)
    assert f"claimed by {report.job.id}" in caught.value.message
    assert "97 % busy, 40000 MiB held by pid 435 python" in caught.value.message
    forced = start(gpu_place, force=["busy-gpu"])
    assert forced.job.gpus == (1,)


def test_without_a_clone_setup_is_named(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    with pytest.raises(NotFoundError) as caught:
        train(sandbox, git_project.project(), command="true")
    assert "sandbox-ops setup" in caught.value.hint


# -- monitor ----------------------------------------------------------------------


def test_a_look_shows_jobs_progress_gpus_disk_and_warnings(gpu_place: Place) -> None:
    report = start(gpu_place, command="echo step 5/10 loss=nan; sleep 60", name="night")
    log = Path(report.job.log_path)
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    seen = monitor(gpu_place.sandbox, gpu_place.project)
    reply = json.loads(json.dumps(seen.as_json(), allow_nan=False))
    assert (reply["sandbox"], reply["reachable"]) == ("test", True)
    job = reply["jobs"][0]
    assert (job["id"], job["state"], job["name"]) == (
        report.job.id,
        "running",
        "night",
    )
    assert (job["progress"]["step"], job["progress"]["total"]) == (5, 10)
    assert [gpu["utilization_percent"] for gpu in reply["gpus"]] == [0, 97]
    assert reply["disk"]["free_bytes"] > 0
    assert f"{report.job.id} night: loss is nan" in reply["warnings"]


def test_a_crash_is_reported_by_its_last_line(place: Place) -> None:
    report = start(place, command="python3 -c 'raise KeyError(1)'")
    assert ended(place, report) is JobState.FAILED
    seen = monitor(place.sandbox)
    assert f"{report.job.id}: traceback: KeyError: 1" in seen.warnings


def test_a_machine_that_cannot_be_reached_is_a_report(
    make_machine: MakeMachine,
) -> None:
    server = make_machine()
    config = server.config()
    server.stop()
    with Sandbox(config) as sandbox:
        seen = monitor(sandbox)
    assert not seen.ok
    reported = seen.as_json()
    assert (reported["reachable"], reported["jobs"]) == (False, [])
    assert "cannot be reached" in reported["warnings"][0]
