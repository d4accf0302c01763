"""What a run writes is its own, against a real sshd: folder, record, checksums, refusals."""

import dataclasses
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import processes
import pytest
from each_link import ThisComputer
from gitproject import GitProject
from machines import Place, set_up
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import jobs, run_outputs
from sandbox_ops.models import Project
from sandbox_ops.models.queue import RetryPolicy
from sandbox_ops.workflows.fetch import FetchReport, fetch
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.train import TrainReport, train

MakeMachine = Callable[..., ThisComputer]


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    git_project.commit({".gitignore": "models/\n"}, push=True)
    place = set_up(sandbox, git_project)
    place.write("models/old.pt", "of an earlier run\n")
    return place


@pytest.fixture
def project(place: Place) -> Project:
    return place.git.project(outputs=("models/",))


def start(place: Place, project: Project, command: str, **options: Any) -> TrainReport:  # noqa: ANN401
    return train(place.sandbox, project, command=command, **options)


def ended(place: Place, report: TrainReport) -> JobState:
    return jobs.wait(place.sandbox, report.job.id, timeout_s=30).state


def run(place: Place, project: Project, command: str, **options: Any) -> str:  # noqa: ANN401
    """Let a training run to its end; return its id."""
    report = start(place, project, command, **options)
    assert ended(place, report) is JobState.SUCCEEDED
    return report.job.id


def folder(place: Place, job_id: str) -> Path:
    return Path(jobs.get(place.sandbox, job_id).log_path).parent


def paths(report: FetchReport) -> set[str]:
    return {file.path for file in report.files if not file.path.startswith("logs/")}


def test_a_run_is_told_its_id_name_folder_and_commit(
    place: Place, project: Project
) -> None:
    job_id = run(
        place,
        project,
        "echo $SANDBOX_JOB_ID $SANDBOX_JOB_NAME $SANDBOX_COMMIT; "
        "echo x >$SANDBOX_RUN_DIR/x; pwd; echo $SANDBOX_RUN_DIR",
        name="night",
    )
    log = (folder(place, job_id) / "log").read_text().splitlines()
    run_dir = place.clone / "runs" / job_id
    assert log == [f"{job_id} night {place.head}", str(place.clone), str(run_dir)]
    assert (run_dir / "x").read_text() == "x\n"
    assert place.run("status", "--porcelain") == ""


def test_the_holes_of_a_command_are_filled_in_every_kind_of_quotes(
    place: Place, project: Project
) -> None:
    command = """echo {job} "{job}" '{job}-{name}' {name} {seed} {run_dir} {{job}}"""
    project = dataclasses.replace(project, train_command=command)
    report = train(place.sandbox, project, name="night", settings={"seed": "7"})
    assert ended(place, report) is JobState.SUCCEEDED
    job_id = report.job.id
    run_dir = place.clone / "runs" / job_id
    assert Path(report.job.log_path).read_text() == (
        f"{job_id} {job_id} {job_id}-night night 7 {run_dir} {{job}}\n"
    )
    job_id = run(place, project, "echo '{run_dir}' {name} {other}")
    log = folder(place, job_id) / "log"
    assert log.read_text() == f"{place.clone}/runs/{job_id} {job_id} {{other}}\n"


def test_fetch_brings_what_that_run_wrote_and_nothing_of_others(
    place: Place, project: Project
) -> None:
    first = run(place, project, "echo 1 >models/a.pt; echo log >{run_dir}/notes.txt")
    second = run(place, project, "mkdir models/deep; echo 2 >models/deep/b.pt")
    report = fetch(place.sandbox, project, job=first)
    assert paths(report) == {"models/a.pt", f"runs/{first}/notes.txt"}
    assert (place.git.clone / "models/a.pt").read_text() == "1\n"
    assert (place.git.clone / f"runs/{first}/notes.txt").read_text() == "log\n"
    assert paths(fetch(place.sandbox, project, job=second)) == {"models/deep/b.pt"}
    assert not (place.clone / "runs" / second).exists()  # it was not used


def test_files_that_are_moved_or_copied_with_their_times_are_a_runs_too(
    place: Place, project: Project
) -> None:
    place.write("models/before/x.pt", "x")
    job_id = run(
        place, project, "mv models/before models/after; cp -p README.md models/r"
    )
    report = fetch(place.sandbox, project, job=job_id)
    assert paths(report) >= {"models/r"}


