"""Completion, in real shells and as they ask for it."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from each_link import ThisComputer
from terminals import Terminal
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.cli.mcp_hosts import HOSTS
from sandbox_ops.machine import jobs
from sandbox_ops.models.objections import FORCE_NAMES
from sandbox_ops.tasks import ns

NAME = "x-night-run"
"""Of a job: no other test's begins like it, in the home that they share."""
PATH = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"


@pytest.fixture
def place(machine: ThisComputer, shared_sandbox: Sandbox, tmp_path: Path) -> Path:
    """A folder that knows two machines, one of them with a job that has a name."""
    toml = machine.write_toml(tmp_path)
    toml.write_text(
        toml.read_text("utf-8") + '\n[sandboxes.other]\nhost = "127.0.0.1:1"\n', "utf-8"
    )
    jobs.wait(shared_sandbox, shared_sandbox.start("true", name=NAME).id, timeout_s=20)
    return tmp_path


def completed(*words: str, cwd: Path) -> list[str]:
    """The candidates for the last word, without their descriptions."""
    done = cli("--complete", "--", *words, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (("tr",), ["train", "trust"]),
        (("train", "--force", ""), list(FORCE_NAMES)),
        (
            ("train", "--force", "busy-gpu", "--force", "s"),
            ["same-name", "same-output", "stale-code"],
        ),
        (("train", "--force=st"), ["--force=stale-code"]),
        (("train", "--force", "=", "st"), ["stale-code"]),
        (("mcp-install", "--host", "c"), [h for h in HOSTS if h.startswith("c")]),
        (("mcp-install", "--scope", ""), ["project", "user"]),
        (("completion", ""), ["bash", "fish", "zsh"]),
        (("jobs", "--sandbox", ""), ["test", "other"]),
        (("sync", "--p"), ["--push"]),
        (("fetch", "--into", "x"), [":files"]),
        (("run", "--", "ls", "--"), []),
        (("jobs", "--limit", ""), []),
    ],
)
def test_what_fits_is_offered(
    place: Path, words: tuple[str, ...], candidates: list[str]
) -> None:
    assert completed(*words, cwd=place) == candidates


def test_every_verb_is_offered_with_what_it_does(place: Path) -> None:
    done = cli("--complete", "--", "", cwd=place)
    lines = dict(line.split("\t") for line in done.stdout.splitlines())
    assert set(lines) == set(ns.tasks)
    assert lines["jobs"] == "List the jobs of the machine, newest first."


@pytest.mark.parametrize("verb", ["logs", "stop", "pin", "fetch"])
def test_jobs_are_offered_by_id_and_name(place: Path, verb: str) -> None:
    def offered() -> list[str]:  # none while the machine takes longer than a second
        return completed(verb, "", cwd=place)

    names = wait_until(offered, 30)
    assert any(each.startswith("remote-") for each in names)
    assert {NAME, "last"} <= set(names)


def test_a_machine_that_does_not_answer_costs_a_second_and_nothing_is_reported(
    tmp_path: Path,
) -> None:
    """A port that accepts and stays silent, as a frozen machine does."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        env = {
            "SSH_HOST": f"me@127.0.0.1:{port}",
            "XDG_CONFIG_HOME": str(tmp_path),
        }
        began = time.monotonic()
        done = cli("--complete", "--", "logs", "", cwd=tmp_path, env=env)
        took_s = time.monotonic() - began
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert took_s < 10  # far below every timeout of a connection


def test_without_a_machine_nothing_is_offered_and_nothing_is_reported(
    tmp_path: Path,
) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    done = cli("--complete", "--", "logs", "", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bash_completes_verbs_names_and_jobs(place: Path) -> None:
    script = (
        'eval "$(sandbox-ops completion bash)"\n'
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sandbox_ops;'
        ' echo "${COMPREPLY[*]}"; }\n'
        "ask sandbox-ops mon\nask sandbox-ops train --force un\n"
        "until ask sandbox-ops logs x-night | grep .; do :; done\n"
        "ask sandbox-ops logs --sandbox = te\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=place, env={**os.environ, "PATH": PATH},
        capture_output=True, text=True, check=True, timeout=50,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["monitor", "unpushed", NAME, "test"]


@pytest.mark.parametrize(
    ("shell", "load"),
    [
        (
            ("bash", "--norc", "--noprofile", "-i"),
            'eval "$(sandbox-ops completion bash)"',
        ),
        (
            ("zsh", "-f", "-i"),
            'autoload -U compinit; compinit -u -D; eval "$(sandbox-ops completion zsh)"',
        ),
        (("fish", "--no-config", "-i"), "sandbox-ops completion fish | source"),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_tab_completes_at_a_real_prompt(
    shell: tuple[str, ...], load: str, place: Path
) -> None:
    env = {"PATH": PATH, "HOME": str(place), "PS1": "prompt> "}
    with Terminal(*shell, cwd=place, columns=120, env=env) as terminal:
        terminal.types(f"{load}; echo load''ed\r")
        terminal.shows("loaded")
        terminal.types("sandbox-ops comple\t")
        terminal.shows("sandbox-ops completion")
        terminal.types("ba\t; echo verb do''ne\r")
        terminal.shows("complete -F _sandbox_ops", "verb done")
        terminal.types("echo sandbox-ops; sandbox-ops train --force busy\t")
        terminal.shows("--force busy-gpu")
        terminal.types("\x15")  # an empty line again
        terminal.types("sandbox-ops pin --off x-nig")

        def tab_completes() -> bool:  # not while the machine takes longer than a second
            terminal.types("\t")
            return terminal.shown(f"--off {NAME}", within_s=2)

        wait_until(tab_completes, 30)


def test_an_unknown_shell_is_a_usage_error(tmp_path: Path) -> None:
    for arguments in (("completion", "tcsh"), ("completion",)):
        done = cli(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "bash, zsh or fish" in done.stderr
