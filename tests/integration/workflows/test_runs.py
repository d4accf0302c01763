"""runs, show and diff, against a real sshd: what is listed, and what is remembered."""

import csv
import hashlib
import io
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import records
from each_link import ThisComputer
from gitproject import GitProject
from machines import Place, set_up
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import run_query
from sandbox_ops.workflows.export import export
from sandbox_ops.workflows.label_run import LabelReport, label_run
from sandbox_ops.workflows.plot import plot
from sandbox_ops.workflows.rerun import rerun
from sandbox_ops.workflows.run_diff import diff
from sandbox_ops.workflows.runs import RunsReport, runs, show
from sandbox_ops.workflows.train import train

MakeMachine = Callable[..., ThisComputer]
TRAINING = """import sys
lr = float(sys.argv[1])
for step in range(1, 101):
    print(f"step {step}/100 loss={lr + 1 / step:.4f} acc={step / 100}", flush=True)
print("step 100/100 loss=9.5 acc=0.25")
sys.exit(3 if lr > 1 else 0)
"""
METRICS = """import json, os
print("step 1/1 loss=1")
with open(os.environ["SANDBOX_METRICS"], "w") as file:
    file.write(json.dumps({"step": 1, "eval": {"accuracy": 0.75}}) + "\\n")
"""
UNKNOWN_VALUES = "variables: whether SEED have the values of then is not known: values are not recorded"


@pytest.fixture
def place(make_machine: MakeMachine, git_project: GitProject) -> Iterator[Place]:
    """A machine of its own, where nothing ran yet."""
    files = {"train.py": TRAINING, "metrics.py": METRICS}
    git_project.commit(files, push=True)
    with Sandbox(make_machine().config()) as sandbox:
        yield set_up(sandbox, git_project)


def trained(place: Place, lr: str, command: str = "python3 train.py {lr}") -> Job:
    report = train(
        place.sandbox,
        place.project,
        command=command if "{lr}" in command else f"{command} # {{lr}}",
        settings={"lr": lr},
        name=f"lr{lr}",
        gpus=0,
    )
    return jobs.wait(place.sandbox, report.job.id, timeout_s=20)


def listed(place: Place, **options: object) -> tuple[Run, ...]:
    query = run_query.query(**options)  # type: ignore[arg-type]
    return runs([place.sandbox], place.project, query).runs


def ids(found: tuple[Run, ...]) -> list[str]:
    return [run.job.id for run in found]


def history(place: Place) -> Path:
    return place.git.clone / ".git/sandbox-ops/runs.jsonl"


def remembered(place: Place) -> RunsReport:
    return runs([], place.project)


def test_a_run_is_listed_with_its_settings_commit_and_final_and_best_metrics(
    place: Place,
) -> None:
    job = trained(place, "0.5")
    (run,) = listed(place)
    line = run.as_json()
    assert (line["id"], line["name"], line["state"]) == (job.id, "lr0.5", "succeeded")
    assert line["settings"] == {"lr": "0.5"}
    assert line["commit"] == place.head
    assert line["metrics"] == {"loss": 9.5, "acc": 0.25}
    assert line["best"] == {"loss": 0.51, "acc": 1.0}
    assert set(line) >= {"sandbox", "group", "exit_code", "started_at", "elapsed_s"}
    assert (line["tags"], line["note"], line["outputs"]) == ([], "", [])


def test_runs_are_filtered_by_settings_metrics_and_state_and_sorted_best_first(
    place: Place,
) -> None:
    first, second, failed = (trained(place, lr).id for lr in ("0.5", "0.1", "2"))
    assert ids(listed(place)) == [failed, second, first]
    assert ids(listed(place, where=["lr<1e-0"])) == [second, first]
    assert ids(listed(place, where=["best.loss<=0.2"])) == [second]
    assert ids(listed(place, states=["failed"])) == [failed]
    assert ids(listed(place, sort="best.loss")) == [second, first, failed]
    assert ids(listed(place, sort="-best.loss", limit=1)) == [failed]
    assert ids(listed(place, started_after=time.time() + 60)) == []
    with pytest.raises(UsageError, match="no-such"):
        listed(place, states=["no-such"])


