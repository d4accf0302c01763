"""The command line where stdout and stderr cannot hold every character."""

import json
from pathlib import Path

import pytest
from command_line import cli
from each_link import ThisComputer
from slow import slow

from sandbox_ops import Sandbox
from sandbox_ops.cli.encoding import plain
from sandbox_ops.machine import jobs

ENCODINGS = (
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
)


@pytest.fixture
def place(machine: ThisComputer, shared_sandbox: Sandbox, tmp_path: Path) -> Path:
    """A folder that knows a machine, where a job's command is not ASCII."""
    machine.write_toml(tmp_path)
    started = shared_sandbox.start("echo 'grün → 漢字'; exit 3")
    jobs.wait(shared_sandbox, started.id, timeout_s=20)
    return tmp_path


@pytest.mark.parametrize("env", [ENCODINGS[0], *slow(*ENCODINGS[1:])])
@pytest.mark.parametrize(
    "words",
    [
        ("jobs",),
        ("jobs", "--json"),
        ("monitor",),
        ("doctor",),
        ("logs", "JOB"),
        ("stop", "JOB"),
    ],
)
def test_every_verb_answers_whatever_the_encoding_can_hold(
    place: Path,
    shared_sandbox: Sandbox,
    words: tuple[str, ...],
    env: dict[str, str],
) -> None:
    newest = jobs.recent(shared_sandbox, limit=1)[0].id
    words = tuple(newest if word == "JOB" else word for word in words)
    done = cli(*words, cwd=place, env=env)
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 1}, done  # doctor may find something
    if "--json" in words:
        assert json.loads(done.stdout)["jobs"]
    elif words[0] in {"jobs", "logs"}:
        assert "gr" in done.stdout


@pytest.mark.parametrize("env", ENCODINGS)
def test_an_error_is_reported_whatever_the_encoding_can_hold(
    tmp_path: Path, env: dict[str, str]
) -> None:
    done = cli("trian→", cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert "there is no verb `trian" in done.stderr


@pytest.mark.parametrize(
    ("character", "near"),
    [
        ("…", "~"),
        ("→", ">"),
        ("█", "#"),
        ("é", "e"),
        ("漢", "?"),
        ("⣀", "*"),
        ("┌", "+"),
    ],
)
def test_a_character_becomes_the_nearest_plain_one(character: str, near: str) -> None:
    assert plain(character) == near


def test_bytes_that_are_no_text_stay_readable() -> None:
    assert plain(b"\xff".decode("utf-8", "surrogateescape")) == "\\xff"
