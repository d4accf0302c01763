"""The tutorial docs/tutorial/evening.md, line by line, and what each line shows.

`gpu1` (Fabric), `lab` (OpenSSH; a password after the key) and `login` (a cluster's) are real
SSH servers; the cluster is a real slurmctld with two nodes; `desk` is this computer.
"""

import fnmatch
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import PROGRAM
from gitproject import GitProject, make_git_project
from mounts import Mounts, private_mounts
from slurm import slurm_cluster
from sshd import SshServer, start_sshd
from terminals import Terminal
from waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs/tutorial/evening.md"
PASSWORD = "correct horse battery"  # noqa: S105
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"\[exit (\d+)\]")
_SPREAD = "sandbox-ops train --on boxes --name t1"


@dataclass(frozen=True)
class Step:
    """A line that is typed, and the lines that the page shows below it."""

    line: str
    shown: tuple[str, ...]

    @property
    def code(self) -> int:
        """The exit code that the page shows."""
        codes = [found[1] for line in self.shown if (found := _CODE.fullmatch(line))]
        return int(codes[0]) if codes else 0

    @property
    def output(self) -> tuple[str, ...]:
        return tuple(line for line in self.shown if not _CODE.fullmatch(line))


def blocks(kind: str) -> list[str]:
    return [
        text for name, text in _BLOCK.findall(PAGE.read_text("utf-8")) if name == kind
    ]


def steps() -> list[Step]:
    """Return the lines of the page in their order."""
    collected = []
    for block in blocks("console"):
        for part in block.split("$ ")[1:] if block.startswith("$ ") else ():
            line, *shown = part.splitlines()
            collected.append(Step(line, tuple(shown)))
    return collected


def missing(shown: tuple[str, ...], output: str) -> str:
    """Return the first line of the page that the output has not, in this order."""
    lines = iter(" ".join(line.split()) for line in output.splitlines())
    for wanted in shown:
        pattern = " ".join(wanted.replace("[", "[[]").replace("...", "*").split())
        if not any(fnmatch.fnmatchcase(line, pattern) for line in lines):
            return wanted
    return ""


