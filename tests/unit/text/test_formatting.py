import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.models import (
    CommandResult,
    Disk,
    EndKind,
    ForeignProcess,
    Gpu,
    Job,
    JobState,
)
from sandbox_ops.text import formatting


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "?"),
        (math.inf, "?"),
        (0, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3600, "1 h 00 min"),
        (86399, "23 h 59 min"),
        (2 * 86400 + 3 * 3600, "2 d 03 h"),
        (-65, "-1 min 05 s"),
    ],
)
def test_a_span_of_time_has_two_units_at_most(
    seconds: float | None, words: str
) -> None:
    assert formatting.duration(seconds) == words


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_of_seconds_has_words(seconds: float) -> None:
    assert formatting.duration(seconds)


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (None, "?"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1023 * 1024, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (2000 * 1024**4, "2000.0 TiB"),
    ],
)
def test_bytes_are_reported_in_the_unit_that_suits_them(
    n_bytes: int | None, words: str
) -> None:
    assert formatting.size(n_bytes) == words


def test_a_count_agrees_with_its_noun() -> None:
    assert formatting.count(1, "file") == "1 file"
    assert formatting.count(0, "file") == "0 files"
    assert formatting.count(2, "process") == "2 processes"


def test_a_job_is_one_line() -> None:
    job = Job(
        id="remote-3",
        name="night",
        state=JobState.RUNNING,
        elapsed_s=7500,
        command="python train.py \\\n  --steps 5",
    )
    assert formatting.job_line(job) == (
        'remote-3 "night" running, 2 h 05 min: python train.py \\ --steps 5'
    )


@pytest.mark.parametrize(
    ("command", "summary"),
    [
        ("cd /workspace/repo && python train.py", "… python train.py"),
        ("cd '/w s/r'; cd x &&\npython train.py", "… python train.py"),
        ("cd /workspace/repo", "cd /workspace/repo"),
        ("cd $(mktemp -d) && make", "cd $(mktemp -d) && make"),
        ("cdrecord -x && y", "cdrecord -x && y"),
        ("cd /w || exit; make", "cd /w || exit; make"),
    ],
)
def test_a_list_shows_what_a_command_does_not_the_folder_it_goes_to_first(
    command: str, summary: str
) -> None:
    job = Job(id="remote-3", state=JobState.RUNNING, command=command)
    assert formatting.job_summary(job) == summary


def test_a_step_of_ours_is_known_by_its_description() -> None:
    step = Job(
        id="remote-4",
        state=JobState.SUCCEEDED,
        command="#!/bin/sh\nset -eu",
        description="repo clone",
        foreground=True,
    )
    assert formatting.job_line(step) == "remote-4 succeeded: repo clone"


def test_a_long_line_is_cut_where_it_says_so() -> None:
    assert formatting.one_line("x" * 100, 10) == "x" * 9 + "…"
    assert formatting.one_line("short", 10) == "short"


def ended(end: EndKind, **facts: object) -> CommandResult:
    job = Job(id="remote-2", **facts)  # type: ignore[arg-type]
    return CommandResult(job=job, end=end)


def test_a_plain_exit_needs_no_words() -> None:
    assert not formatting.end_lines(ended(EndKind.EXITED, state=JobState.FAILED))


def test_the_other_ends_of_a_command_are_distinguished() -> None:
    killed = ended(
        EndKind.SIGNALLED,
        state=JobState.FAILED,
        exit_code=137,
        signal="KILL",
        signal_certain=True,
    )
    assert formatting.end_lines(killed) == (
        "remote-2 failed (signal KILL: often out of memory)",
    )
    late = ended(EndKind.TIMED_OUT, state=JobState.TIMED_OUT, exit_code=124)
    assert formatting.end_lines(late) == (
        "remote-2 timed out; no process of it can be found any more",
    )
    lost = ended(EndKind.CONNECTION_LOST, state=JobState.UNKNOWN)
    assert formatting.end_lines(lost) == (
        "error: the connection was lost; whether remote-2 ended or lives is unknown",
        "hint: a lost link ends nothing there. See it: sandbox-ops logs remote-2",
    )
    never = CommandResult(
        job=Job(id="", state=JobState.UNKNOWN, reason="no answer from gpu1"),
        end=EndKind.CONNECTION_LOST,
    )
    assert formatting.end_lines(never) == (
        "error: no answer from gpu1",
        "hint: see whether it runs: sandbox-ops jobs",
    )


