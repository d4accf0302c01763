"""What a machine says of its runs: any bytes are read, or refused as no answer of ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import ProtocolError
from sandbox_ops.machine import run_curves, run_records
from sandbox_ops.machine.run_records import RunPage
from sandbox_ops.models import JobState
from sandbox_ops.remote.frames import Segment

STATE = "ended code=3 reason=exited sure=1 up1=400 t0=100 up0=100 survivors=0 ended"
RECORD = {"commit": "abc", "settings": {"lr": "1"}}
SPEC = {"format": 1, "command": "x", "name": "night", "group": "t1", "cell": 2}
STORE = ("store", "id=s", "top=5", "upto=5", "labels=0", "pruned=0")


def lines(job_id: str, **files: str) -> bytes:
    texts = {
        "state": STATE,
        "spec.json": json.dumps(SPEC),
        "run.json": json.dumps(RECORD),
    }
    texts |= {name.replace("_", "."): text for name, text in files.items()}
    return "".join(
        f"{job_id}/{name}:{line}\n"
        for name, text in texts.items()
        for line in text.split("\n")
    ).encode()


def page(records: bytes = b"", pruned: bytes = b"", labels: bytes = b"") -> RunPage:
    segments = [
        Segment(records, "records", ()),
        Segment(labels, "labels", ()),
        Segment(pruned, "pruned", ()),
        Segment(b"", STORE[0], STORE[1:]),
    ]
    return run_records.page(segments, "/home/me/base")


def test_a_record_is_a_job_with_its_record_and_its_group() -> None:
    run = page(lines("remote-2", run_json=json.dumps(RECORD, indent=2))).runs[
        "remote-2"
    ]
    assert (run.job.state, run.job.exit_code) == (JobState.FAILED, 3)
    assert (run.job.name, run.job.elapsed_s) == ("night", 3.0)
    assert run.record == {**RECORD, "group": "t1", "cell": 2}
    assert run.job.log_path == "/home/me/base/jobs/remote-2/log"


def test_one_that_has_not_ended_is_not_guessed_to_be_lost() -> None:
    run = page(lines("remote-2", state="running pid=1 t0=100 running")).runs["remote-2"]
    assert run.job.state is JobState.UNKNOWN


def test_what_is_there_counts_more_than_what_was_pruned() -> None:
    old = lines("remote-2", run_json='{"commit": "old"}')
    twice = page(lines("remote-2"), old + old)
    assert twice.runs["remote-2"].record["commit"] == "abc"
    assert page(b"", old + old).runs["remote-2"].record["commit"] == "old"


@pytest.mark.parametrize(
    "files",
    [
        {"run_json": "{"},
        {"run_json": "[]"},
        {"run_json": "[" * 100_000},
        {"spec_json": ""},
        {"spec_json": "7"},
        {"spec_json": '{"format": 99}'},
        {"state": "odd"},
        {"state": ""},
    ],
)
def test_a_damaged_record_costs_that_run_alone(files: dict[str, str]) -> None:
    runs = page(lines("remote-2", **files) + lines("remote-3")).runs
    assert "remote-3" in runs
    assert (
        runs.get("remote-2") is None or runs["remote-2"].job.state is JobState.UNKNOWN
    )


def test_a_machine_cannot_name_what_is_no_job() -> None:
    for name in ("../../etc", "remote-0", "remote-1\x1b[31m", ""):
        assert page(lines(name)).runs == {}


@given(st.binary(max_size=400), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_read(records: bytes, pruned: bytes, labels: bytes) -> None:
    page(records, pruned, labels)
    page(lines("remote-2") + records, b"remote-1/state:" + pruned, labels)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("id=s", "top=5"),
        ("id=s", "top=x", "upto=5", "labels=0", "pruned=0"),
        ("id=s", "top=5", "upto=-1", "labels=0", "pruned=0"),
        ("top=5", "upto=5", "labels=0", "pruned=0"),
    ],
)
def test_an_answer_that_does_not_say_up_to_where_is_none(
    words: tuple[str, ...],
) -> None:
    with pytest.raises(ProtocolError):
        run_records.page([Segment(b"", "store", words)], "/base")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_as_the_courses_of_metrics(data: bytes) -> None:
    run_curves.parts(data)
    run_curves.parts(b"\0remote-1 log x y\n" + data)
