"""The reports of the verbs as lines of text: what fails, what is long."""

import math

import pytest

from sandbox_ops.errors import NextStep
from sandbox_ops.models import Disk, Job, JobState, StopReport
from sandbox_ops.models.groups import GroupSummary
from sandbox_ops.text.progress import Progress
from sandbox_ops.workflows import report_lines
from sandbox_ops.workflows.fetch import FetchReport
from sandbox_ops.workflows.monitor import JobView, MonitorReport
from sandbox_ops.workflows.moved_files import MovedFile
from sandbox_ops.workflows.setup import SetupReport, Step
from sandbox_ops.workflows.sync import SyncReport

LINE = "step 7: saved"


def text(lines: report_lines.Lines) -> str:
    return "\n".join(map(str, lines))


def test_a_setup_that_failed_has_the_whole_detail() -> None:
    step = Step(name="environment", result="failed", seconds=1, detail="uv sync: exit code 2\nno network")  # fmt: skip
    assert text(report_lines.setup(SetupReport(steps=(step,)))) == (
        "not ready: environment failed\n"
        "failed environment: uv sync: exit code 2\nno network"
    )


def test_a_machine_that_does_not_answer_is_reported_with_the_reason() -> None:
    report = MonitorReport(sandbox="gpu1", reachable=False, warnings=("no route",))
    assert text(report_lines.monitor(report)) == (
        "gpu1: not reachable; what runs there is unknown\nwarning: no route"
    )


def test_a_group_that_waits_as_a_whole_says_why_and_is_not_called_no_jobs() -> None:
    waiting = tuple(
        Job(id=f"remote-{n}", state=JobState.QUEUED, group="t1", waits_for="waits for a GPU: none is free")
        for n in (1, 2)
    )  # fmt: skip
    group = GroupSummary(name="t1", counts={"queued": 2})
    report = MonitorReport(sandbox="gpu1", reachable=True, groups=(group,), waiting=waiting)  # fmt: skip
    shown = text(report_lines.monitor(report))
    assert "remote-1 and remote-2 wait for a GPU: none is free" in shown
    assert "no jobs" not in shown


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(), "python t.py"),
        (Progress(step=7), "python t.py; step 7"),
        (
            Progress(step=7, total=10, eta_s=90, metrics={"loss": math.nan}),
            "python t.py; 7/10 70 %; ETA 1 min 30 s; loss nan",
        ),
    ],
)
def test_a_jobs_line_says_what_its_log_says(progress: Progress, words: str) -> None:
    job = Job(id="remote-3", state=JobState.RUNNING, command="python t.py", elapsed_s=5)
    view = JobView(job=job, progress=progress, last_lines=(LINE,))
    disk = Disk(path="/w", free_bytes=1 << 30, total_bytes=2 << 30)
    report = MonitorReport(sandbox="gpu1", reachable=True, jobs=(view,), disk=disk)
    assert list(report_lines.monitor(report)) == [
        "gpu1: 1.0 GiB free of 2.0 GiB at /w",
        f"remote-3 running, 5 s: {words}",
        f"remote-3 | {LINE}",
    ]


def test_long_lists_are_cut_and_say_so() -> None:
    files = tuple(
        MovedFile(path=f"models/{n}", size_bytes=1000, sha256="", kept=n > 30)
        for n in range(111)
    )
    reported = text(report_lines.fetch(FetchReport(files=files, into="/home/me/b")))
    assert reported.startswith(
        "31 files, 30.3 KiB, came, checked, to /home/me/b; 80 files here already\n"
    )
    assert reported.endswith("\n  ... and 11 more")


def test_what_a_stop_could_not_end_is_listed() -> None:
    job = Job(id="remote-3", state=JobState.RUNNING)
    report = StopReport(job=job, left=("12 python: not ours to end",))
    assert "not ended:\n  12 python: not ours to end" in text(report_lines.stop(report))


def test_a_step_among_the_warnings_stays_a_step() -> None:
    step = NextStep("setup", {}, "The environment is another one; renew it")
    report = SyncReport(
        branch="main",
        commit_before="a" * 40,
        commit_after="a" * 40,
        warnings=("odd", step),  # type: ignore[arg-type]
    )
    assert list(report_lines.sync(report)) == [
        "the sandbox has main at aaaaaaaaaa, as before",
        "warning: odd",
        step,
    ]