def test_the_best_of_a_long_log_is_found_in_its_middle(place: Place) -> None:
    noise = "yes 'some other line that is no step at all' | head -n 20000"
    middle = "echo 'step 1/3 loss=0.9'; {noise}; echo 'step 2/3 loss=0.125'; {noise}"
    command = f"{middle}; echo 'step 3/3 loss=0.7'".replace("{noise}", noise)
    trained(place, "1", command)
    (run,) = listed(place)
    assert (run.metrics, run.best) == ({"loss": 0.7}, {"loss": 0.125})
    assert run.is_sampled is False


def test_what_is_written_to_the_file_of_metrics_counts_more_than_the_log(
    place: Place,
) -> None:
    trained(place, "1", "python3 metrics.py")
    (run,) = listed(place)
    assert run.metrics == {"eval/accuracy": 0.75}


def test_the_metrics_of_an_ended_run_are_read_once_and_kept(place: Place) -> None:
    job = trained(place, "0.5")
    listed(place)
    Path(job.log_path).write_text("step 1/1 loss=77\n")
    (run,) = listed(place)
    assert run.metrics == {"loss": 9.5, "acc": 0.25}


def test_jobs_that_are_no_trainings_and_those_of_other_projects_are_not_listed(
    place: Place, make_git_project_here: Callable[..., GitProject]
) -> None:
    place.sandbox.start("true")
    other = make_git_project_here("another-project")
    other.commit({"train.py": TRAINING}, push=True)
    trained(set_up(place.sandbox, other), "0.5")
    mine = trained(place, "0.5")
    assert ids(listed(place)) == [mine.id]


def test_a_machine_that_is_gone_takes_no_history_with_it(
    make_machine: MakeMachine, git_project: GitProject
) -> None:
    git_project.commit({"train.py": TRAINING}, push=True)
    server = make_machine()
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        trained(place, "0.5")
        train(sandbox, place.project, command="sleep 7931", name="long", gpus=0)
        before = runs([sandbox], place.project).runs
        assert [run.state for run in before] == [JobState.RUNNING, JobState.SUCCEEDED]
        jobs.stop(sandbox, before[0].job.id, grace_s=0)
    server.close()
    with Sandbox(server.config()) as gone:
        report = runs([gone], place.project)
    assert list(report.unreachable) == ["test"]
    live, ended = report.runs
    assert (live.state, live.is_current) == (JobState.UNKNOWN, False)
    assert live.seen_at == before[0].seen_at
    assert ended.metrics == {"loss": 9.5, "acc": 0.25}
    assert history(place).stat().st_mode & 0o777 == 0o600


def test_a_run_that_lived_is_listed_with_its_end_at_the_next_look(place: Place) -> None:
    job = train(
        place.sandbox, place.project, command="sleep 7932", name="x", gpus=0
    ).job
    assert [run.state for run in listed(place)] == [JobState.RUNNING]
    jobs.stop(place.sandbox, job.id, grace_s=0)
    assert [run.state for run in listed(place)] == [JobState.STOPPED]
    assert [run.state for run in remembered(place).runs] == [JobState.STOPPED]


def test_another_machine_under_the_same_name_adds_its_runs_to_the_history(
    make_machine: MakeMachine, git_project: GitProject
) -> None:
    git_project.commit({"train.py": TRAINING}, push=True)
    found: list[list[str]] = []
    for lr in ("0.5", "0.1"):
        server = make_machine()
        with Sandbox(server.config()) as sandbox:
            place = set_up(sandbox, git_project)
            trained(place, lr)
            found.append([run.job.name for run in listed(place)])
        server.close()
    assert found == [["lr0.5"], ["lr0.1", "lr0.5"]]


