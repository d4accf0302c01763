"""Secrets that a machine has: in its HOME, its processes, its GPUs, and across a cut."""

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from containers import start_container
from gitproject import make_git_project
from guards import guard
from machines import Place, fake_gpus, set_up
from mcp_server import asker
from processes import Child
from sshd import SshServer
from waiting import wait_until

from mcp_adapter.tools import Tools
from sandbox_ops import Sandbox
from sandbox_ops.guard import acts
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandboxes import Sandboxes
from sandbox_ops.models import Job

FRAGMENT = 10
"""So many characters of a secret, wherever in it, give it away."""

LONG_LINE = 3000
"""So many tokens are more than any face shows, and than any look reads at once."""

NO_EXIT = {"allow", "allow-list", "completion", "demo", "mcp-install", "plugin-install", "shell"}  # fmt: skip
"""Verbs that show nothing of a machine; `shell` is the user's own ssh, at their terminal."""


def token() -> str:
    return "ghp_" + secrets.token_hex(18)


@dataclass(frozen=True)
class Leaky:
    """A machine with secrets in every place.

    Attributes:
        at_home: Those that nobody asks for: no verb has to do with them.
        in_sight: Those that the machine says where it is looked at: its name, that of its
            user, of its GPU, of processes, of the branch and of files.
        printed: One of them, which a job printed in a long line.
        described: One of them, which is in commands.
        job: The job.
        key: The path of a private key there.
    """

    place: Place
    at_home: list[str]
    in_sight: list[str]
    printed: str
    described: str
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
    boot_id = folder / "boot_id"
    boot_id.write_text("a\n")
    in_sight = [token() for _ in range(9)]
    node, user, gpu, program, argument, branch, file, printed, described = in_sight
    with pytest.MonkeyPatch.context() as patch:
        # an audit log of its own: other tests' commands are in the common one
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        with start_container(folder / "server", boot_id, node) as server:
            at_home, key = _fill_home(server.home)
            fake_gpus(
                server.home,
                f"0, H100 {gpu}, GPU-a, 0, 4, 81559, 30, 580.1",
                processes=f"GPU-a, 1, 20, /usr/bin/{program}\n",
            )
            _call_the_user(server, user)
            git = make_git_project(folder, "leaky")
            project = '[project]\noutputs = ["models/"]\nverify = ["true"]\n'
            toml = server.write_toml(git.clone, project)
            git.commit({"sandbox.toml": toml.read_text()}, push=True)
            server.ssh(
                f"python3 -c 'import time; time.sleep(600)' train {argument}"
                " </dev/null >/dev/null 2>&1 &"
            )
            with Sandbox(server.config(workspace=_workspace(toml))) as sandbox:
                place = set_up(sandbox, git)
                _name_branch_and_files(place, branch, file)
                job = _start_long(place, printed, described)
                yield Leaky(place, at_home, in_sight, printed, described, job, key)
                jobs.stop(sandbox, job.id, grace_s=0)


def _name_branch_and_files(place: Place, branch: str, file: str) -> None:
    git = place.git
    git.git("checkout", "-q", "-b", f"fix-{branch}")
    git.commit({f"{file}.py": "", ".gitignore": "data/\n"})
    git.git("push", "-q", "-u", "origin", f"fix-{branch}")
    git.write({f"data/{file}.bin": "data"})
    place.write(f"models/{file}.pt", "weights")


def _start_long(place: Place, printed: str, described: str) -> Job:
    """Start a job that prints a long line of a secret, and wait for it."""
    line = f"for i in $(seq {LONG_LINE}); do printf '{printed} '; done"
    job = place.sandbox.start(
        f"printf 'loss=1 {printed}\\n'; {line}; sleep 600 # {described}",
        name="long",
        description=f"{'x' * 40} {described}",
        project_path=str(place.clone),
    )
    size = (len(printed) + 1) * LONG_LINE
    wait_until(lambda: jobs.output(place.sandbox, job.id).size_bytes > size)
    return job


def _call_the_user(server: SshServer, name: str) -> None:
    """Have the machine say a name for its user."""
    program = server.home / "fake-gpus/id"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = -un ] && exec echo {name}\nexec /usr/bin/id "$@"\n'
    )
    program.chmod(0o755)


def _workspace(toml: Path) -> str:
    text = toml.read_text()
    return text.partition('workspace = "')[2].partition('"')[0]


