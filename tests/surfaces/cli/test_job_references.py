"""Jobs as people name them, what is listed, and what is said of how they ended."""

import json
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from each_link import ThisComputer
from terminals import Terminal

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs


@pytest.fixture(scope="module")
def place(machine: ThisComputer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("references")
    machine.write_toml(folder)
    return folder


def test_jobs_lists_jobs_and_all_of_it_on_request(
    place: Path, shared_sandbox: Sandbox
) -> None:
    jobs.wait(shared_sandbox, shared_sandbox.start("true").id, timeout_s=20)
    cli("run", "--", "true", cwd=place)
    listed = json.loads(cli("jobs", "--json", cwd=place).stdout)["jobs"]
    every = json.loads(cli("jobs", "--all", "--json", cwd=place).stdout)["jobs"]
    assert {job["id"].partition("-")[0] for job in listed} == {"remote"}
    assert {job["id"].partition("-")[0] for job in every} == {"remote", "cmd"}


def test_a_job_is_found_by_id_number_name_and_last(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = shared_sandbox.start("echo 'step 1 of it'", name="night-run")
    jobs.wait(shared_sandbox, job.id, timeout_s=20)
    number = job.id.rpartition("-")[2]
    for reference in (job.id, number, "night-run", "last"):
        assert cli("logs", reference, cwd=place).stdout == "step 1 of it\n"
    stopped = cli("stop", "last", "--json", cwd=place)
    assert json.loads(stopped.stdout)["job"]["id"] == job.id


@pytest.mark.parametrize(
    "words",
    [
        ("logs", "last", "--json"),
        ("wait", "last", "--json"),
        ("stop", "last", "--json"),
        ("pin", "last", "--json"),
        ("events", "last", "--json"),
    ],
)
def test_last_is_the_newest_job_and_never_a_command_for_every_verb(
    place: Path, shared_sandbox: Sandbox, words: tuple[str, ...]
) -> None:
    job = shared_sandbox.start("echo it")
    jobs.wait(shared_sandbox, job.id, timeout_s=20)
    shared_sandbox.run("echo a command, which is newer")
    first = json.loads(cli(*words, cwd=place).stdout.splitlines()[0])
    named = first["job"] if isinstance(first["job"], str) else first["job"]["id"]
    assert named == job.id


def test_steps_of_our_own_are_marked_where_all_commands_are_listed(
    place: Path, shared_sandbox: Sandbox
) -> None:
    shared_sandbox.run("true", description="a command of mine")
    shared_sandbox.script("doctor_look", "/", description="look at the machine")
    listed = cli("jobs", "--all", cwd=place).stdout
    assert "(step of sandbox-ops) look at the machine" in listed
    assert "sandbox-ops) a command of mine" not in listed


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exit 126", "failed (exit code 126: not executable)"),
        ("no-such-program", "failed (exit code 127: command not found)"),
        ("kill -KILL $$", "often out of memory"),
        ("exit 3", "failed (exit code 3)"),
    ],
)
def test_an_exit_code_says_what_it_means(
    place: Path, shared_sandbox: Sandbox, command: str, words: str
) -> None:
    job = shared_sandbox.start(command)
    jobs.wait(shared_sandbox, job.id, timeout_s=20)
    assert words in cli("stop", job.id, cwd=place).stdout


def test_a_number_of_lines_below_zero_is_refused(tmp_path: Path) -> None:
    done = cli("logs", "remote-1", "--lines", "-3", cwd=tmp_path)
    assert done.returncode == 2
    assert "--lines takes how many of the last lines, not -3" in done.stderr


def test_a_machine_of_the_environment_is_called_by_its_host(tmp_path: Path) -> None:
    env = {"SSH_HOST": "127.0.0.1:1", "XDG_CONFIG_HOME": str(tmp_path)}
    done = cli("monitor", cwd=tmp_path, env=env)
    assert done.returncode == 255
    assert done.stdout.startswith("127.0.0.1: not reachable")
    assert "default" not in done.stdout + done.stderr
    reported = json.loads(cli("monitor", "--json", cwd=tmp_path, env=env).stdout)
    assert reported["sandbox"] == "default"  # its name, for --sandbox


def test_raw_logs_are_the_bytes_of_the_job_on_a_terminal_too(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = shared_sandbox.start(r"printf 'a\n\033[31mred\033[0m\n'")
    jobs.wait(shared_sandbox, job.id, timeout_s=20)
    for arguments, colour in (((), False), (("--raw",), True)):
        with Terminal(PROGRAM, "logs", job.id, *arguments, cwd=place) as terminal:
            assert terminal.end() == 0
            assert (b"\x1b[31mred" in terminal.output()) is colour
    last = cli("logs", job.id, "--raw", "--lines", "1", cwd=place)
    assert last.stdout == "\x1b[31mred\x1b[0m\n"


def test_raw_output_of_run_takes_effect_on_a_terminal(place: Path) -> None:
    command = ("run", "--", "printf", r"\033[31mred\n")
    for arguments, colour in ((command, False), (("run", "--raw", *command[1:]), True)):
        with Terminal(PROGRAM, *arguments, cwd=place) as terminal:
            assert terminal.end() == 0
            assert (b"\x1b[31mred" in terminal.output()) is colour


def test_raw_and_filter_do_not_go_together(tmp_path: Path) -> None:
    done = cli("logs", "remote-1", "--raw", "--filter", "x", cwd=tmp_path)
    assert done.returncode == 2