def test_the_record_names_each_file_with_size_and_checksum(
    place: Place, project: Project
) -> None:
    job_id = run(place, project, "printf weights >'models/a b.pt'; >models/empty")
    written = run_outputs.read(place.sandbox, job_id)
    assert written is not None
    digest = hashlib.sha256(b"weights").hexdigest()
    assert [file.as_json() for file in written.files] == [
        {"path": "models/a b.pt", "size_bytes": 7, "sha256": digest},
        {
            "path": "models/empty",
            "size_bytes": 0,
            "sha256": hashlib.sha256(b"").hexdigest(),
        },
    ]
    assert (written.size_bytes, written.n_skipped, written.is_pending) == (7, 0, False)
    record = json.loads((folder(place, job_id) / "run.json").read_text())
    assert record["outputs"] == ["models"]


def test_what_was_written_again_after_the_run_is_left_there_and_named(
    place: Place, project: Project
) -> None:
    job_id = run(place, project, "echo 1 >models/a.pt; echo 2 >models/b.pt; >models/c")
    run_outputs.read(place.sandbox, job_id)
    place.write("models/a.pt", "of another run\n")
    (place.clone / "models/c").unlink()
    report = fetch(place.sandbox, project, job=job_id)
    assert paths(report) == {"models/b.pt"}
    again = f"it was written again, or removed, after {job_id} ended"
    assert f"models/a.pt: {again}" in report.warnings[0]
    assert f"models/c: {again}" in report.warnings[0]


def test_bytes_that_are_not_those_of_the_record_do_not_come_home(
    place: Place, project: Project
) -> None:
    job_id = run(place, project, "echo 1 >models/a.pt")
    run_outputs.read(place.sandbox, job_id)
    file = place.clone / "models/a.pt"
    times = file.stat()
    file.write_text("2\n")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(RefusedError, match=r"a\.pt is not what the run's record says"):
        fetch(place.sandbox, project, job=job_id)
    assert not (place.git.clone / "models/a.pt").exists()


def test_outputs_may_name_the_run_and_its_settings(place: Place) -> None:
    project = place.git.project(outputs=("out/{job}/", "out/seed{seed}.json"))
    place.write(".git/info/exclude", "/out/\n")
    job_id = run(
        place,
        project,
        "mkdir -p out/{job} out/other; echo 1 >out/{job}/a; echo 2 >out/other/a; "
        "echo 3 >out/seed{seed}.json; echo 4 >out/seed9.json",
        settings={"seed": "3"},
    )
    report = fetch(place.sandbox, project, job=job_id)
    assert paths(report) == {f"out/{job_id}/a", "out/seed3.json"}
    everything = {f"out/{job_id}/a", "out/other/a", "out/seed3.json", "out/seed9.json"}
    assert paths(fetch(place.sandbox, project)) == everything


def test_a_run_that_has_not_ended_brings_what_it_wrote_so_far(
    place: Place, project: Project
) -> None:
    started = start(
        place, project, "echo 1 >models/a.pt; echo 2 >{run_dir}/b; sleep 60"
    )
    wait_until((place.clone / "runs" / started.job.id / "b").exists)
    report = fetch(place.sandbox, project, job=started.job.id)
    assert paths(report) == {"models/a.pt", f"runs/{started.job.id}/b"}
    assert "has not ended" in report.warnings[-1]
    jobs.stop(place.sandbox, started.job.id, grace_s=1)


def test_a_run_that_is_killed_has_a_record_as_well(
    place: Place, project: Project
) -> None:
    started = start(place, project, "echo 1 >models/a.pt; sleep 60")
    wait_until((place.clone / "models/a.pt").exists)
    state = (folder(place, started.job.id) / "state").read_text().split()
    facts = dict(word.split("=") for word in state if "=" in word)
    os.kill(int(facts["pid"]), signal.SIGKILL)
    os.kill(int(facts["leader"]), signal.SIGKILL)
    wait_until(lambda: jobs.get(place.sandbox, started.job.id).state is JobState.LOST)
    assert paths(fetch(place.sandbox, project, job=started.job.id)) == {"models/a.pt"}


