"""How busy runs are, what they cost, and whether what they write fits; against a real sshd."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from each_link import ThisComputer
from gitproject import GitProject
from machines import Place, fake_gpus, set_up
from waiting import wait_until

from sandbox_ops import Job, JobState, Sandbox
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import changes, jobs, run_outputs
from sandbox_ops.models import Disk, JobUse
from sandbox_ops.workflows import idle, preflight
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.run_sync import known_runs
from sandbox_ops.workflows.train import train

MakeMachine = Callable[..., ThisComputer]
SPIN = "while :; do :; done"
GIB = 1 << 30


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    return set_up(sandbox, git_project)


@pytest.fixture
def gpu_place(make_machine: MakeMachine, git_project: GitProject) -> Iterator[Place]:
    server = make_machine()
    fake_gpus(server.home, "0, H100, GPU-a, 3, 4, 81559, 30, 580.1")
    (server.home / "fake-gpus/nvidia-smi").write_text(
        "#!/bin/sh\n"
        'case "$*" in *compute-apps*) ;;\n'
        "*index,utilization.gpu*) echo 0, $(cat ~/fake-gpus/use) ;;\n"
        "*) cat ~/fake-gpus/devices ;; esac\n"
    )
    (server.home / "fake-gpus/use").write_text("3")
    with Sandbox(server.config()) as sandbox:
        yield set_up(sandbox, git_project)


def folder(job: Job) -> Path:
    return Path(job.log_path).parent


def use(place: Place, job: Job) -> JobUse | None:
    return jobs.status(place.sandbox, path="/").use.get(job.id)


def age(job: Job, seconds: int) -> None:
    """Let the looks before have been so long ago, and its processes idle since."""
    file = folder(job) / "usage"
    state = (folder(job) / "state").read_text().split()
    up0 = next(int(w.removeprefix("up0=")) for w in state if w.startswith("up0="))
    begun = up0 - seconds * 100
    file.write_text(f"{begun} 0 {begun} 0\n")


def test_what_a_job_uses_of_the_cpus_is_in_one_look(place: Place) -> None:
    busy = place.sandbox.start(f"({SPIN}) & setsid -w sh -c '{SPIN}'")
    quiet = place.sandbox.start("sleep 60")
    wait_until(lambda: (use(place, busy) or JobUse()).cpu_percent, 20)
    wait_until(lambda: ((use(place, busy) or JobUse()).cpu_percent or 0) > 20, 30)
    seen = use(place, quiet)
    assert seen is not None
    assert seen.cpu_percent is not None
    assert seen.cpu_percent < idle.IDLE_PERCENT
    for job in (busy, quiet):
        jobs.stop(place.sandbox, job.id, grace_s=1)
    assert use(place, busy) is None


def test_a_job_that_was_idle_for_minutes_is_warned_of_with_the_figure(
    place: Place,
) -> None:
    job = place.sandbox.start("sleep 60", name="night")
    wait_until(lambda: use(place, job))
    assert not [w for w in monitor(place.sandbox).warnings if "idle" in w]
    age(job, 600)
    warning = f"{job.id} night: its processes are idle: 0 % of one core for 10 min"
    report = monitor(place.sandbox)
    assert [w for w in report.warnings if w.startswith(warning)]
    entry = next(j for j in report.as_json()["jobs"] if j["id"] == job.id)
    assert entry["cpu_percent"] == 0
    jobs.stop(place.sandbox, job.id, grace_s=1)


def test_events_look_at_it_once_a_minute(place: Place) -> None:
    job = place.sandbox.start("sleep 60")
    number = int(job.id.rpartition("-")[2])
    wait_until(lambda: use(place, job))
    base = folder(job).parents[1]
    assert changes.look(place.sandbox, number, {number: None}).jobs[number].use is None
    (base / "usage_at").write_text("1\n")
    assert changes.look(place.sandbox, number, {number: None}).jobs[number].use
    jobs.stop(place.sandbox, job.id, grace_s=1)


def test_a_gpu_that_is_idle_is_timed_from_look_to_look(gpu_place: Place) -> None:
    job = gpu_place.sandbox.start("sleep 60", gpus=[0])
    wait_until(lambda: use(gpu_place, job))
    first = use(gpu_place, job)
    assert first is not None
    assert first.gpu_percent == 3
    file = folder(job) / "gpu_idle"
    since, last = map(int, file.read_text().split())
    file.write_text(f"{since - 30000} {last}\n")
    assert f"{job.id}: its GPU is idle: 3 % for 5 min" in "\n".join(
        monitor(gpu_place.sandbox).warnings
    )
    (Path(gpu_place.sandbox.home) / "fake-gpus/use").write_text("80")
    seen = use(gpu_place, job)
    assert seen is not None
    assert (seen.gpu_percent, seen.gpu_idle_s) == (80, 0)
    assert not file.exists()
    jobs.stop(gpu_place.sandbox, job.id, grace_s=1)


def test_a_broken_driver_refuses_a_training_that_wants_a_gpu(
    gpu_place: Place,
) -> None:
    home = Path(gpu_place.sandbox.home)
    (home / "fake-gpus/nvidia-smi").write_text(
        "#!/bin/sh\necho 'Driver/library version mismatch' >&2\nexit 18\n"
    )
    with pytest.raises(RefusedError, match=r"driver does not answer: .*mismatch"):
        train(gpu_place.sandbox, gpu_place.project, command="true")
    assert train(gpu_place.sandbox, gpu_place.project, command="true", gpus=0).ok


def test_time_costs_money_where_an_hour_has_a_price(place: Place) -> None:
    job = place.sandbox.start("sleep 60")
    config = dataclasses.replace(place.sandbox.config, cost_per_hour=7200.0)
    with Sandbox(config) as sandbox:
        wait_until(lambda: (monitor(sandbox).jobs[0].cost or 0) > 1)
        entry = json.loads(json.dumps(monitor(sandbox).as_json()["jobs"][0]))
    assert entry["cost"] >= 1
    assert monitor(place.sandbox).as_json()["jobs"][0]["cost"] is None
    jobs.stop(place.sandbox, job.id, grace_s=1)


def test_what_a_run_cost_is_known_when_the_machine_has_been_returned(
    place: Place,
) -> None:
    config = dataclasses.replace(place.sandbox.config, cost_per_hour=36000.0)
    with Sandbox(config) as sandbox:
        started = train(sandbox, place.project, command="sleep 0.3")
        jobs.wait(sandbox, started.job.id, timeout_s=20)
        assert known_runs([sandbox], place.project).runs
    run = known_runs([], place.project).runs[0]
    assert run.cost is not None
    assert run.cost >= 3
    assert run.as_json()["cost"] == run.cost


# -- what a run will write ----------------------------------------------------------


def test_a_run_that_will_not_fit_is_refused_with_the_sizes(place: Place) -> None:
    project = dataclasses.replace(place.project, train_output_size_gb=1e8)
    with pytest.raises(RefusedError) as caught:
        train(place.sandbox, project, command="true")
    assert "is expected to write" in caught.value.message
    assert "as configured" in caught.value.message
    assert "--force disk-low" in caught.value.hint
    report = train(place.sandbox, project, command="true", force=["disk-low"])
    assert report.warnings[0].startswith("disk-low: the run is expected to write")


def test_what_earlier_runs_wrote_is_known_before_the_next(place: Place) -> None:
    sizes = (1000, 5000, 3000)
    for size in sizes:
        report = train(
            place.sandbox, place.project, command=f"truncate -s {size} {{run_dir}}/a"
        )
        ended = jobs.wait(place.sandbox, report.job.id, timeout_s=20)
        assert ended.state is JobState.SUCCEEDED
        run_outputs.read(place.sandbox, report.job.id)
        if size == 5000:
            largest = report.job.id
    path = str(place.clone)
    seen = jobs.status(place.sandbox, path="/", tails=0, project_path=path).written
    assert seen == (largest, 5000)
    other = jobs.status(place.sandbox, path="/", tails=0, project_path="/other")
    assert other.written is None


@pytest.mark.parametrize(
    ("written", "size_gb", "runs", "words"),
    [
        (None, None, 1, ""),
        (("remote-3", 5 * GIB), None, 1, ""),
        (("remote-3", 5 * GIB), None, 3, "each of 3 runs is expected to write 5.0 GiB"),
        (("remote-3", 50 * GIB), None, 1, "as remote-3 did"),
        (("remote-3", 50 * GIB), 1.0, 1, ""),
        (None, 50.0, 1, "46.6 GiB, as configured"),
        (("remote-3", 0), None, 1000, ""),
    ],
)
def test_the_room_that_runs_need_is_what_is_known_of_them(
    written: tuple[str, int] | None, size_gb: float | None, runs: int, words: str
) -> None:
    disk = Disk(path="/w", free_bytes=10 * GIB, total_bytes=100 * GIB)
    said = preflight.will_fill(disk, written, size_gb, runs)
    assert words in said
    assert bool(said) is bool(words)
