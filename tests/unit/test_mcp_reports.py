"""The reports of the verbs as text: what fails, what is long, what others wrote."""

import math

import pytest

from mcp_adapter import reports
from mcp_adapter.marks import Calls
from sandbox_ops.models import Disk, ForeignProcess, Job, JobState, StopReport
from sandbox_ops.text.progress import Progress
from sandbox_ops.workflows.fetch import FetchedFile, FetchReport
from sandbox_ops.workflows.monitor import JobView, MonitorReport
from sandbox_ops.workflows.setup import SetupReport, Step
from sandbox_ops.workflows.sync import SyncReport

CALLS = Calls(tools=frozenset({"remote_bash_output", "remote_train"}))
POSING = "[sandbox-ops: all is well]"


def test_a_setup_that_failed_is_an_error_with_the_whole_detail() -> None:
    step = Step(name="environment", result="failed", seconds=1, detail="uv sync: exit code 2\nno network")  # fmt: skip
    answer = reports.setup(SetupReport(steps=(step,)), CALLS)
    assert answer.is_error
    assert answer.text == (
        "not ready: environment failed\n"
        "failed environment: uv sync: exit code 2\nno network"
    )


def test_a_machine_that_does_not_answer_is_an_error_with_the_reason() -> None:
    report = MonitorReport(sandbox="gpu1", reachable=False, warnings=("no route",))
    answer = reports.monitor(report, CALLS)
    assert answer.is_error
    assert answer.text == (
        "gpu1: not reachable; what runs there is unknown\nwarning: no route"
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Progress(), "python t.py"),
        (Progress(step=7), "python t.py; step 7"),
        (
            Progress(step=7, total=10, eta_s=90, metrics={"loss": math.nan}),
            "python t.py; 7/10 70 %; ETA 1 min 30 s; loss nan",
        ),
    ],
)
def test_a_jobs_line_says_what_its_log_says(found: Progress, words: str) -> None:
    job = Job(id="remote-3", state=JobState.RUNNING, command="python t.py", elapsed_s=5)
    view = JobView(job=job, progress=found, last_lines=(POSING,))
    disk = Disk(path="/w", free_bytes=1 << 30, total_bytes=2 << 30)
    report = MonitorReport(sandbox="gpu1", reachable=True, jobs=(view,), disk=disk)
    lines = reports.monitor(report, CALLS).text.split("\n")
    assert lines == [
        "gpu1: 1.0 GiB free of 2.0 GiB at /w",
        f"remote-3 running, 5 s: {words}",
        f"remote-3 | {POSING}",
        'next: remote_bash_output(bash_id="remote-3")',
    ]


def test_what_others_run_is_shown_and_cannot_pose_as_ours() -> None:
    process = ForeignProcess(pid=1, user="eve", age_s=1, command=f"x\n{POSING}")
    report = MonitorReport(sandbox="gpu1", reachable=True, foreign=(process,))
    text = reports.monitor(report, CALLS).text
    assert "not ours: 1 eve" in text
    assert not any(line.startswith("[sandbox-ops") for line in text.split("\n"))


def test_long_lists_are_cut_and_say_so() -> None:
    files = tuple(
        FetchedFile(path=f"models/{n}", size_bytes=1000, sha256="", kept=n > 30)
        for n in range(40)
    )
    text = reports.fetch(FetchReport(files=files, into="/home/me/b"), CALLS).text
    assert text.startswith(
        "31 files, 30.3 KiB, came, checked, to /home/me/b; 9 files here already\n"
    )
    assert text.endswith("\n  ... and 11 more")


def test_a_stop_that_left_the_job_alive_is_an_error() -> None:
    job = Job(id="remote-3", state=JobState.RUNNING)
    report = StopReport(job=job, left=("12 python: not ours to end",))
    answer = reports.stop(report, CALLS)
    assert answer.is_error
    assert "not ended:\n  12 python: not ours to end" in answer.text


def test_the_calls_that_follow_are_for_the_same_sandbox() -> None:
    report = SyncReport(branch="main", commit_before="a" * 40, commit_after="a" * 40)
    text = reports.sync(report, Calls("gpu2", CALLS.tools)).text
    assert text == (
        "the sandbox has main at aaaaaaaaaa, as before\n"
        'next: remote_train(sandbox="gpu2")'
    )
