"""Forty secrets, through every way out: each way is tried, and where they ended is reported."""

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from gitproject import GitProject, make_git_project
from guards import guard
from mcp_server import Wire, asker, wire
from sshd import SshServer, own_config
from terminals import Terminal
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.config import discover
from sandbox_ops.guard import acts
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandboxes import Sandboxes

NAMED, IN_FILES, SHAPED = 20, 10, 10


def _token(number: int) -> str:
    """A value that looks like a token of a known kind; made here, for no scanner."""
    letters = secrets.token_hex(20)
    return (f"ghp_{letters[:36]}", f"glpat-{letters[:20]}")[number % 2]


@dataclass(frozen=True)
class Canaries:
    """The secrets, and a project with a job that printed them all.

    Attributes:
        file: On the machine: a line each.
        workspace: On the machine: its name holds one.
    """

    named: dict[str, str]
    in_files: dict[str, str]
    shaped: list[str]
    folder: Path
    file: Path
    job: str
    log_file: Path

    @property
    def values(self) -> list[str]:
        return [*self.named.values(), *self.in_files.values(), *self.shaped]

    def leaked_in(self, text: str) -> list[str]:
        return [value for value in self.values if value in text]


@pytest.fixture(scope="module")
def canaries(  # noqa: PLR0915 - one long arrangement
    sshd: SshServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Canaries]:
    base = tmp_path_factory.mktemp("canaries")
    named = {f"CANARY_{n}": f"named-{n}-{secrets.token_hex(8)}" for n in range(NAMED)}
    in_files = {
        f"FILED_{n}": f"filed-{n}-{secrets.token_hex(8)}" for n in range(IN_FILES)
    }
    shaped = [_token(number) for number in range(SHAPED)]
    file = base / "printed.txt"
    file.write_text(
        "".join(f"x {v} y\n" for v in (*named.values(), *in_files.values(), *shaped))
    )
    (base / "secret.env").write_text("".join(f"{k}={v}\n" for k, v in in_files.items()))
    project: GitProject = make_git_project(base, "leaky")
    workspace = base / f"work-{next(iter(named.values()))}"
    workspace.mkdir()
    toml = sshd.write_toml(
        project.clone, '[project]\noutputs = ["out/"]\n', workspace=str(workspace)
    ).read_text()
    own = own_config()
    own.write_text(
        f"secrets = {json.dumps(list(named))}\n"
        f"secret_files = [{json.dumps(str(base / 'secret.env'))}]\n{own.read_text()}"
    )
    kept = own.read_bytes()
    project.commit({"sandbox.toml": toml, ".gitignore": "out/\n"}, push=True)
    os.environ.update(named)
    try:
        config = discover.settings(project.clone, os.environ).sandbox()
        with Sandbox(config) as machine:
            every = " ".join(file.read_text().split())
            job = machine.start(
                f"cat {file}; : {every}", name="leaky", description=every
            )
            jobs.wait(machine, job.id, timeout_s=20)
        assert cli("setup", cwd=project.clone).returncode == 0
        out = workspace / "leaky" / "out"
        out.mkdir(exist_ok=True)
        for value in (*named.values(), *in_files.values(), *shaped):
            (out / value).touch()
        yield Canaries(
            named, in_files, shaped, project.clone, file, job.id, base / "mcp.log"
        )
    finally:
        for name in named:
            del os.environ[name]
        own.write_bytes(kept)


def on_a_terminal(canaries: Canaries, *words: str) -> str:
    with Terminal(PROGRAM, *words, cwd=canaries.folder, columns=200, lines=100) as seen:
        seen.end()
        return seen.text()


def piped(canaries: Canaries, *words: str) -> str:
    done = cli(*words, cwd=canaries.folder)
    return done.stdout + done.stderr


def tool(canaries: Canaries, name: str, **arguments: object) -> str:
    machines = Sandboxes(canaries.folder, dict(os.environ))
    try:
        return asker(machines, "auto", ("remote", "workflow"))(name, **arguments)[0]
    finally:
        machines.close()


def audit_log(canaries: Canaries) -> str:
    piped(canaries, "run", "--", f": {' '.join(canaries.values)}")
    return acts.log_path().read_text()


def log_file(canaries: Canaries) -> str:
    with wire({}, canaries.folder, "--log-file", str(canaries.log_file)) as server:
        Wire.begin(server)
        for number, value in enumerate(canaries.values, 10):
            arguments = {"file_path": f"/no/{value}"}
            server.send(
                "tools/call", number, name="remote_file_read", arguments=arguments
            )
            server.answer(number)
    return canaries.log_file.read_text()


def errors(canaries: Canaries) -> str:
    return "".join(piped(canaries, "logs", value) for value in canaries.values[::5])


