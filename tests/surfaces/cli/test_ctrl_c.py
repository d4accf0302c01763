"""Ctrl-C at a real terminal: what is only watched goes on, what is waited for ends."""

import os
import pty
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from command_line import PROGRAM
from each_link import ThisComputer
from gitproject import GitProject
from machines import set_up
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job

CTRL_C = b"\x03"


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self._said = bytearray()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", PROGRAM, *arguments],
            cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        os.close(self._ours)

    def shows(self, *texts: str) -> None:
        """Wait until all of it stood there, in this order; the next begins after it."""
        for text in texts:
            wait_until(lambda: text.encode() in self._read(), 30, what=text)  # noqa: B023
            _, _, rest = self._said.partition(text.encode())
            self._said = bytearray(rest)

    def types(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def end(self) -> int:
        """Wait for the program's end; return its exit code."""
        wait_until(lambda: self._read() is not None and self._ended(), 30)
        return self._process.wait(1)

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def _read(self) -> bytes:
        try:
            while piece := os.read(self._ours, 4096):
                self._said += piece
        except OSError:  # nothing now, or nobody there any more
            pass
        return bytes(self._said)


@pytest.fixture
def place(machine: ThisComputer, tmp_path: Path) -> Path:
    machine.write_toml(tmp_path)
    return tmp_path


@pytest.fixture
def job(shared_sandbox: Sandbox) -> Iterator[Job]:
    """A job that says something and lives."""
    job = shared_sandbox.start("echo begun; sleep 60")
    yield job
    jobs.stop(shared_sandbox, job.id, grace_s=0)


def state(sandbox: Sandbox, job_id: str) -> JobState:
    return jobs.get(sandbox, job_id).state


def test_ctrl_c_leaves_a_job_that_is_watched_and_says_how_to_end_it(
    place: Path, job: Job, shared_sandbox: Sandbox
) -> None:
    with Terminal("logs", "-f", job.id, cwd=place) as terminal:
        terminal.shows("begun")
        terminal.types(CTRL_C)
        terminal.shows(
            f"{job.id} goes on; see it again: sandbox-ops logs {job.id} --follow",
            f"Ctrl-C again within 2 s, or: sandbox-ops stop {job.id}",
        )
        assert terminal.end() == 130
    assert state(shared_sandbox, job.id) is JobState.RUNNING


def test_a_second_ctrl_c_ends_it(
    place: Path, job: Job, shared_sandbox: Sandbox
) -> None:
    with Terminal("logs", "-f", job.id, cwd=place) as terminal:
        terminal.shows("begun")
        terminal.types(CTRL_C)
        terminal.shows("Ctrl-C again")
        shown = time.monotonic()
        wait_until(
            lambda: time.monotonic() > shown + 0.5, what="a person's second thought"
        )
        terminal.types(CTRL_C)
        terminal.shows(f"stopping {job.id}", f"{job.id} stopped")
        assert terminal.end() == 130
    assert state(shared_sandbox, job.id) is JobState.STOPPED


def test_two_ctrl_c_in_one_go_do_not_end_it(
    place: Path, job: Job, shared_sandbox: Sandbox
) -> None:
    with Terminal("logs", "-f", job.id, cwd=place) as terminal:
        terminal.shows("begun")
        terminal.types(CTRL_C)
        terminal.shows("Ctrl-C again")
        terminal.types(CTRL_C)
        assert terminal.end() == 130
    assert state(shared_sandbox, job.id) is JobState.RUNNING


def test_a_training_that_is_watched_goes_on_too(
    machine: ThisComputer, sandbox: Sandbox, git_project: GitProject
) -> None:
    set_up(sandbox, git_project)
    machine.write_toml(git_project.clone, workspace=sandbox.config.workspace)
    text = ("train", "--watch", "--command", "echo be''gun; sleep 60")
    with Terminal(*text, cwd=git_project.clone) as terminal:
        terminal.shows("begun")
        terminal.types(CTRL_C)
        terminal.shows("goes on", "Ctrl-C again")
        assert terminal.end() == 130
    job = next(job for job in jobs.recent(sandbox) if not job.foreground)
    assert job.state is JobState.RUNNING
    jobs.stop(sandbox, job.id, grace_s=0)


def test_ctrl_c_ends_a_command_that_is_waited_for(
    place: Path, shared_sandbox: Sandbox
) -> None:
    line = "trap 'echo saved; exit 0' TERM; echo begun; sleep 79 & wait"
    with Terminal("run", "--command", line, cwd=place) as terminal:
        terminal.shows("begun")
        terminal.types(CTRL_C)
        terminal.shows("stopping it", "saved")
        assert terminal.end() == 130
    listed = next(
        job
        for job in jobs.recent(shared_sandbox, include_commands=True)
        if job.command == line
    )
    assert listed.state is JobState.STOPPED


def test_a_second_ctrl_c_does_not_wait_for_the_end_that_comes_all_the_same(
    place: Path, shared_sandbox: Sandbox
) -> None:
    line = "trap '' TERM; echo begun; while :; do sleep 0.1; done"
    with Terminal("run", "--command", line, cwd=place) as terminal:
        terminal.shows("begun")
        terminal.types(CTRL_C)
        terminal.shows("stopping it")
        terminal.types(CTRL_C)
        terminal.shows("interrupted")
        assert terminal.end() == 130
    listed = next(
        job
        for job in jobs.recent(shared_sandbox, include_commands=True)
        if job.command == line
    )
    wait_until(lambda: state(shared_sandbox, listed.id) is JobState.STOPPED)