def test_the_record_of_a_pruned_run_stays_for_those_who_never_saw_it(
    make_machine: MakeMachine, git_project: GitProject
) -> None:
    git_project.commit({"train.py": TRAINING}, push=True)
    server = make_machine()
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        first = trained(place, "0.5")
        base = records.folder_of(server.home)
        for number in range(2, 30):
            records.write(base, number, age_days=0, now=time.time())
        (base / "last").write_text("29\n")
        (base / "keep").write_text("count=20\n")
        library = next((server.home / ".sandbox-ops" / "lib").iterdir())
        subprocess.run(["sh", library, "prune", base], check=True)
        assert not Path(first.log_path).exists()
        (run,) = listed(place)
    assert (run.job.id, run.state) == (first.id, JobState.SUCCEEDED)
    assert run.settings == {"lr": "0.5"}


def test_a_record_that_is_written_after_its_number_was_seen_is_not_missed(
    place: Place,
) -> None:
    first = Path(trained(place, "0.5").log_path).parent
    later = Path(place.sandbox.base) / "jobs" / f"remote-{int(first.name[7:]) + 1}"
    later.mkdir()
    assert len(listed(place)) == 1
    for file in ("state", "spec.json", "run.json", "log"):
        shutil.copy(first / file, later / file)
    assert set(ids(listed(place))) == {later.name, first.name}


def test_a_damaged_record_costs_that_run_alone(place: Place) -> None:
    broken, whole = trained(place, "0.5"), trained(place, "0.1")
    Path(broken.log_path).with_name("run.json").write_text('{"commit": ')
    assert ids(listed(place)) == [whole.id]


