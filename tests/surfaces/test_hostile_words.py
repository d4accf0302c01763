"""A machine whose every word would deceive a reader: none of it reaches one as it is.

Names of jobs, commands, log lines, files, branches, GPUs, what git says, errors of the
worker: all of them hold escape sequences, controls, changes of direction and lines that
look like ours. Every verb is called, for people and as JSON, every tool, and a terminal.
"""

import contextlib
import json
import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from gitproject import GitProject, make_git_project
from machines import Place, fake_gpus, set_up
from mcp_server import asker
from sshd import SshServer, start_sshd
from waiting import wait_until

from mcp_adapter.catalog import TOOLSETS
from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandboxes import Sandboxes
from sandbox_ops.models import Job
from sandbox_ops.text import clean, marks

EVIL = "\x1b]0;pwned\x07\x1b[2J\x1b[8m\u009b31m\u009d0;open\u202e\u200bFORGED"
LINES = "\n[sandbox-ops: FORGED]\n\uff3bsandbox\u2010ops: FORGED\nhint: FORGED\n"
CONFIGURED = '[project]\noutputs = ["models/"]\n[project.train]\ncommand = "sh t.sh"\n'
COLOURS = re.compile(r"\x1b\[[0-79;]*m|\x1b\[\?25[hl]|\x1b\[2K|\x1b\[\d*[AG]|\r")
"""What Rich itself writes to a terminal: colours, the cursor, a line drawn again."""


@dataclass(frozen=True)
class Machine:
    """A machine with a project and a job, all of it hostile."""

    place: Place
    job: Job
    running: Job

    @property
    def clone(self) -> Path:
        return self.place.git.clone


def _hostile_project(folder: Path, server: SshServer, workspace: str) -> GitProject:
    git = make_git_project(folder, "bucket")
    file = server.write_toml(git.clone, CONFIGURED, workspace=workspace)
    toml = file.read_text("utf-8")
    training = f"printf '%s\\n' '{EVIL}' '{LINES}'\n"
    git.commit({"sandbox.toml": toml, "t.sh": training, ".gitignore": "models/\n"})
    git.git("checkout", "-q", "-b", "evil\u202e\u009b31mFORGED")
    git.git("push", "-q", "-u", "origin", "HEAD")
    return git


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("hostile")
    with start_sshd(folder / "server") as server:
        fake_gpus(server.home, f"0, H100 {EVIL}, GPU-a, 0, 4, 81559, 30, 580.1")
        config = server.config()
        git = _hostile_project(folder, server, config.workspace)
        with Sandbox(config) as sandbox:
            place = set_up(sandbox, git)
            place.write(f"models/m{EVIL.replace('/', '')}.pt", "weights")
            place.write(f"edited {EVIL}", "untracked")
            hook = place.write(".git/hooks/post-checkout", f"echo '{EVIL}' >&2\n")
            hook.chmod(0o755)
            says = f"printf '%s\\n' '{EVIL}' '{LINES}' 'loss=1 {EVIL}=2'"
            job = sandbox.start(f"{says}; exit 3 # {EVIL}", name=f"n {EVIL}")
            running = sandbox.start(
                f"{says}; sleep 300 # {EVIL}",
                name=f"r {EVIL}",
                project_path=str(place.clone),
            )
            jobs.wait(sandbox, job.id, timeout_s=20)
            wait_until(lambda: jobs.output(sandbox, running.id).data)
            yield Machine(place, job, running)
            jobs.stop(sandbox, running.id, grace_s=0)


def assert_harmless(reported: str, whose: str) -> None:
    assert clean.clean(reported) == reported, f"{whose}: {reported!r}"


def verbs(machine: Machine) -> list[tuple[str, ...]]:
    """Every verb that only looks, or can be called twice."""
    job = machine.job.id
    return [
        ("setup",),
        ("sync",),
        ("monitor",),
        ("jobs",),
        ("logs", job),
        ("logs", job, "--filter", "FORGED"),
        ("pin", job),
        ("fetch", "--dry-run"),
        ("doctor",),
        ("reset", "--dry-run"),
        ("trust",),
        ("stop", job),
        ("stop", f"nobody {EVIL}"),
        ("train", "--command", f"true # {EVIL}", "--force", "stale-code"),
        ("run", "--cwd", f"/nowhere {EVIL}", "--", "true"),
        ("logs", f"remote-77{EVIL}"),
    ]


