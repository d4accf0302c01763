"""The workflows as a process: what people read, what programs get, how they end."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from each_link import ThisComputer
from gitproject import GitProject, make_git_project
from processes import Child
from sshd import SshServer
from terminals import Terminal

TRAINING = """
import pathlib, sys
for step in range(1, 6):
    print(f"step {step}/5 loss={1 / step:.3f}", flush=True)
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.pt").write_text("weights")
sys.exit(int(sys.argv[1]))
"""
CONFIGURED = """
[project]
outputs = ["models/"]
[project.train]
command = "python3 train.py {code}"
"""


@pytest.fixture(scope="module")
def clone(machine: ThisComputer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local clone, set up on the machine, that all tests of this file share."""
    project = make_git_project(tmp_path_factory.mktemp("verbs"), "bucket")
    toml = machine.write_toml(project.clone, CONFIGURED).read_text("utf-8")
    files = {"train.py": TRAINING, ".gitignore": "models/\n", "sandbox.toml": toml}
    project.commit(files, push=True)
    done = cli("setup", cwd=project.clone)
    assert done.returncode == 0, done
    assert "ready (" in done.stdout
    return project.clone


def answer(*arguments: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    """The one JSON object of a call."""
    done = cli(*arguments, "--json", cwd=cwd)
    assert done.returncode == code, done
    assert done.stdout.count("\n") == 1
    output = json.loads(done.stdout)
    assert isinstance(output, dict)
    return output


def test_before_the_setup_a_verb_names_it(
    machine: ThisComputer, git_project: GitProject
) -> None:
    machine.write_toml(git_project.clone)
    for verb in (("sync",), ("run", "--", "true")):
        done = cli(*verb, cwd=git_project.clone)
        assert done.returncode == 66
        assert "sandbox-ops setup" in done.stderr


def test_setup_shows_its_steps_and_their_results(clone: Path) -> None:
    done = cli("setup", cwd=clone)
    assert [line.split()[:2] for line in done.stdout.splitlines()[:2]] == [
        ["ok", "clone"],
        ["ok", "logs"],
    ]
    assert done.stdout.endswith("ready (nothing to do); next: sandbox-ops train\n")
    steps = answer("setup", cwd=clone)["steps"]
    assert all(set(step) >= {"name", "result", "seconds"} for step in steps)


def test_sync_reports_branch_and_commits(clone: Path) -> None:
    result = answer("sync", cwd=clone)
    assert set(result) >= {"branch", "commit_before", "commit_after", "pushed"}
    assert result["branch"] == "main"
    assert result["pushed"] is False
    output = cli("sync", cwd=clone).stdout
    assert output == f"main at {result['commit_after'][:10]}, as before\n"


def test_a_watched_training_shows_its_log_and_ends_with_its_code(clone: Path) -> None:
    done = cli("train", "--watch", "--name", "night", "--set", "code=3", cwd=clone)
    assert done.returncode == 3
    assert "step 5/5 loss=0.200\n" in done.stdout
    assert "failed (exit code 3)" in done.stderr


def test_a_watched_training_as_json_is_the_job_at_its_end(clone: Path) -> None:
    result = answer("train", "--watch", "--set", "code=4", cwd=clone, code=4)
    assert result["job"]["state"] == "failed"
    assert result["job"]["exit_code"] == 4


def test_a_training_is_started_with_the_words_after_two_dashes(clone: Path) -> None:
    text = ("train", "--json", "--time", "1m", "--", "sh", "-c", "echo 'a  b'")
    done = cli(*text, cwd=clone)
    job = json.loads(done.stdout)["job"]
    assert job["command"] == """sh -c 'echo '"'"'a  b'"'"''"""
    followed = cli("logs", "-f", job["id"], cwd=clone)
    assert followed.stdout == "a  b\n"


def test_a_training_whose_program_is_not_there_is_reported_at_once(clone: Path) -> None:
    done = cli("train", "--", "no-such-python", "train.py", cwd=clone)
    assert done.returncode == 1
    assert "failed (exit code 127: command not found)" in done.stdout
    assert "no-such-python: command not found" in done.stdout
    assert "no such program in its PATH" in done.stdout
    assert "sandbox-ops setup" in done.stdout
    fine = cli("train", "--", "sh", "-c", "echo begun; sleep 60", cwd=clone)
    assert fine.returncode == 0
    assert "| begun" in fine.stdout
    assert cli("stop", "last", "--grace", "1", cwd=clone).returncode == 0


def test_monitor_shows_how_the_log_of_a_failed_job_ends(clone: Path) -> None:
    words = ("train", "--watch", "--command", "echo the reason; exit 3")
    job = answer(*words, cwd=clone, code=3)["job"]
    assert f"{job['id']} | the reason" in cli("monitor", cwd=clone).stdout


def test_the_steps_of_a_verb_are_in_the_audit_log_and_shown_on_request(
    clone: Path,
) -> None:
    assert cli("sync", cwd=clone).returncode == 0
    brief, whole = cli("audit", cwd=clone).stdout, cli("audit", "--all", cwd=clone)
    assert " sync " in brief
    assert "script repo_fetch" not in brief
    assert "script repo_fetch" in whole.stdout
    of_kind = cli("audit", "--action", "script", cwd=clone).stdout
    assert "script repo_fetch" in of_kind


def test_ctrl_c_in_a_watched_training_lets_it_go_on(clone: Path) -> None:
    with Child(
        [PROGRAM, "train", "--watch", "--", "sh", "-c", "echo begun; sleep 50"],
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        while process.stdout.readline() != "begun\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "goes on; see it again: sandbox-ops logs remote-" in output
    job = next(j for j in answer("jobs", cwd=clone)["jobs"] if "begun" in j["command"])
    assert job["state"] == "running"
    assert cli("stop", job["id"], "--grace", "1", cwd=clone).returncode == 0


def test_fetch_brings_the_outputs_and_says_what(clone: Path, tmp_path: Path) -> None:
    assert cli("train", "--watch", "--set", "code=0", cwd=clone).returncode == 0
    listed = cli("fetch", "--dry-run", cwd=clone)
    assert "models/model.pt  7 B" in listed.stdout
    result = answer("fetch", "--into", str(tmp_path), cwd=clone)
    assert set(result) == {"sandbox", "files", "into", "warnings"}
    assert set(result["files"][0]) == {"path", "size_bytes", "sha256"}
    assert (tmp_path / "models" / "model.pt").read_text() == "weights"
    again = cli("fetch", "--into", str(tmp_path), cwd=clone)
    assert "1 file of the same content already where they belong" in again.stdout
    assert "0 files" not in again.stdout


def test_fetch_takes_a_path_of_the_machine_in_the_place_of_a_job(
    clone: Path, tmp_path: Path
) -> None:
    assert cli("train", "--watch", "--set", "code=0", cwd=clone).returncode == 0
    shown = cli("run", "--", "realpath", "models/model.pt", cwd=clone).stdout.strip()
    report = answer("fetch", shown, "--into", str(tmp_path / "one"), cwd=clone)
    assert [Path(file["path"]).name for file in report["files"]] == ["model.pt"]
    (file,) = (tmp_path / "one").rglob("model.pt")
    assert file.read_text() == "weights"
    assert (
        cli("fetch", "last", "--into", str(tmp_path / "job"), cwd=clone).returncode == 0
    )


def test_fetch_takes_the_option_path_as_often_as_it_is_given(
    clone: Path, tmp_path: Path
) -> None:
    assert cli("train", "--set", "code=0", "--watch", cwd=clone).returncode == 0
    words = ("--path", "models/model.pt", "--path", "train.py", "--into", str(tmp_path))
    report = answer("fetch", *words, cwd=clone)
    assert {Path(file["path"]).name for file in report["files"]} == {
        "model.pt",
        "train.py",
    }


def test_a_name_that_is_taken_is_refused_with_the_ways_out(clone: Path) -> None:
    held = ("train", "--name", "held", "--command", "sleep 60")
    first = answer(*held, cwd=clone)["job"]
    refused = cli("train", "--name", "held", "--", "true", cwd=clone)
    assert refused.returncode == 75
    assert f"held by {first['id']}" in refused.stderr
    assert f"sandbox-ops stop {first['id']}" in refused.stderr
    assert "Or start under another name." in refused.stderr
    assert cli("stop", "held", cwd=clone).returncode == 0


def test_monitor_shows_the_machine(clone: Path) -> None:
    result = answer("monitor", cwd=clone)
    assert set(result) >= {
        "sandbox", "reachable", "jobs", "gpus", "disk", "foreign", "warnings",
    }  # fmt: skip
    assert result["reachable"] is True
    assert cli("monitor", cwd=clone).stdout.startswith("test: ")


def test_monitor_of_an_unreachable_machine_is_a_report_and_255(tmp_path: Path) -> None:
    done = cli("monitor", "--json", cwd=tmp_path, env={"SSH_HOST": "x@127.0.0.1:1"})
    assert done.returncode == 255
    assert json.loads(done.stdout)["reachable"] is False


def test_reset_reports_what_it_did(clone: Path) -> None:
    edit = "echo edited >> README.md; echo new > new.txt"
    assert cli("run", "--command", edit, cwd=clone).returncode == 0
    planned = cli("reset", "--dry-run", cwd=clone)
    assert "would be rescued to refs/sandbox-ops/backup/" in planned.stdout
    result = answer("reset", cwd=clone)
    assert set(result) >= {
        "stopped", "backup_ref", "commit_before", "commit_after", "dry_run",
    }  # fmt: skip
    assert result["backup_ref"].startswith("refs/sandbox-ops/backup/")
    assert cli("run", "--", "git", "status", "--short", cwd=clone).stdout == ""


def test_doctor_lists_every_check(clone: Path) -> None:
    text = cli("doctor", cwd=clone)
    assert text.stdout.splitlines()[0].split() == ["CHECK", "RESULT", "DETAIL"]
    assert text.returncode == 0
    assert answer("doctor", cwd=clone)["ok"] is True


def test_an_unknown_host_key_is_trusted_by_its_fingerprint_only(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    server.write_toml(tmp_path)
    server.known_hosts.write_text("")
    refused = cli("trust", cwd=tmp_path)
    assert refused.returncode == 75
    *_, hint = refused.stderr.partition("sandbox-ops trust")
    command = ["sandbox-ops", "trust", *hint.split()]
    assert command[:5] == ["sandbox-ops", "trust", "--sandbox", "test", "--fingerprint"]
    wrong = cli("trust", "--fingerprint", "SHA256:wrong", "--json", cwd=tmp_path)
    assert (wrong.returncode, server.known_hosts.read_text()) == (255, "")
    trusted = cli(*command[1:], "--json", cwd=tmp_path)
    assert json.loads(trusted.stdout)["added"] == [command[5]]
    assert cli("run", "--", "echo", "in", cwd=tmp_path).stdout == "in\n"


@pytest.mark.parametrize(
    ("answers", "is_trusted"),
    [("y\nYes\n", True), ("nope\nno\n", False), ("\n", False)],
)
def test_trust_takes_what_ssh_takes_for_an_answer_and_asks_again_at_anything_else(
    make_sshd: Callable[..., SshServer],
    tmp_path: Path,
    answers: str,
    is_trusted: bool,
) -> None:
    server = make_sshd()
    server.write_toml(tmp_path)
    server.known_hosts.write_text("")
    with Terminal(PROGRAM, "trust", cwd=tmp_path) as terminal:
        terminal.shows("Trust it? (yes/no/the fingerprint)")
        first, *more = answers.splitlines()
        terminal.types(f"{first}\n")
        for each in more:
            terminal.shows("Please write yes, no or the fingerprint in full")
            terminal.types(f"{each}\n")
        assert terminal.end() == (0 if is_trusted else 75)
    assert bool(server.known_hosts.read_text()) is is_trusted


def test_monitor_on_a_terminal_goes_on_until_ctrl_c(clone: Path) -> None:
    ours, theirs = pty.openpty()
    with Child(
        [PROGRAM, "monitor", "--watch", "--interval", "0.2"],
        cwd=clone,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    ) as process:
        os.close(theirs)
        seen = b""
        while seen.count(b"test: ") < 3:  # drawn, and drawn again
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        while b"see them again: sandbox-ops monitor --watch" not in seen:
            seen += os.read(ours, 4096)
        assert process.wait(20) == 130
    os.close(ours)