def test_a_run_names_what_it_wrote_with_sizes_and_checksums(place: Place) -> None:
    trained(place, "1", "printf weights >$SANDBOX_RUN_DIR/model.pt")
    # first they are listed, then their checksums are taken
    wait_until(lambda: any(file["sha256"] for file in listed(place)[0].outputs))
    (file,) = listed(place)[0].as_json()["outputs"]
    assert file["path"].endswith("/model.pt")
    assert file["size_bytes"] == len("weights")
    assert file["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert remembered(place).runs[0].outputs == (file,)


def test_show_names_a_run_by_id_number_name_or_last(place: Place) -> None:
    first, second = trained(place, "0.5"), trained(place, "0.1")
    for text in (
        first.id,
        first.id.removeprefix("remote-"),
        "lr0.5",
        f"test:{first.id}",
    ):
        report = show([place.sandbox], place.project, text)
        assert report.run.job.id == first.id
    assert show([place.sandbox], place.project, "last").run.job.id == second.id
    record = show([place.sandbox], place.project, "last").as_json()["record"]
    stored = json.loads(Path(second.log_path).with_name("run.json").read_text())
    assert record == stored
    with pytest.raises(NotFoundError, match="no run 'nothing'"):
        show([place.sandbox], place.project, "nothing")


def test_diff_tells_commits_settings_environment_and_metrics_apart(
    place: Place,
) -> None:
    old = place.head
    first = trained(place, "0.5")
    new = place.git.commit({"notes.md": "new\n"}, "Write notes", push=True)
    place.run("fetch", "-q")
    place.run("reset", "-q", "--hard", new)
    second = trained(place, "0.1", "echo step 1/1 loss=0.25")
    report = diff([place.sandbox], place.project, first.id, second.id)
    value = report.as_json()
    assert value["commit"] == [old, new]
    assert value["commits"] == {"added": [f"{new[:7]} Write notes"], "removed": []}
    assert value["settings"] == {"lr": ["0.5", "0.1"]}
    assert value["metrics"] == {"loss": [9.5, 0.25], "acc": [0.25, None]}
    assert value["environment"] == {}
    with pytest.raises(UsageError, match=f"are the same run, test:{first.id}"):
        diff([place.sandbox], place.project, first.id, first.id)


def test_notes_and_tags_are_kept_on_the_machine_for_every_client(place: Place) -> None:
    job = trained(place, "0.5")
    label(place, "lr0.5", note="first", tags=["baseline", "good"])
    report = label(place, job.id, note="better than it looks", untags=["good"])
    assert report.as_json()["tags"] == ["baseline"]
    history(place).unlink()  # as another clone
    (run,) = listed(place, tags=["baseline"])
    assert (run.tags, run.note) == (("baseline",), "better than it looks")
    again = label(place, job.id, untags=["good"])
    assert again.warnings == (f"{job.id} has no tag `good`",)
    with pytest.raises(NotFoundError, match="no run has the tag `good`") as caught:
        listed(place, tags=["good"])
    assert caught.value.hint == "tags: baseline"
    with pytest.raises(UsageError, match="cannot be a tag"):
        label(place, job.id, tags=["-x"])


def test_a_note_on_a_run_whose_machine_is_gone_is_kept_in_the_clone(
    make_machine: MakeMachine, git_project: GitProject
) -> None:
    git_project.commit({"train.py": TRAINING}, push=True)
    server = make_machine()
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        trained(place, "0.5")
        listed(place)
    server.close()
    with Sandbox(server.config()) as gone:
        report = label_run([gone], place.project, "lr0.5", note="box returned")
    assert "kept in this clone alone" in report.warnings[0]
    assert remembered(place).runs[0].note == "box returned"


def label(place: Place, run: str, **said: Any) -> LabelReport:  # noqa: ANN401
    return label_run([place.sandbox], place.project, run, **said)


def test_a_rerun_has_the_commit_command_and_settings_of_the_run(place: Place) -> None:
    first = trained(place, "0.5")
    place.git.commit({"train.py": "raise SystemExit(9)\n"}, push=True)
    report = rerun(place.sandbox, place.project, first.id)
    job = jobs.wait(place.sandbox, report.job.id, timeout_s=20)
    assert (job.state, job.command, job.name) == (
        first.state,
        first.command,
        first.name,
    )
    assert (report.differs, report.warnings) == ((), ())
    again, once = listed(place)
    assert (again.settings, again.commit) == (once.settings, once.commit)
    assert again.metrics == once.metrics


def test_a_rerun_of_another_commit_has_a_tree_of_its_own_at_that_commit(
    place: Place,
) -> None:
    first = trained(place, "0.5")
    new = place.git.commit({"train.py": "raise SystemExit(9)\n"}, push=True)
    place.run("fetch", "-q")
    place.run("reset", "-q", "--hard", new)
    place.write("train.py", "edited\n")
    report = rerun(place.sandbox, place.project, first.id)
    job = jobs.wait(place.sandbox, report.job.id, timeout_s=20)
    assert (job.state, report.differs) == (JobState.SUCCEEDED, ())
    again, once = listed(place)
    assert (again.commit, again.metrics) == (once.commit, once.metrics)
    assert again.record["dirty"] is False
    assert (place.clone / "train.py").read_text() == "edited\n"
    assert place.head == new


def test_a_rerun_of_a_run_with_edits_has_those_edits(place: Place) -> None:
    place.write("train.py", "print('step 1/1 loss=0.125')\n")
    report = train(
        place.sandbox,
        place.project,
        command="python3 train.py",
        force=["stale-code"],
        gpus=0,
    )
    first = jobs.wait(place.sandbox, report.job.id, timeout_s=20)
    place.run("checkout", "-q", "--", ".")
    again = rerun(place.sandbox, place.project, first.id)
    assert jobs.wait(place.sandbox, again.job.id, timeout_s=20).state == first.state
    newest, once = listed(place)
    assert newest.metrics == once.metrics == {"loss": 0.125}
    assert newest.record["dirty"] is True
    patches = [
        Path(run.job.log_path).with_name("dirty.patch").read_text()
        for run in (newest, once)
    ]
    assert patches[0] == patches[1]
    Path(first.log_path).with_name("dirty.patch").unlink()
    with pytest.raises(RefusedError, match="not in its folder any more"):
        rerun(place.sandbox, place.project, first.id)


def test_a_rerun_is_refused_where_the_commit_is_nowhere(place: Place) -> None:
    job = trained(place, "0.5")
    file = Path(job.log_path).with_name("run.json")
    record = json.loads(file.read_text()) | {"commit": "1" * 40}
    file.write_text(json.dumps(record, indent=2))
    with pytest.raises(RefusedError, match=r"neither in the clone at .* nor"):
        rerun(place.sandbox, place.project, job.id)


def test_a_rerun_says_what_cannot_be_the_same(place: Place) -> None:
    report = train(
        place.sandbox,
        place.project,
        command="true",
        name="secret",
        env={"API_TOKEN": "s3cr3t-value", "SEED": "1"},
        gpus=0,
    )
    jobs.wait(place.sandbox, report.job.id, timeout_s=20)
    file = Path(report.job.log_path).with_name("run.json")
    record = json.loads(file.read_text())
    changed = {"python": "Python 3.9.1", "driver": "550.1", "hostname": "elsewhere"}
    file.write_text(json.dumps({**record, **changed}, indent=2))
    again = rerun(place.sandbox, place.project, "secret", env={"SEED": "1"})
    assert list(again.differs) == [
        f"hostname: elsewhere then, {record['hostname']} now",
        f"python: Python 3.9.1 then, {record['python']} now",
        "GPU driver: 550.1 then, none now",
        "variables: API_TOKEN were given then, and are not now",
        UNKNOWN_VALUES,
    ]


def test_runs_are_exported_as_csv_json_and_mlflow_folders(
    place: Place, tmp_path: Path
) -> None:
    trained(place, "0.5")
    label(place, "last", note="=HYPERLINK(1)")
    machines = [place.sandbox]
    rows = list(csv.DictReader(io.StringIO(export(machines, place.project).text)))
    assert rows[0]["settings.lr"] == "0.5"
    assert (rows[0]["metrics.loss"], rows[0]["best.loss"]) == ("9.5", "0.51")
    assert rows[0]["note"] == "'=HYPERLINK(1)"
    file = tmp_path / "runs.json"
    export(machines, place.project, to_format="json", into=str(file))
    assert json.loads(file.read_text())["runs"][0]["record"]["commit"] == place.head
    with pytest.raises(RefusedError, match="is there already"):
        export(machines, place.project, to_format="json", into=str(file))
    folder = tmp_path / "mlruns"
    export(machines, place.project, to_format="mlflow", into=str(folder))
    (metric,) = folder.glob("*/*/metrics/loss")
    lines = metric.read_text().splitlines()
    assert len(lines) == 101
    assert lines[0].split()[1:] == ["1.5", "1"]
    assert (metric.parents[1] / "params/lr").read_text() == "0.5"
    assert (folder / metric.parents[2] / "meta.yaml").exists()


def test_a_metric_of_several_runs_is_read_over_its_whole_course(place: Place) -> None:
    trained(place, "0.5")
    trained(place, "0.1")
    report = plot([place.sandbox], place.project, ["lr0.5", "lr0.1"])
    assert (report.metric, report.unit) == ("loss", "step")
    assert [each.label for each in report.series] == [
        "remote-1 lr=0.5",
        "remote-2 lr=0.1",
    ]
    assert [len(each.points) for each in report.series] == [101, 101]
    assert list(report.series[0].points[0]) == [1, 1.5]
    assert report.metrics == ("loss", "acc")
    smooth = plot([place.sandbox], place.project, ["last"], metric="acc", smooth=0.9)
    assert list(smooth.series[0].smooth[0]) == [1, pytest.approx(0.01)]
    with pytest.raises(NotFoundError, match=r"no metric 'f1'\nThere is loss, acc|f1"):
        plot([place.sandbox], place.project, ["last"], metric="f1")


def test_of_a_log_of_many_lines_evenly_spread_blocks_and_the_end_are_read(
    place: Place,
) -> None:
    job = trained(place, "0.5")
    lines = (f"step {n}/300000 loss={n} \r" for n in range(1, 300_001))
    Path(job.log_path).write_text("some chatter\n" * 300_000 + "".join(lines))
    (series,) = plot([place.sandbox], place.project, [job.id]).series
    steps = [x for x, _ in series.points]
    assert 10_000 < len(steps) < 25_000
    assert [steps[0], steps[-1]] == [1, 300_000]
    assert max(b - a for a, b in itertools.pairwise(steps)) < 1000