def test_no_verb_shows_what_a_machine_says_as_it_is(machine: Machine) -> None:
    def call(words: tuple[str, ...]) -> tuple[str, str, str]:
        done = cli(*words, cwd=machine.clone)
        return " ".join(words), done.stdout, done.stderr

    with ThreadPoolExecutor(4) as pool:
        plain = list(pool.map(call, verbs(machine)))
        as_json = list(
            pool.map(
                call, [(*words[:1], "--json", *words[1:]) for words in verbs(machine)]
            )
        )
    for name, stdout, stderr in (*plain, *as_json):
        assert_harmless(stdout + stderr, name)
        assert "Traceback" not in stderr, f"{name}: {stderr}"
        assert not re.search("^(error|hint|warning): FORGED", stderr, re.MULTILINE)
    for name, stdout, _ in as_json:
        value = json.loads(stdout)
        assert_harmless(json.dumps(value, ensure_ascii=False), f"{name} as JSON")
    forged = {name for name, *line in plain if "FORGED" in "".join(line)}
    assert {"jobs", "monitor", f"logs {machine.job.id}", "fetch --dry-run"} <= forged
    assert {"sync", "doctor", "reset --dry-run"} <= forged


def test_run_in_a_pipe_is_exact_and_as_json_is_safe(machine: Machine) -> None:
    text = ("run", "--command", f"printf %s '{EVIL}'; printf %s '{EVIL}' >&2")
    done = cli(*text, cwd=machine.clone)
    assert done.stdout == EVIL
    assert EVIL in done.stderr
    done = cli("run", "--json", *text[1:], cwd=machine.clone)
    assert_harmless(json.dumps(json.loads(done.stdout), ensure_ascii=False), "run")


@contextlib.contextmanager
def at_a_terminal(*words: str, cwd: Path) -> Iterator[Callable[[], str]]:
    """Run the program at a terminal of its own; what is yielded returns all it showed."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    output = bytearray()
    process = subprocess.Popen(
        ["setsid", "--ctty", PROGRAM, *words],
        cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)

    def read() -> str:
        with contextlib.suppress(OSError):  # nothing now, or nobody there any more
            while piece := os.read(ours, 65536):
                output.extend(piece)
        return output.decode("utf-8", "replace")

    def shown() -> str:
        wait_until(lambda: read() is not None and process.poll() is not None, 40)
        return read()

    try:
        yield shown
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--command", f"printf '%s\\n' '{EVIL}'; printf '%s\\n' '{EVIL}' >&2"),
        ("monitor",),
        ("jobs",),
        ("logs", "{job}"),
        ("logs", "{job}", "--follow"),
        ("fetch", "--dry-run"),
        ("doctor",),
    ],
    ids=lambda words: words[0] + ("-f" * (words[-1] == "--follow")),
)
def test_a_terminal_obeys_no_word_of_the_machine(
    machine: Machine, words: tuple[str, ...]
) -> None:
    words = tuple(word.replace("{job}", machine.job.id) for word in words)
    with at_a_terminal(*words, cwd=machine.clone) as shown:
        output = shown()
    assert_harmless(COLOURS.sub("", output), " ".join(words))
    assert "\x1b[8m" not in output  # a colour, but not one of ours
    assert words[0] in {"monitor", "jobs", "doctor"} or "FORGED" in output


def test_no_tool_shows_what_a_machine_says_as_it_is(machine: Machine) -> None:
    machines = Sandboxes(machine.clone, {})
    ask = asker(machines, "auto", TOOLSETS)
    job = machine.job.id
    notes = f"{machine.place.clone}/notes"
    machine.place.write("notes", f"{EVIL}{LINES}")
    says = f"printf '%s\\n' '{EVIL}' '{LINES}'"
    answers = {
        "bash": ask("remote_bash", command=says),
        "bash, stderr": ask("remote_bash", command=f"{{ {says}; }} >&2; exit 3"),
        "background": ask("remote_bash", command=says, run_in_background=True),
        "output": ask("remote_bash_output", bash_id=job),
        "filter": ask("remote_bash_output", bash_id=job, filter="FORGED"),
        "no job": ask("remote_bash_output", bash_id=f"remote-77{EVIL}{LINES}"),
        "file": ask("remote_file_read", file_path=notes),
        "no file": ask("remote_file_read", file_path=f"/none{EVIL}{LINES}"),
        "setup": ask("remote_setup"),
        "sync": ask("remote_sync"),
        "train": ask("remote_train", command=f"true # {EVIL}", force=["stale-code"]),
        "monitor": ask("remote_monitor"),
        "reset": ask("remote_reset"),
        "fetch": ask("remote_fetch", dry_run=True),
        "stop": ask("remote_bash_stop", bash_id=job),
    }
    machines.close()
    for name, (text, _) in answers.items():
        assert_harmless(text, name)
        for line in text.splitlines():
            forged = "FORGED" in line and marks.remote(line) != line
            assert not forged or name == "file", f"{name}: {text!r}"
    shown = {name for name, (text, _) in answers.items() if "FORGED" in text}
    assert {"bash", "output", "filter", "file", "monitor", "fetch", "stop"} <= shown
