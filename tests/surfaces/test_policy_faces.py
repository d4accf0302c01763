"""Modes and the audit log, as people and agents meet them."""

import ast
import asyncio
import json
import os
import re
import tomllib
from pathlib import Path

import pytest
from command_line import cli
from guards import guard
from mcp import Client
from mcp_server import asker
from sshd import SshServer

from mcp_adapter.protocol import build
from mcp_adapter.tools import Tools
from sandbox_ops.cli import allow_rules
from sandbox_ops.guard import acts, audit
from sandbox_ops.machine.sandboxes import Sandboxes
from sandbox_ops.models.policy import ACTIONS, Changes

READING = {"remote_bash_output", "remote_file_read"}
OFFERED = {
    "full": {"remote_bash", "remote_setup", "remote_bash_stop", "remote_monitor"}
    | READING,
    "workflow": {"remote_setup", "remote_train", "remote_monitor", "remote_bash_stop"}
    | READING,
    "read-only": {"remote_monitor"} | READING,
}
WITHHELD = {
    "full": set(),
    "workflow": {"remote_bash"},
    "read-only": {"remote_bash", "remote_setup", "remote_train", "remote_reset", "remote_bash_stop"},
}  # fmt: skip


@pytest.fixture
def folder(sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    sshd.write_toml(tmp_path / "here")
    return tmp_path / "here"


def in_mode(folder: Path, sshd: SshServer, mode: str) -> Sandboxes:
    sshd.write_toml(folder, mode=mode)
    return Sandboxes(folder, dict(os.environ))


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("mode", OFFERED)
def test_only_tools_that_the_mode_allows_are_offered(
    folder: Path, sshd: SshServer, mode: str, era: str
) -> None:
    async def listed() -> set[str]:
        with in_mode(folder, sshd, mode) as machines:
            server = build(Tools(machines, ("remote", "workflow")))
            async with Client(server, mode=era) as client:
                return {tool.name for tool in (await client.list_tools()).tools}

    names = asyncio.run(listed())
    assert names >= OFFERED[mode]
    assert not names & WITHHELD[mode]


@guard(
    "an agent calls a tool that the mode hides from it, by its name",
    "denied by the library, naming the mode and where it is set",
)
def test_a_hidden_tool_is_refused_too(folder: Path, sshd: SshServer) -> None:
    with in_mode(folder, sshd, "read-only") as machines:
        ask = asker(machines, "auto", ("remote", "workflow"))
        for answer, is_error in (
            ask("remote_bash", command="true"),
            ask("remote_bash_stop", bash_id="1", confirm=True),
        ):
            assert is_error
            assert "test is in read-only mode" in answer
            assert "`sandboxes.test.mode`" in answer


def test_the_command_line_says_why_and_ends_with_77(
    folder: Path, sshd: SshServer
) -> None:
    sshd.write_toml(folder, mode="read-only")
    for words in (("run", "--", "true"), ("stop", "1"), ("shell",), ("pin", "1")):
        done = cli(*words, cwd=folder)
        assert done.returncode == 77, done
        assert "is in read-only mode" in done.stderr
        assert "config.toml:" in done.stderr
    assert cli("jobs", cwd=folder).returncode == 0


@guard(
    "a sandbox.toml gives a machine with a mode another name, or a variable loosens it",
    "the strictest mode that the user says of the host holds",
)
def test_another_name_for_the_machine_does_not_loosen_its_mode(
    folder: Path, sshd: SshServer
) -> None:
    sshd.write_toml(folder, mode="read-only")
    host = f"{sshd.user}@{sshd.host}:{sshd.port}"
    toml = f'default = "x"\n[sandboxes.x]\nhost = "{host}"\n'
    (folder / "sandbox.toml").write_text(toml)
    done = cli("run", "--", "true", cwd=folder, env={"SANDBOX_OPS_MODE": "full"})
    assert done.returncode == 77, done


def test_the_audit_log_says_who_did_what(folder: Path) -> None:
    assert cli("run", "--command", "exit 3", cwd=folder).returncode == 3
    with Sandboxes(folder, dict(os.environ)) as machines:
        acts.identify("mcp")
        try:
            asker(machines, "legacy")("remote_bash", command="true")
        finally:
            acts.identify("python")
    shown = json.loads(cli("audit", "--json", cwd=folder).stdout)["entries"]
    intents = [each for each in shown if each["event"] == "intent"]
    assert [(each["face"], each["action"]) for each in intents] == [
        ("cli", "run"),
        ("mcp", "run"),
    ]
    assert intents[1]["client"].startswith("mcp ")
    assert intents[0]["session"] != intents[1]["session"]
    table = cli("audit", "--since", "1h", "--action", "run", cwd=folder).stdout
    assert "exited 3" in table
    assert json.loads(cli("audit", "--sandbox", "x", "--json", cwd=folder).stdout)[
        "entries"
    ] == []  # fmt: skip


@guard(
    "somebody changes or removes a line of the audit log",
    "`audit --verify` names the place, and ends with 1",
)
def test_a_changed_log_is_reported(folder: Path) -> None:
    for _ in range(2):
        cli("run", "--", "true", cwd=folder)
    whole = cli("audit", "--verify", cwd=folder)
    assert (whole.returncode, "4 lines, whole" in whole.stdout) == (0, True)
    path = acts.log_path()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0].replace("true", "evil"), *lines[1:]]))
    assert cli("audit", "--verify", cwd=folder).returncode == 1
    path.write_text("".join([lines[0], *lines[2:]]))
    assert cli("audit", "--verify", cwd=folder).returncode == 1


