"""Secrets that a machine has: in its HOME, its processes, its GPUs, and across a cut."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import cli
from gitproject import make_git_project
from guards import guard
from machines import Place, fake_gpus, set_up
from mcp_server import asker
from sshd import start_sshd
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.guard import acts
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandboxes import Sandboxes
from sandbox_ops.models import Job

FRAGMENT = 10
"""So many characters of a secret, wherever in it, give it away."""

LONG_LINE = 3000
"""So many tokens are more than any face shows, and than any look reads at once."""


def token() -> str:
    return "ghp_" + secrets.token_hex(18)


@dataclass(frozen=True)
class Leaky:
    """A machine with secrets in every place.

    Attributes:
        at_home: Those that nobody asks for: no verb has to do with them.
        in_sight: Those that the machine says where it is looked at.
        job: One that printed a long line of them.
        key: The path of a private key there, and its lines.
    """

    place: Place
    at_home: list[str]
    in_sight: list[str]
    job: Job
    key: Path

    @property
    def clone(self) -> Path:
        return self.place.git.clone

    def shown_in(self, text: str) -> list[str]:
        """Return what of the secrets a text shows: the fragments of them."""
        values = [*self.at_home, *self.in_sight]
        return [
            value[at : at + FRAGMENT]
            for value in values
            for at in range(len(value) - FRAGMENT + 1)
            if value[at : at + FRAGMENT] in text and at + FRAGMENT > len("ghp_") + 4
        ]


def _fill_home(home: Path) -> tuple[list[str], Path]:
    netrc, profile, stored = token(), token(), token()
    (home / ".netrc").write_text(f"machine h login me password {netrc}\n")
    (home / ".git-credentials").write_text(f"https://me:{stored}@example.com\n")
    (home / ".aws").mkdir()
    (home / ".aws/credentials").write_text(f"aws_secret_access_key = {stored}\n")
    with (home / ".profile").open("a") as file:
        file.write(f"export HF_TOKEN={profile}\n")
    (home / ".ssh").mkdir(exist_ok=True)
    key = home / ".ssh/id_canary"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "rsa", "-b", "3072", "-N", "", "-f", str(key)],
        check=True,
    )
    return [netrc, profile, stored, *key.read_text().splitlines()[1:-1]], key


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaky]:
    folder = tmp_path_factory.mktemp("leaky")
    with pytest.MonkeyPatch.context() as patch, start_sshd(folder / "server") as server:
        # an audit log of its own: other tests' commands are in the common one
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        at_home, key = _fill_home(server.home)
        gpu, program, argument, printed, described = (token() for _ in range(5))
        fake_gpus(
            server.home,
            f"0, H100 {gpu}, GPU-a, 0, 4, 81559, 30, 580.1",
            processes=f"GPU-a, 1, 20, /usr/bin/{program}\n",
        )
        git = make_git_project(folder, "leaky")
        toml = server.write_toml(git.clone, '[project]\nverify = ["true"]\n')
        git.commit({"sandbox.toml": toml.read_text()}, push=True)
        stranger = subprocess.Popen(
            ["python3", "-c", "import time; time.sleep(600)", "train", argument],
            env={"PATH": os.environ["PATH"]},
        )
        with Sandbox(server.config(workspace=_workspace(toml))) as sandbox:
            place = set_up(sandbox, git)
            line = f"for i in $(seq {LONG_LINE}); do printf '{printed} '; done"
            job = sandbox.start(
                f"printf 'loss=1 {printed}\\n'; {line}; sleep 600 # {described}",
                name="long",
                description=f"{'x' * 40} {described}",
                project_path=str(place.clone),
            )
            size = (len(printed) + 1) * LONG_LINE
            wait_until(lambda: jobs.output(sandbox, job.id).size_bytes > size)
            in_sight = [gpu, program, argument, printed, described]
            yield Leaky(place, at_home, in_sight, job, key)
            jobs.stop(sandbox, job.id, grace_s=0)
        stranger.kill()
        stranger.wait()


def _workspace(toml: Path) -> str:
    text = toml.read_text()
    return text.partition('workspace = "')[2].partition('"')[0]


def verbs(leaky: Leaky) -> list[tuple[str, ...]]:
    """Every verb that looks at a machine, or can be called twice, with what it may be given."""
    job = leaky.job.id
    many = f"for i in $(seq {LONG_LINE}); do printf '{leaky.in_sight[3]} '; done"
    return [
        ("setup",),
        ("sync",),
        ("monitor",),
        ("monitor", job),
        ("jobs",),
        ("jobs", "--all"),
        ("logs", job),
        ("logs", job, "--filter", "ghp"),
        ("events",),
        ("doctor",),
        ("sandboxes",),
        ("runs",),
        ("export", "--format", "json"),
        ("audit",),
        ("pin", job),
        ("fetch", "--dry-run"),
        ("reset", "--dry-run"),
        ("trust",),
        ("agent",),
        ("wait", job, "--timeout", "1"),
        ("run", "--", many),
        ("run", "--", f"{{ {many}; }} >&2; exit 3"),
        ("run", "--", "env; cat ~/.netrc ~/.git-credentials ~/.ssh/id_canary"),
        ("train", "--command", f"true # {leaky.in_sight[4]}", "--gpus", "0"),
    ]


@guard(
    "a machine has secrets in its HOME, its environment, its processes and its GPUs' names, "
    "and says some across the cut of an answer",
    "no verb shows ten characters of one, as text or as JSON, nor does the audit log",
)
@pytest.mark.timeout(300)  # fifty programs, one after the other
def test_no_verb_shows_a_part_of_a_secret_of_the_machine(leaky: Leaky) -> None:
    for words in verbs(leaky):
        for more in ((), ("--json",)):
            done = cli(words[0], *more, *words[1:], cwd=leaky.clone)
            text = done.stdout + done.stderr
            assert leaky.shown_in(text) == [], (words, more, text[:3000])
            assert "Traceback" not in text
    assert leaky.shown_in(acts.log_path().read_text()) == []


def test_no_tool_shows_a_part_of_a_secret_of_the_machine(leaky: Leaky) -> None:
    machines = Sandboxes(leaky.clone, dict(os.environ))
    ask = asker(machines, "auto", ("remote", "workflow"))
    many = f"for i in $(seq {LONG_LINE}); do printf '{leaky.in_sight[3]} '; done"
    job, key = leaky.job.id, str(leaky.key)
    n_lines = len(leaky.key.read_text().splitlines())
    calls: list[tuple[str, dict[str, object]]] = [
        ("remote_bash", {"command": many}),
        ("remote_bash", {"command": f"{{ {many}; }} >&2; env; exit 3"}),
        ("remote_bash_output", {}),
        ("remote_bash_output", {"bash_id": job}),
        ("remote_bash_output", {"bash_id": job, "filter": "loss"}),
        ("remote_monitor", {}),
        ("remote_setup", {}),
        ("remote_sync", {}),
        ("remote_runs", {}),
        ("remote_reset", {}),
        ("remote_file_read", {"file_path": str(leaky.job.log_path)}),
        ("remote_file_read", {"file_path": key}),
        ("remote_file_read", {"file_path": key, "limit": 5}),
        *(
            ("remote_file_read", {"file_path": key, "offset": at, "limit": count})
            for at in (2, 7, n_lines - 3)
            for count in (1, 2, 5)
        ),
    ]
    try:
        for name, arguments in calls:
            text, _ = ask(name, **arguments)
            assert leaky.shown_in(text) == [], (name, arguments, text[:3000])
    finally:
        machines.close()