@dataclass
class Evening:
    """The user, their machines, and the clone in which they type."""

    root: Path
    servers: dict[str, SshServer]
    project: GitProject
    env: dict[str, str]
    mounts: Mounts

    def words(self, line: str) -> list[str]:
        line = line.replace("/scratch", f"{self.root}/scratch")
        program, *rest = shlex.split(line)
        return [PROGRAM if program == "sandbox-ops" else program, *rest]

    def begin(self, line: str) -> "subprocess.Popen[str]":
        """Type a line; its output is to be read by `communicate`."""
        return self.mounts.do(
            lambda: subprocess.Popen(
                self.words(line),
                cwd=self.project.clone,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )

    def typed(self, step: Step) -> tuple[int, str]:
        """Type a line; return its exit code and what it printed."""
        with self.begin(step.line) as client:
            try:
                output, _ = client.communicate(timeout=90)
            finally:
                client.kill()
        return client.returncode, output

    def logged_in(self, step: Step) -> tuple[int, str]:
        """Answer what ssh asks in the terminal."""
        words = self.words(step.line)
        terminal = self.mounts.do(
            lambda: Terminal(*words, cwd=self.project.clone, env=self.env)
        )
        with terminal:
            terminal.shows("password:")
            terminal.types(f"{PASSWORD}\n")
            terminal.shows("logged in")
            return 0, terminal.text()

    def cut_off_while(self, step: Step) -> tuple[int, str]:
        """Take gpu1 off the network once it has a cell."""
        box = self.servers["gpu1"]
        with self.begin(step.line) as client:
            try:
                wait_until(lambda: groups_of(box), 60, what="a cell on gpu1")
                self.mounts.do(box.stop)
                output, _ = client.communicate(timeout=90)
            finally:
                client.kill()
        lost = "not known" in output
        assert client.returncode == (255 if lost else 0), output
        return 0, output


def groups_of(server: SshServer) -> list[Path]:
    return list(server.home.glob(".sandbox-ops/v1/*/groups/t1"))


def described(evening: Evening) -> None:
    """Write what the page has the user write into their configuration."""
    file = Path(evening.env["XDG_CONFIG_HOME"]) / "sandbox-ops/config.toml"
    cluster, top = blocks("toml")[:2]
    text = f"{top}\n{file.read_text()}\n{cluster}"
    text = text.replace('"/scratch', f'"{evening.root}/scratch')
    for name in ("gpu1", "lab", "desk"):
        assert f'{evening.root}/scratch/{name}"' in text
    file.write_text(text)


def ssh_servers(
    root: Path, mounts: Mounts, slurm: dict[str, str]
) -> Iterator[tuple[str, SshServer]]:
    """Start them; `lab` wants a password after the key."""
    shadow = root / "shadow"
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    shadow.write_text(f"root:{hashed}:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n")
    mounts.bind(shadow, Path("/etc/shadow"))
    second_factor = (
        "PermitRootLogin yes\nPasswordAuthentication yes\n"
        "AuthenticationMethods publickey,password"
    )
    yield "gpu1", mounts.do(lambda: start_sshd(root / "gpu1"))
    yield "lab", mounts.do(lambda: start_sshd(root / "lab", extra=second_factor))
    yield "login", mounts.do(lambda: start_sshd(root / "login", environment=slurm))


def named(servers: dict[str, SshServer], file: Path) -> None:
    """Write the names of the servers as an ssh_config has them."""
    texts = [
        server.ssh_config.read_text()
        .replace("Host box", f"Host {name}")
        .replace("  BatchMode yes\n", "")
        for name, server in servers.items()
    ]
    file.write_text("".join(texts))


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
        root = Path(folder)  # short, for ssh's sockets; and open, for munge
        root.chmod(0o755)
        for name in ("home", "sockets"):
            (root / name).mkdir(mode=0o700)
        mounts = stack.enter_context(private_mounts())
        cluster = stack.enter_context(slurm_cluster(root / "cluster", nodes=2))
        servers = {}
        for name, server in ssh_servers(root, mounts, cluster.environment):
            servers[name] = server
            stack.callback(server.close)
        named(servers, root / "ssh_config")
        mounts.bind(root / "ssh_config", Path("/etc/ssh/ssh_config"))
        env = {
            **os.environ,
            "HOME": str(root / "home"),
            "XDG_CONFIG_HOME": str(root / "home/.config"),
            "XDG_STATE_HOME": str(root / "home/.local/state"),
            "XDG_RUNTIME_DIR": str(root / "sockets"),
            "SANDBOX_OPS_AGENT_IDLE_S": "60",
        }
        user = Evening(root, servers, project_of(tmp_path), env, mounts)
        yield user
        for line in ("sandbox-ops agent --stop", "sandbox-ops logout --sandbox lab"):
            user.typed(Step(line, ()))


def project_of(folder: Path) -> GitProject:
    project = make_git_project(folder / "git", "evening")
    (training,) = blocks("python")
    files = {
        "train.py": training,
        "sandbox.toml": blocks("toml")[2],
        ".gitignore": "results/\nlogs/\n*.png\n",
    }
    project.commit(files, "First commit", push=True)
    return project


def before(evening: Evening, step: Step) -> None:
    """See to what the page says in its words before a line."""
    if step.line == "sandbox-ops sandboxes":
        described(evening)
    if step.line.startswith("git commit"):
        training = evening.project.clone / "train.py"
        text = training.read_text()
        assert "sleep(0.2)" in text
        training.write_text(text.replace("sleep(0.2)", "sleep(0.1)"))


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_the_tutorial_of_an_evening_goes_and_shows_what_it_says(
    evening: Evening,
) -> None:
    n_spread = 0
    for step in steps():
        before(evening, step)
        do = evening.typed
        if step.line.startswith("sandbox-ops login"):
            do = evening.logged_in
        if step.line.startswith(_SPREAD):
            n_spread += 1
            if n_spread == 1:
                do = evening.cut_off_while
            else:
                evening.mounts.do(evening.servers["gpu1"].start)
        code, output = do(step)
        print(f"$ {step.line}\n{output}")  # noqa: T201  # shown where it fails
        assert code == step.code, f"{step.line}: {code}\n{output}"
        absent = missing(step.output, output)
        assert not absent, f"{step.line} did not show {absent!r} but\n{output}"
    results = sorted(path.name for path in evening.project.clone.glob("results/*.json"))
    assert len(results) == 24
    losses = [
        json.loads(
            (evening.project.clone / f"results/{name}-lr1e-1-seed1.json").read_text()
        )
        for name in ("t1", "t2")
    ]
    assert losses[0] == losses[1]
    assert (evening.project.clone / "t2.png").read_bytes().startswith(b"\x89PNG")