WAYS: dict[str, tuple[int, Callable[[Canaries], str]]] = {
    "`run`, into a pipe": (40, lambda c: piped(c, "run", "--", "cat", str(c.file))),
    "`run`, on a terminal": (
        40,
        lambda c: on_a_terminal(c, "run", "--", "cat", str(c.file)),
    ),
    "`run --json`": (40, lambda c: piped(c, "run", "--json", "--", "cat", str(c.file))),
    "`logs`": (40, lambda c: piped(c, "logs", c.job)),
    "`logs`, on a terminal": (40, lambda c: on_a_terminal(c, "logs", c.job)),
    "`logs --json`": (40, lambda c: piped(c, "logs", c.job, "--json")),
    "`logs -f`": (40, lambda c: piped(c, "logs", "-f", c.job)),
    "`jobs`": (30, lambda c: piped(c, "jobs")),
    "`jobs`, on a narrow terminal": (1, lambda c: on_a_terminal(c, "jobs")),
    "`jobs --json`": (40, lambda c: piped(c, "jobs", "--json")),
    "`monitor`": (1, lambda c: piped(c, "monitor")),
    "`monitor --json`": (1, lambda c: piped(c, "monitor", "--json")),
    "`doctor`, of a workspace named so": (1, lambda c: piped(c, "doctor")),
    "errors that name them": (8, errors),
    "`fetch --dry-run`, of files named so": (
        40,
        lambda c: piped(c, "fetch", "--dry-run"),
    ),
    "`fetch --json`": (40, lambda c: piped(c, "fetch", "--dry-run", "--json")),
    "`remote_bash`": (40, lambda c: tool(c, "remote_bash", command=f"cat {c.file}")),
    "`remote_bash_output`": (
        40,
        lambda c: tool(c, "remote_bash_output", bash_id=c.job),
    ),
    "`remote_file_read`": (
        40,
        lambda c: tool(c, "remote_file_read", file_path=str(c.file)),
    ),
    "`remote_monitor`": (0, lambda c: tool(c, "remote_monitor")),
    "`remote_fetch`, of files named so": (
        20,
        lambda c: tool(c, "remote_fetch", dry_run=True),
    ),
    "the audit log": (1, audit_log),
    "the log file of the MCP server": (40, log_file),
}
"""Each way out: how many of the forty it shows at least, as masks, and how it is gone."""


@guard(
    "forty secrets are printed, named, asked for and noted in every way there is",
    "each way shows masks in their place ([the list](secrets.md))",
)
@pytest.mark.parametrize("way", WAYS)
def test_no_secret_leaves_by_any_way(canaries: Canaries, way: str) -> None:
    least, gone = WAYS[way]
    text = gone(canaries)
    assert canaries.leaked_in(text) == []
    assert text.count("[redacted: ") >= least, text[:2000]


def test_on_the_machine_the_log_is_what_the_command_wrote(
    canaries: Canaries, sshd: SshServer
) -> None:
    with Sandbox(sshd.config()) as machine:
        log = Path(jobs.get(machine, canaries.job).log_path).read_text()
    assert len(canaries.leaked_in(log)) == len(canaries.values)


def test_a_short_secret_is_an_error_that_names_it(canaries: Canaries) -> None:
    done = cli("jobs", cwd=canaries.folder, env={"CANARY_3": "short"})
    assert done.returncode == 78
    assert "CANARY_3 is shorter than 8 characters" in done.stderr
    assert "config.toml:1: `secrets`" in done.stderr
    assert "short\n" not in done.stderr


def test_values_for_a_job_are_in_no_argument_list_record_or_log(
    canaries: Canaries, sshd: SshServer, tmp_path: Path
) -> None:
    own = f"of-the-job-{secrets.token_hex(8)}"
    filed = f"of-the-file-{secrets.token_hex(8)}"
    env_file = tmp_path / "job.env"
    env_file.write_text(f'# comment\nexport FILED="{filed}"\n')
    script = 'test "$OWN" = "$WANTED" && echo same; sleep 60'
    words = ("run", "--env", "OWN", "--env", "WANTED", "--env-file", str(env_file))
    running = subprocess.Popen(
        [PROGRAM, *words, "--command", script],
        cwd=canaries.folder,
        env={**os.environ, "OWN": own, "WANTED": own},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout
        assert running.stdout.readline() == "same\n"
        lists = subprocess.run(
            ["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout
        assert "sleep 60" in lists
        for value in (own, filed):
            assert value not in lists
            kept = subprocess.run(
                ["grep", "-rlF", value, str(sshd.home / ".sandbox-ops")],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert kept.stdout == ""
            assert value not in acts.log_path().read_text()
    finally:
        running.terminate()
        running.communicate(timeout=30)


def test_a_value_on_the_command_line_is_refused(canaries: Canaries) -> None:
    done = cli("run", "--env", "A=b", "--", "true", cwd=canaries.folder)
    assert done.returncode == 2
    assert "without its value" in done.stderr
    missing = cli("run", "--env", "NO_SUCH_ONE", "--", "true", cwd=canaries.folder)
    assert (missing.returncode, "no such variable" in missing.stderr) == (2, True)


def test_the_log_file_of_the_server_is_private_from_its_creation(
    canaries: Canaries,
) -> None:
    log_file(canaries)
    wait_until(canaries.log_file.exists, what="the log file")
    assert canaries.log_file.stat().st_mode & 0o077 == 0