def verbs(leaky: Leaky) -> list[tuple[str, ...]]:
    """Every verb, in an order in which each has something to show, twice."""
    job, printed, described = leaky.job.id, leaky.printed, leaky.described
    many = f"for i in $(seq {LONG_LINE}); do printf '{printed} '; done"
    training = f"printf 'step 1/2 loss=0.5 {printed}\\n'; true # {described}"
    anywhere = ("--gpus", "0", "--force", "stale-code")
    return [
        ("setup",),
        ("sync",),
        ("train", *anywhere, "--name", described, "--command", training),
        ("train", *anywhere, "--name", "ends", "--command", f"sleep 600 # {described}"),
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
        ("show", "remote-2"),
        ("diff", "remote-2", "remote-4"),
        ("plot", "remote-2"),
        ("export", "--format", "json"),
        ("note", "remote-2", f"good: {described}"),
        ("tag", "remote-2", described),
        ("untag", "remote-2", described),
        ("rerun", "remote-2", "--force", "stale-code"),
        ("move", "remote-4", "--to", "first"),
        ("stop", "ends"),
        ("pin", job),
        ("put", "data"),
        ("fetch", "--dry-run"),
        ("fetch", "remote-2"),
        ("fetch", "models/"),
        ("on-idle", "--dry-run", "--command", "true"),
        ("audit",),
        ("trust",),
        ("agent",),
        ("login",),
        ("logout",),
        ("wait", job, "--timeout", "1"),
        ("wait", "remote-2"),
        ("run", "--", many),
        ("run", "--", f"{{ {many}; }} >&2; exit 3"),
        ("run", "--", "env; id -un; uname -n; cat ~/.netrc ~/.git-credentials ~/.ssh/id_canary"),
        ("run", "--", "sed -n 5,9p ~/.ssh/id_canary"),
        ("reset", "--dry-run"),
        ("reset",),
    ]  # fmt: skip


def _tunnel(leaky: Leaky, *more: str) -> str:
    """Return what a tunnel says until it stands."""
    words = (PROGRAM, "tunnel", "8888", "--local", "0", *more)
    with Child(words, cwd=leaky.clone, stdout=-1, stderr=-2, text=True) as child:
        assert child.stdout
        text = str(child.stdout.readline())
        child.send_signal(signal.SIGINT)
        return text + str(child.stdout.read())


def test_every_verb_is_tried_with_the_secrets_of_a_machine(leaky: Leaky) -> None:
    tried = {words[0] for words in verbs(leaky)} | {"tunnel"}
    listed = json.loads(cli("--list", "--list-format", "json", cwd=leaky.clone).stdout)
    assert tried | NO_EXIT == {task["name"] for task in listed["tasks"]}


@guard(
    "a machine has secrets in its HOME, its environment, its processes, in its own name and "
    "those of its user, GPUs, branches and files, and says some across the cut of an answer",
    "no verb shows ten characters of one, as text or as JSON, nor does the audit log",
)
@pytest.mark.timeout(300)  # ninety programs, one after the other
@pytest.mark.slow
def test_no_verb_shows_a_part_of_a_secret_of_the_machine(leaky: Leaky) -> None:
    for words in verbs(leaky):
        for more in ((), ("--json",)):
            done = cli(words[0], *more, *words[1:], cwd=leaky.clone)
            text = done.stdout + done.stderr
            assert leaky.shown_in(text) == [], (words, more, text[:3000])
            assert "Traceback" not in text
    for more in ((), ("--json",)):
        assert leaky.shown_in(_tunnel(leaky, *more)) == []
    names = cli("--complete", "--", "logs", "", cwd=leaky.clone).stdout
    assert leaky.shown_in(names) == []
    assert leaky.shown_in(acts.log_path().read_text()) == []


def test_no_tool_shows_a_part_of_a_secret_of_the_machine(leaky: Leaky) -> None:
    machines = Sandboxes(leaky.clone, dict(os.environ))
    ask = asker(machines, "auto", ("remote", "workflow"))
    many = f"for i in $(seq {LONG_LINE}); do printf '{leaky.printed} '; done"
    job, key = leaky.job.id, str(leaky.key)
    n_lines = len(leaky.key.read_text().splitlines())
    calls: list[tuple[str, dict[str, object]]] = [
        ("remote_bash", {"command": many}),
        ("remote_bash", {"command": f"{{ {many}; }} >&2; env; exit 3"}),
        ("remote_bash", {"command": "id -un; uname -n; sed -n 5,9p ~/.ssh/id_canary"}),
        ("remote_bash_output", {}),
        ("remote_bash_output", {"bash_id": job}),
        ("remote_bash_output", {"bash_id": job, "filter": "loss"}),
        ("remote_monitor", {}),
        ("remote_setup", {}),
        ("remote_sync", {}),
        (
            "remote_train",
            {"command": f"sleep 600 # {leaky.described}", "gpus": 0, "name": "x"},
        ),
        ("remote_bash_output", {"bash_id": "x", "wait": 1}),
        ("remote_bash_stop", {"bash_id": job}),
        ("remote_bash_stop", {"bash_id": "x"}),
        ("remote_put", {"path": "data"}),
        ("remote_fetch", {"dry_run": True}),
        ("remote_fetch", {"path": "models/"}),
        ("remote_runs", {}),
        ("remote_reset", {}),
        ("remote_reset", {"confirm": True}),
        ("remote_file_read", {"file_path": str(leaky.job.log_path)}),
        ("remote_file_read", {"file_path": key}),
        ("remote_file_read", {"file_path": key, "limit": 5}),
        *(
            ("remote_file_read", {"file_path": key, "offset": at, "limit": count})
            for at in (2, 7, n_lines - 3)
            for count in (1, 2, 5)
        ),
    ]
    tools = Tools(machines, ("remote", "workflow")).names
    assert {name for name, _ in calls} == set(tools)
    try:
        for name, arguments in calls:
            text, _ = ask(name, **arguments)
            assert leaky.shown_in(text) == [], (name, arguments, text[:3000])
    finally:
        machines.close()