def test_survivors_are_named_with_the_command_that_ends_them() -> None:
    result = ended(
        EndKind.EXITED, state=JobState.SUCCEEDED, survivors=1, log_incomplete=True
    )
    assert formatting.end_lines(result) == (
        "1 process of remote-2 still lives; end: sandbox-ops stop remote-2",
        "the output of remote-2 is not complete: part was dropped there",
    )


def test_a_gpu_says_what_it_knows() -> None:
    known = Gpu(
        index=0,
        name="H100",
        utilization_percent=97,
        memory_used_mib=10240,
        memory_total_mib=81920,
        temperature_c=61,
    )
    assert formatting.gpu_line(known) == "GPU 0 H100: 97 %, 10.0 of 80.0 GiB, 61 °C"
    unknown = Gpu(index=1, name="MIG")
    assert formatting.gpu_line(unknown) == "GPU 1 MIG: ?, ? of ? GiB"


def test_disk_and_foreign_processes_are_one_line_each() -> None:
    disk = Disk(path="/workspace", free_bytes=1536, total_bytes=4096)
    assert formatting.disk_line(disk) == "1.5 KiB free of 4.0 KiB at /workspace"
    assert formatting.disk_line(None) == "?"
    other = ForeignProcess(pid=42, user="alice", age_s=65, command="python train.py")
    assert formatting.foreign_line(other) == "42 alice, 1 min 05 s: python train.py"


def test_an_error_ends_with_the_next_step_on_its_own_line() -> None:
    error = RefusedError("3 files are not committed", "commit them:\ngit commit -a")
    assert formatting.error_text(error) == (
        "error: 3 files are not committed\nhint: commit them:\n      git commit -a"
    )
    assert formatting.error_text(RefusedError("no")) == "error: no"


def test_hints_fit_into_80_columns_and_no_command_is_cut() -> None:
    fingerprint = "SHA256:4I94yRmC/W0K25teBw0xbPmZxHb/HypiTKX8X61k2yY"
    steps = {"sandbox": "default", "fingerprint": fingerprint}
    error = RefusedError(
        "the host key is not known",
        NextStep(
            "trust", steps, "Compare it with the machine's own; if it is the same"
        ),
        "Correct it where it is named: SSH_HOST, `host` of the sandbox in config.toml or "
        "sandbox.toml, or HostName in ssh_config.",
        "Also in the words of a report, a command has a line of its own: git push origin a-long-branch",
        NextStep("runs", purpose="All of them"),
    )
    assert formatting.error_text(error).splitlines()[1:] == [
        "hint: Compare it with the machine's own; if it is the same:",
        f"      sandbox-ops trust --sandbox default --fingerprint {fingerprint}",
        "      Correct it where it is named: SSH_HOST, `host` of the sandbox in",
        "      config.toml or sandbox.toml, or HostName in ssh_config.",
        "      Also in the words of a report, a command has a line of its own:",
        "      git push origin a-long-branch",
        "      All of them: sandbox-ops runs",
    ]


def test_what_json_cannot_say_becomes_null() -> None:
    value = {"loss": math.nan, "all": [1.5, math.inf, ("x", -math.inf)]}
    output = json.dumps(formatting.finite(value), allow_nan=False)
    assert json.loads(output) == {"loss": None, "all": [1.5, None, ["x", None]]}
