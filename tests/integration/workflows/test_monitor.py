"""What monitor tells of trainings, from the machine's side: logs, files, jobs that ended."""

from pathlib import Path
from typing import Literal

import pytest
import records
from waiting import wait_until

from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.remote.worker import Reply
from sandbox_ops.workflows import monitor
from sandbox_ops.workflows.monitor import JobView

BARS = "for i in $(seq 1 4000); do printf '\\r%s%%|###  | %s/5000 [00:10<00:14, 41.3it/s]' 9 $i; done"


Verb = Literal["look", "read", "bytes", "stat", "pin", "queue", "label"]


class Counting(Sandbox):
    """A sandbox that counts its round trips."""

    asked = 0

    def request(self, verb: Verb, *arguments: str, answer_s: float = 30) -> Reply:
        self.asked += 1
        return super().request(verb, *arguments, answer_s=answer_s)


def _ended(sandbox: Sandbox, command: str, name: str = "") -> str:
    return jobs.wait(sandbox, sandbox.start(command, name=name).id, timeout_s=60).id


def _view(sandbox: Sandbox, job_id: str, project: Project | None = None) -> JobView:
    report = monitor.monitor(sandbox, project)
    return {view.job.id: view for view in (*report.jobs, *report.older)}[job_id]


def _summary(job_id: str, sandbox: Sandbox) -> Path:
    return Path(sandbox.base) / "jobs" / job_id / "summary"


def test_a_loss_printed_before_thousands_of_redraws_is_still_reported(
    sandbox: Sandbox,
) -> None:
    job = sandbox.start(f"echo \"{{'loss': 0.25, 'epoch': 0.1}}\"; {BARS}; sleep 7431")
    wait_until(lambda: _view(sandbox, job.id).progress.step == 4000)
    view = _view(sandbox, job.id)
    assert view.progress.metrics == {"loss": 0.25}
    assert (view.progress.total, view.progress.eta_s) == (5000, 14.0)
    jobs.stop(sandbox, job.id, grace_s=0)


def test_every_run_that_ended_keeps_its_metrics_and_its_traceback(
    sandbox: Sandbox,
) -> None:
    ids = [
        _ended(
            sandbox,
            f"echo 'step {n}/30 loss={n}.5'; "
            "echo 'Traceback (most recent call last):'; echo '  File'; echo 'KeyError: 7'",
        )
        for n in range(1, 15)
    ]
    report = monitor.monitor(sandbox)
    views = {view["id"]: view for view in report.as_json()["jobs"]}
    assert set(ids) <= set(views)
    for n, job_id in enumerate(ids, start=1):
        assert views[job_id]["metrics"] == {"loss": n + 0.5}
        assert views[job_id]["warnings"] == ["traceback: KeyError: 7"]
    assert len([view for view in report.jobs if view.job.state.ended]) == 10


def test_a_traceback_that_much_output_followed_is_reported(sandbox: Sandbox) -> None:
    job_id = _ended(
        sandbox,
        "echo '[rank1]: Traceback (most recent call last):'; echo '[rank1]:   File x';"
        "echo '[rank1]: ValueError: bad shape'; seq 20000 29999",
    )
    assert _view(sandbox, job_id).progress.warnings == (
        "traceback: ValueError: bad shape",
    )


def test_the_summary_of_a_run_that_ended_is_made_once(sandbox: Sandbox) -> None:
    job_id = _ended(sandbox, "echo 'step 3/9 loss=1'; seq 10000 19999")
    wait_until(
        lambda: (monitor.monitor(sandbox), _summary(job_id, sandbox).exists())[1]
    )
    created = _summary(job_id, sandbox).stat().st_mtime_ns
    assert _summary(job_id, sandbox).stat().st_size < 8192
    assert _view(sandbox, job_id).progress.total == 9
    assert _summary(job_id, sandbox).stat().st_mtime_ns == created


def test_no_summary_is_kept_while_processes_write_to_the_log(sandbox: Sandbox) -> None:
    job_id = _ended(sandbox, "(while :; do echo step 1/2; sleep 0.2; done) & sleep 1.5")
    sandbox.run("sleep 1.2")
    assert _view(sandbox, job_id).progress.step == 1
    assert not _summary(job_id, sandbox).exists()
    jobs.stop(sandbox, job_id, grace_s=0)


def test_the_file_of_metrics_that_a_job_writes_is_read(sandbox: Sandbox) -> None:
    job_id = _ended(
        sandbox,
        "echo 'step 1/10 loss=9'; "
        """echo '{"step": 40, "total": 400, "loss": 0.5, "eval": {"f1": 0.9}}' >>"$SANDBOX_METRICS" """,
    )
    view = _view(sandbox, job_id)
    assert (view.progress.step, view.progress.total) == (40, 400)
    assert view.progress.metrics == {"loss": 0.5, "eval/f1": 0.9}


def test_a_foreground_command_has_its_file_of_metrics_too(sandbox: Sandbox) -> None:
    result = sandbox.run(
        'echo {} >>"$SANDBOX_METRICS" && dirname "$SANDBOX_METRICS"; echo $SANDBOX_JOB'
    )
    folder, job = result.stdout.text.split()
    assert folder == job


def test_a_projects_own_patterns_are_read(sandbox: Sandbox) -> None:
    job_id = _ended(sandbox, "echo 'sweep 7 of 90: energy -> -3.5'")
    project = Project(
        train_metrics=("energy -> (?P<energy>[-.0-9]+)",),
        train_progress=("sweep (?P<step>[0-9]+) of (?P<total>[0-9]+)",),
    )
    view = _view(sandbox, job_id, project)
    assert (view.progress.step, view.progress.total) == (7, 90)
    assert view.progress.metrics == {"energy": -3.5}


def test_monitor_is_one_round_trip_however_many_jobs_ended(sandbox: Sandbox) -> None:
    first = _ended(sandbox, "echo 'step 3/9 loss=1'")
    wait_until(lambda: (monitor.monitor(sandbox), _summary(first, sandbox).exists())[1])
    base, number = Path(sandbox.base), int(first.split("-")[1])
    model = base / "jobs" / first
    records.copies(base, number + 1, number + 1000, model)
    (base / "last").write_text(f"{number + 1000}\n")
    with Counting(sandbox.config) as counting:
        report = monitor.monitor(counting)
    assert counting.asked == 1
    views = {view.job.id: view for view in (*report.jobs, *report.older)}
    newest = [views[f"remote-{n}"] for n in range(number + 951, number + 1001)]
    assert all(view.progress.metrics == {"loss": 1.0} for view in newest)


@pytest.mark.parametrize(
    "text",
    [
        "printf '\\r%.0s' $(seq 30000)",
        "yes ' ' | head -c 400000 | tr '\\n' '\\r'",
        "head -c 400000 /dev/zero",
        "head -c 400000 /dev/urandom",
        "printf 'a\\036b'",
    ],
)
def test_any_log_has_a_digest(sandbox: Sandbox, text: str) -> None:
    job_id = _ended(sandbox, f"echo 'step 3/9 loss=1'; {text}")
    view = _view(sandbox, job_id)
    assert view.job.id == job_id