def test_without_a_log_the_command_goes_on_with_one_warning(folder: Path) -> None:
    state = Path(os.environ["XDG_STATE_HOME"])
    state.write_text("no folder")
    done = cli("run", "--command", "echo on", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert done.stderr.count("cannot be written") == 1
    stopped = cli("stop", "1", cwd=folder)
    assert stopped.returncode == 75
    assert (
        "`stop` was refused, because it cannot be written to the audit log"
        in stopped.stderr
    )


@pytest.mark.parametrize("host", allow_rules.HOSTS)
def test_rules_for_a_host_name_only_verbs_that_read(folder: Path, host: str) -> None:
    done = cli("allow-list", "--host", host, cwd=folder)
    assert done.returncode == 0
    for verb in ("run", "train", "sync", "reset", "stop", "shell", "fetch", "setup"):
        assert not re.search(rf"sandbox-ops {verb}\b", done.stdout)
        assert f'"{verb}"' not in done.stdout
    for verb in allow_rules.READING_VERBS:
        assert ACTIONS[verb].changes is Changes.NOTHING
        assert verb in done.stdout
    assert cli("allow-list", "--host", "x", cwd=folder).returncode == 2


def test_the_rules_are_what_their_hosts_read() -> None:
    claude = json.loads(allow_rules.rules("claude")[0])["permissions"]["allow"]
    assert claude[0] == "Bash(sandbox-ops jobs:*)"
    gemini = tomllib.loads(allow_rules.rules("gemini")[0])["rule"]
    assert gemini[0]["commandPrefix"][0] == "sandbox-ops jobs"
    assert gemini[1]["mcpName"] == "sandbox-ops"
    rule = ast.parse(allow_rules.rules("codex")[0]).body[0]
    assert isinstance(rule, ast.Expr)
    assert isinstance(rule.value, ast.Call)
    given = {each.arg: ast.literal_eval(each.value) for each in rule.value.keywords}
    program, verbs = given["pattern"]
    for line in given["match"]:
        assert line.split()[0] == program
        assert line.split()[1] in verbs
    assert all(line.split()[1] not in verbs for line in given["not_match"])


@guard(
    "an agent puts a verb that changes something behind one that it is allowed to use",
    "refused before anything is done: what begins as reading only reads",
)
@pytest.mark.parametrize("reads", allow_rules.READING_VERBS)
@pytest.mark.parametrize(
    "changes", [("run", "--", "touch", "x"), ("agent", "--stop"), ("allow", "--yes")]
)
def test_no_verb_that_changes_follows_one_that_reads(
    folder: Path, reads: str, changes: tuple[str, ...]
) -> None:
    done = cli(reads, *changes, cwd=folder)
    assert done.returncode == 2
    assert f"`{reads}` only reads, and `{changes[0]}` cannot follow it" in done.stderr
    assert done.stdout == ""


def test_entries_are_private(folder: Path) -> None:
    cli("run", "--", "true", cwd=folder)
    assert acts.log_path().stat().st_mode & 0o077 == 0
    assert audit.verify(acts.log_path()).ok
