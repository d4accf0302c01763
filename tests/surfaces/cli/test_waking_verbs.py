"""`wait` and `events` as programs: exit codes, JSON, cursors, signals, readers that leave."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from each_link import ThisComputer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs

FOR_EVER = "sleep 7431"
FIELDS = [
    "at", "event", "sandbox", "job", "name", "state", "exit_code", "message", "cursor",
]  # fmt: skip


@pytest.fixture
def place(machine: ThisComputer, tmp_path: Path) -> Path:
    machine.write_toml(tmp_path)
    return tmp_path


class Followed:
    """`events --follow` in the background, with its lines."""

    def __init__(self, place: Path, *words: str) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        self.process = subprocess.Popen(
            [PROGRAM, "events", "--follow", *words],
            cwd=place, stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE,
        )  # fmt: skip
        os.close(write)
        self._said = b""
        self._is_read = True

    def lines(self) -> list[str]:
        try:
            while piece := os.read(self._read, 65536):
                self._said += piece
        except BlockingIOError:
            pass
        return self._said.decode().splitlines()

    def leave(self) -> None:
        """Read no more."""
        if self._is_read:
            os.close(self._read)
        self._is_read = False

    def end(self) -> tuple[int, str]:
        _, output = self.process.communicate(timeout=20)
        return self.process.returncode, output.decode()


def probed(sandbox: Sandbox, follower: Followed) -> bool:
    sandbox.start("true")
    return bool(follower.lines())


@pytest.fixture
def followed(place: Path, sandbox: Sandbox) -> Iterator[Followed]:
    """Events that are heard: a probe was told."""
    follower = Followed(place, "--json")
    try:
        wait_until(lambda: probed(sandbox, follower), 30, every_s=0.5)
        yield follower
    finally:
        follower.leave()
        follower.process.kill()
        follower.process.wait(10)
        assert follower.process.stderr
        follower.process.stderr.close()


def waited(*words: str, place: Path) -> tuple[int, dict[str, Any]]:
    done = cli("wait", *words, "--json", cwd=place)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)]
)
def test_wait_ends_with_the_exit_code_of_the_job(
    place: Path, sandbox: Sandbox, command: str, code: int
) -> None:
    slow = sandbox.start(FOR_EVER)
    job = sandbox.start(f"echo last line; {command}")
    exit_code, report = waited(slow.id, job.id, place=place)
    assert (exit_code, list(report)) == (
        code,
        ["event", "job", "line", "warnings"],
    )
    assert (report["event"], report["job"]["id"]) == ("ended", job.id)
    assert report["line"] == "last line"
    jobs.stop(sandbox, slow.id, grace_s=0)


def test_wait_ends_with_124_where_its_time_is_over(
    place: Path, sandbox: Sandbox
) -> None:
    job = sandbox.start(FOR_EVER)
    exit_code, report = waited(job.id, "--timeout", "1", place=place)
    assert (exit_code, report["event"]) == (124, "timeout")
    jobs.stop(sandbox, job.id, grace_s=0)


def test_wait_for_a_line_ends_with_0_and_shows_it(
    place: Path, sandbox: Sandbox
) -> None:
    job = sandbox.start(f"echo serving on 8080; {FOR_EVER}", name="server")
    done = cli("wait", "server", "--for", "serving on [0-9]+", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "match: serving on 8080"
    assert f'{job.id} "server" running' in done.stdout
    jobs.stop(sandbox, job.id, grace_s=0)


def test_wait_ends_with_1_at_a_warning_unless_it_ignores_them(
    place: Path, sandbox: Sandbox
) -> None:
    job = sandbox.start(f"echo step 1 loss nan; {FOR_EVER}")
    exit_code, report = waited(job.id, place=place)
    assert (exit_code, report["event"], report["line"]) == (1, "warning", "loss is nan")
    exit_code, report = waited(
        job.id, "--ignore-warnings", "--timeout", "1", place=place
    )
    assert (exit_code, report["event"]) == (124, "timeout")
    jobs.stop(sandbox, job.id, grace_s=0)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "`wait` needs a job"),
        (["last", "--for", "(x"], 2, "pattern"),
        (["nobody"], 66, "no job 'nobody'"),
        (["last", "--timeout", "soon"], 2, "--timeout"),
    ],
)
def test_wait_says_what_is_wrong(
    place: Path, words: list[str], code: int, says: str
) -> None:
    done = cli("wait", *words, cwd=place)
    assert done.returncode == code
    assert says in done.stderr


def test_events_since_a_cursor_are_what_is_new(place: Path, sandbox: Sandbox) -> None:
    sandbox.start("true")
    lines = cli("events", "--json", cwd=place).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert all(list(event) == FIELDS for event in events)
    cursor = events[-1]["cursor"]
    job = sandbox.start("exit 4", name="once")
    jobs.wait(sandbox, job.id, timeout_s=30)
    done = cli("events", "--json", "--since", cursor, job.id, cwd=place)
    output = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(e["event"], e["job"], e["name"], e["exit_code"]) for e in output] == [
        ("started", job.id, "once", 4),
        ("ended", job.id, "once", 4),
    ]
    nothing = cli(
        "events", "--json", "--since", output[-1]["cursor"], job.id, cwd=place
    )
    assert (nothing.stdout, nothing.stderr, nothing.returncode) == ("", "", 0)


def test_a_bad_cursor_is_refused(place: Path) -> None:
    done = cli("events", "--since", "1.abc", cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no cursor" in done.stderr


def test_events_are_words_for_people(place: Path, sandbox: Sandbox) -> None:
    job = sandbox.start("exit 4", name="night run")
    jobs.wait(sandbox, job.id, timeout_s=30)
    done = cli("events", job.id, cwd=place)
    started, ended = done.stdout.splitlines()
    assert started.endswith(f'{job.id} "night run" started: exit 4')
    assert f'{job.id} "night run" ended: failed (exit code 4) after' in ended


def test_followed_events_come_as_they_happen(
    followed: Followed, sandbox: Sandbox
) -> None:
    job = sandbox.start("exit 5")
    wait_until(lambda: any('"exit_code": 5' in line for line in followed.lines()), 20)
    ended = [json.loads(line) for line in followed.lines() if job.id in line][-1]
    assert (ended["event"], ended["state"]) == ("ended", "failed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_events_within_a_second(
    followed: Followed, number: signal.Signals
) -> None:
    began = time.monotonic()
    followed.process.send_signal(number)
    code, output = followed.end()
    assert time.monotonic() - began < 5  # a busy machine may take a while
    assert code in {-signal.SIGTERM, 130}
    assert "Traceback" not in output


def test_a_reader_that_leaves_ends_events_quietly_though_nothing_happens(
    followed: Followed,
) -> None:
    followed.leave()
    assert followed.end() == (141, "")


def test_one_machine_that_is_down_is_reported_and_the_others_go_on(
    machine: ThisComputer, sandbox: Sandbox, tmp_path: Path
) -> None:
    machine.write_toml(tmp_path)
    file = tmp_path / "sandbox.toml"
    file.write_text(file.read_text() + '[sandboxes.gone]\nhost = "127.0.0.1:9"\n')
    allowed = cli("allow", "--sandbox", "gone", "--yes", cwd=tmp_path)
    assert allowed.returncode == 0, allowed.stderr
    sandbox.start("true")
    done = cli("events", "--json", cwd=tmp_path)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert {e["sandbox"] for e in events if e["event"] == "unreachable"} == {"gone"}
    assert any(e["event"] == "started" for e in events)
    alone = cli("events", "--sandbox", "gone", cwd=tmp_path)
    assert alone.returncode == 255
    assert "unreachable" in alone.stdout