def test_large_results_do_not_delay_the_end_and_are_listed_at_once(
    place: Place, project: Project
) -> None:
    started = start(place, project, "truncate -s 8G models/large.pt")
    assert ended(place, started) is JobState.SUCCEEDED
    collecting = folder(place, started.job.id) / "collecting"
    record = folder(place, started.job.id) / "outputs.tsv"
    wait_until(record.exists)
    written = run_outputs.read(place.sandbox, started.job.id, wait_s=0)
    assert written is not None
    assert written.is_pending
    assert [(file.path, file.sha256) for file in written.files] == [
        ("models/large.pt", "")
    ]
    collector = int(collecting.read_text().split()[0])
    below = processes.descendants(collector)  # timeout(1) has a group of its own
    processes.end([collector, *(process.pid for process in below)], grace_s=0)


def test_thousands_of_files_are_recorded_and_odd_names_counted(
    place: Place, project: Project
) -> None:
    job_id = run(
        place,
        project,
        "python3 -c \"for n in range(3000): open(f'models/{{n}} é .pt', 'w').write(str(n))\n"
        "open('models/two\\nlines', 'w')\"".replace("{{n}}", "{n}"),
    )
    written = run_outputs.read(place.sandbox, job_id)
    assert written is not None
    assert (len(written.files), written.n_skipped) == (3000, 1)
    sums = {file.path: file.sha256 for file in written.files}
    assert sums["models/2999 é .pt"] == hashlib.sha256(b"2999").hexdigest()
    report = fetch(place.sandbox, project, job=job_id, dry_run=True)
    assert "leaves out 1 file" in report.warnings[-1]


def test_a_second_machine_life_with_the_same_id_gets_a_folder_of_its_own(
    place: Place, project: Project, make_machine: MakeMachine
) -> None:
    place.write("runs/remote-1/theirs", "of the box before\n")
    server = make_machine()
    config = dataclasses.replace(
        server.config(), workspace=place.sandbox.config.workspace
    )
    with Sandbox(config) as sandbox:
        other = Place(sandbox, place.git)
        job_id = run(other, project, "echo mine >{run_dir}/mine", force=["stale-code"])
        assert job_id == "remote-1"
        report = fetch(sandbox, project, job=job_id)
    assert paths(report) == {"runs/remote-1-2/mine"}


def test_a_reset_leaves_run_folders_alone(place: Place, project: Project) -> None:
    job_id = run(place, project, "echo 1 >{run_dir}/a")
    assert reset(place.sandbox, project).backup_ref is None
    assert (place.clone / "runs" / job_id / "a").exists()


# -- two runs, one file ------------------------------------------------------------


def test_two_runs_that_would_write_one_file_are_refused_with_the_way_out(
    place: Place, project: Project
) -> None:
    command = "sleep 60 # --save-path models/policy.pt"
    first = start(place, project, command, name="night")
    with pytest.raises(RefusedError) as caught:
        start(place, project, command)
    assert (
        f"models/policy.pt is written by {first.job.id} night" in caught.value.message
    )
    assert "{run_dir}" in caught.value.hint
    assert "--force same-output" in caught.value.hint
    second = start(place, project, command, force=["same-output"])
    third = start(place, project, command.replace("policy", "{job}"))
    for each in (first, second, third):
        jobs.stop(place.sandbox, each.job.id, grace_s=1)
    again = start(place, project, command)
    jobs.stop(place.sandbox, again.job.id, grace_s=1)


def test_of_two_clients_at_once_one_may_write_a_file(place: Place) -> None:
    path = f"{place.clone}/models/a.pt"
    first = place.sandbox.start("sleep 60", writes=(path,))
    with pytest.raises(RefusedError, match=f"is held by {first.id}") as caught:
        place.sandbox.start("sleep 60", writes=(path,))
    assert "a path of its own" in caught.value.hint
    jobs.stop(place.sandbox, first.id, grace_s=1)


def test_what_every_attempt_of_a_run_wrote_is_in_its_record(
    place: Place, project: Project
) -> None:
    report = start(
        place,
        project,
        "echo $SANDBOX_ATTEMPT >models/$SANDBOX_ATTEMPT.pt; "
        "echo x >{run_dir}/$SANDBOX_ATTEMPT; [ $SANDBOX_ATTEMPT = 3 ]",
        queue=QueueOptions(retry=RetryPolicy(retries=2, backoff_s=0.05)),
    )
    assert ended(place, report) is JobState.SUCCEEDED
    job_id = report.job.id
    expected = {f"models/{n}.pt" for n in (1, 2, 3)}
    expected |= {f"runs/{job_id}/{n}" for n in (1, 2, 3)}
    assert paths(fetch(place.sandbox, project, job=job_id)) == expected
